"""The reference platform's migrations, as a schema from which throwaway databases are cloned."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: found by its path, for importing it would cost a warm session most of its time
PACKAGE = Path(__file__).parent.parent / "reference"
#: files below the platform's package that decide what a migrated database looks like
_INPUTS = ("store/migrate.py", "store/migrations/**/*.py")


class ReferenceSchema:
    """Tenants, users and incidents in one database, with the roles that go with them."""

    name = "smartattend"

    def digest(self) -> str:
        """SHA-256 over the names and bytes of all that is run, hexadecimal. Computed without importing any of it."""
        whole = hashlib.sha256()
        for pattern in _INPUTS:
            for file in sorted(PACKAGE.glob(pattern)):
                name, content = str(file.relative_to(PACKAGE)).encode(), file.read_bytes()
                whole.update(b"%d %s %d %s" % (len(name), name, len(content), content))
        return whole.hexdigest()

    def apply(self, dsn: str) -> None:
        """Migrate a fresh database.

        Args:
            dsn: libpq URL, as a superuser or a role that may create roles.
        """
        from pytest_smartattend.reference.store.migrate import migrate

        migrate(dsn, dsn)
