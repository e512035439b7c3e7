"""What must have been shown: the required ids of each group, read from a TOML file.

The format is explained at the top of ``requirements.toml``, the file that ships with this package. Its digest stands in
every document, and the gate compares it with that of its own file: whoever lowers the bar is seen.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import UsageError

SHIPPED = Path(__file__).with_name("requirements.toml")
CHECK_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*/[a-z0-9][a-z0-9_.-]*(\[[^\[\]]+\])?")
_TOP = {"version", "only_shipped_checks", "not_yet", "groups"}
_CHECK = {"id", "plain", "cells", "products", "without"}


@dataclass(frozen=True)
class Requirements:
    """The requirements of one version.

    Attributes:
        version: as an adopter pins it.
        digest: sha256 of the file's bytes, hexadecimal.
        only_shipped_checks: whether nothing but the suites of this package may answer for the ids of `groups`.
        not_yet: groups of the specification, and ids of checks, that have no requirements in this version.
        groups: group → its required ids, in the order of the file.
    """

    version: str
    digest: str
    only_shipped_checks: bool
    not_yet: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]

    def expand(self) -> frozenset[str]:
        """Every required id."""
        return frozenset(itertools.chain.from_iterable(self.groups.values()))

    def is_about(self, name: str) -> bool:
        """Whether `name` is a required id, a check of which a cell is required, or a group."""
        return bool(self.covered_by(name))

    def covered_by(self, name: str) -> frozenset[str]:
        """The required ids that `name` stands for: itself, the cells of a check, or a whole group."""
        return frozenset(one for one in self.expand() if covers(name, one))


def covers(name: str, check: str) -> bool:
    """Whether `name`, an id, a check with cells, or a group, stands for the id `check`."""
    return check == name or check.startswith((f"{name}[", f"{name}/"))


@cache
def load(path: Path = SHIPPED) -> Requirements:
    """Read a requirements file.

    Raises:
        UsageError: it cannot be read or is not in the format; names the file and, where one is at fault, the line.
    """
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read ({problem.strerror}). Name a requirements file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: not TOML ({problem}). Mend that line.") from None
    return _Reader(path, content.decode("utf-8")).read(table, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class _Reader:
    path: Path
    content: str

    def read(self, table: Mapping[str, Any], digest: str) -> Requirements:
        self._known(table, _TOP, "")
        version, only_shipped = table.get("version"), table.get("only_shipped_checks", False)
        if not isinstance(version, str) or not version:
            raise self._wrong("version", '`version` must be text, such as "0.1"')
        if not isinstance(only_shipped, bool):
            raise self._wrong("only_shipped_checks", "`only_shipped_checks` must be true or false")
        groups = table.get("groups")
        if not isinstance(groups, dict) or not groups:
            raise self._wrong("groups", "there is no [[groups.NAME]], so nothing would be required; add one")
        found = {name: self._group(name, checks) for name, checks in groups.items()}
        return Requirements(version, digest, only_shipped, tuple(self._texts(table, "not_yet", "")), found)

    def _group(self, group: str, checks: object) -> tuple[str, ...]:
        if not isinstance(checks, list):
            raise self._wrong(f"groups.{group}", f"write [[groups.{group}]] with two brackets, once per check")
        ids: dict[str, None] = {}
        for check in checks:
            for one in self._check(group, check):
                if one in ids:
                    raise self._wrong(one.partition("[")[0], f"{one} is required twice; keep one")
                ids[one] = None
        return tuple(ids)

    def _check(self, group: str, check: Mapping[str, Any]) -> list[str]:
        name = check.get("id")
        if not isinstance(name, str) or not CHECK_ID.fullmatch(name) or not name.startswith(f"{group}/") or "[" in name:
            raise self._wrong(str(name), f'every check of this group needs an id such as "{group}/my-check"')
        self._known(check, _CHECK, name)
        cells = self._texts(check, "cells", name) + self._products(check, name)
        for cell in self._texts(check, "without", name):
            if cell not in cells:
                raise self._wrong(cell, f"`without` of {name} names {cell!r}, which is none of its cells; take it out")
            cells.remove(cell)
        plain = check.get("plain", not cells)
        if not isinstance(plain, bool):
            raise self._wrong(name, f"`plain` of {name} must be true or false")
        return ([name] if plain else []) + [f"{name}[{cell}]" for cell in cells]

    def _products(self, check: Mapping[str, Any], name: str) -> list[str]:
        products = check.get("products", [])
        try:
            return ["-".join(cell) for product in products for cell in itertools.product(*product)]
        except TypeError:
            raise self._wrong(name, f"`products` of {name} must be a list of lists of lists of texts") from None

    def _texts(self, table: Mapping[str, Any], key: str, name: str) -> list[str]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise self._wrong(name or key, f"`{key}`{f' of {name}' if name else ''} must be a list of texts")
        return list(value)

    def _known(self, table: Mapping[str, Any], known: set[str], name: str) -> None:
        for key in table:
            if key not in known:
                where = f" of {name}" if name else ""
                raise self._wrong(key, f"`{key}`{where} is unknown; known are {', '.join(sorted(known))}")

    def _wrong(self, needle: str, text: str) -> UsageError:
        return UsageError(f"{place(self.path, self.content, needle)}: {text}.")


def place(path: Path, content: str, needle: str) -> str:
    """``file:line`` of the first line of `content` that holds `needle`; the file alone where none does."""
    for number, line in enumerate(content.splitlines(), start=1):
        if needle in line and not line.lstrip().startswith("#"):
            return f"{path}:{number}"
    return str(path)
