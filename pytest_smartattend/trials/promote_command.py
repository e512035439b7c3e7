"""``smartattend promote``: the incidents of a failed simulation, as files that are driven again in every run from now on."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import psycopg

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.errors import RecordRefused, UsageError
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres import kept
from pytest_smartattend.postgres.database_command import add_project, of_whom, restored
from pytest_smartattend.postgres.pool import Database, Source
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.trials import recorded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "check", help="the failed check's id, or a part that only one has; `smartattend db list` shows all"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="for --smartattend-incidents")
    add_project(parser)
    parser.add_argument("--verbatim", action="store_true", help="leave names and texts as they are")


def run(arguments: argparse.Namespace) -> int:
    """Write every incident of the kept database; 0 when there was one."""
    one = kept.find(arguments.check, arguments.project)
    stem = one.check.rpartition("/")[2].rpartition("::")[2].replace("[", "-").replace("]", "")
    number = 0
    with restored(one) as server:
        if not _is_ours(server, one.database):
            raise UsageError(
                f"The database of {of_whom(one)} is not one of the reference platform, so there is no incident of it to "
                "promote. `smartattend db open` shows what is in it."
            )
        database = _afresh(server, one.database)
        # its clock begins before all that happened, and stands still: nothing falls due while it exports
        with closing(InProcessPlatform(database, LoopClock(), workers=1)) as platform:
            reader, cursor = platform.seed("school", lambda _: None).superadmin, None
            while number == 0 or cursor is not None:
                page = reader.exports(limit=100, cursor=cursor, verbatim=arguments.verbatim).must()
                for item in page["items"]:
                    number += 1
                    _write(item, arguments.out / f"{stem}-{number}.json")
                cursor = page["next_cursor"]
                if not number:
                    raise UsageError(
                        f"The database of {of_whom(one)} holds no incident, so there is nothing to promote."
                    )
    return 0


def _is_ours(server: Server, name: str) -> bool:
    """Whether both of the reference platform's histories of migrations were applied to it."""
    with psycopg.connect(server.dsn(name)) as connection:
        found = connection.execute(
            "select to_regclass('platform_version'), to_regclass('incidents_version')"
        ).fetchone()
    return found is not None and None not in found


def _afresh(server: Server, name: str) -> Database:
    """The restored database, rid of the clock that it followed: the one that it is to follow comes anew."""
    dsn = server.dsn(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop schema if exists smartattend_clock cascade")
    # all that is asked of the source of a database that is made already
    source = Source(server.connect, server.dsn, "postgres", server.major, superuser=True, durable=False, place=None)
    return Database(name, dsn, source)


def _write(item: object, path: Path) -> None:
    document = incident_record.checked(item, path.stem)
    document["header"].pop("signature", None)  # by a key that was made for this command alone
    found = record_seal.faults_of(document)
    if found:
        raise RecordRefused(f"{path.stem} cannot be driven again: {'; '.join(found)}. Look into the database instead.")
    recorded.keep(document, path, exact=True)
    print(f"{path}  {len(document['record']['events'])} events; smartattend replay {path}")
