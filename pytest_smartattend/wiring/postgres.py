"""Fixtures of the room `postgres`."""

from __future__ import annotations

import contextlib
import functools
import shlex
import sys
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from pytest_smartattend import marks
from pytest_smartattend.errors import ServerError, UnsafeTarget, UsageError
from pytest_smartattend.evidence import run_directory
from pytest_smartattend.options import Settings
from pytest_smartattend.wiring import run as run_wiring
from pytest_smartattend.wiring.evidence import about

if TYPE_CHECKING:
    from pytest_smartattend.loop.clock import LoopClock
    from pytest_smartattend.postgres.choosing import Wanted
    from pytest_smartattend.postgres.database_clock import DatabaseClock
    from pytest_smartattend.postgres.pool import Database
    from pytest_smartattend.postgres.server import Server

_FAILED = pytest.StashKey[bool]()
_DATABASE = pytest.StashKey["Database"]()


def wanted(settings: Settings) -> Wanted:
    """What the settings ask of the room `postgres`."""
    from pytest_smartattend.postgres.choosing import Wanted

    return Wanted(
        postgres=settings.postgres,
        version=settings.postgres_version,
        extensions=settings.postgres_extensions,
        locale=settings.postgres_locale,
        image=settings.postgres_image,
        allow_host=settings.allow_host,
    )


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What the person has to put right, or the server said, is the whole message: frames of ours explain nothing."""
    try:
        yield
    except (UsageError, UnsafeTarget, ServerError) as problem:
        raise pytest.fail.Exception(str(problem), pytrace=False) from None


def pytest_configure(config: pytest.Config) -> None:
    """Say at once, and once, what is wrong with schema or URL as far as it shows without a server."""
    run = run_wiring.of(config)
    if not run.is_controller or config.option.collectonly:
        return
    try:
        if run.settings.schema:
            from pytest_smartattend.postgres.schema import parse_schema

            parse_schema(run.settings.schema, config.rootpath)
        if "://" in run.settings.postgres:
            from pytest_smartattend.postgres import given

            given.check(run.settings.postgres, run.settings.allow_host)
    except (UsageError, UnsafeTarget) as problem:
        raise pytest.UsageError(str(problem)) from None


def folders(run: run_wiring.Run) -> list[Path]:
    """The run's folders, the fastest first."""
    return [run_directory.folder_in(base, run.run_id) for base in run_directory.bases()]


def check_of(item: pytest.Item) -> str:
    """The name under which a failed test's database is kept: the check's id, else the test's."""
    found = marks.check_of(item)
    return found[1] if found else item.nodeid


@pytest.fixture(scope="session")
def _smartattend_postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    from pytest_smartattend.postgres.server import Server

    run = run_wiring.of(request.config)
    if run.is_controller:
        run.claim_folders()
    with plainly():
        server = Server(wanted(run.settings), run_id=run.run_id, worker=run.worker, folders=folders(run))
    yield server
    described = server.describe()
    if described.get("started"):
        about(request.config, "postgres", described)
    for problem in server.close():
        warnings.warn(pytest.PytestWarning(problem), stacklevel=1)


@pytest.fixture(scope="session")
def postgres(_smartattend_postgres: Server) -> Server:
    """The run's throwaway PostgreSQL server, shared by all xdist workers. It starts when it is first used."""
    return _smartattend_postgres


@pytest.fixture
def _smartattend_database(request: pytest.FixtureRequest, _smartattend_postgres: Server) -> Iterator[Database]:
    from pytest_smartattend.postgres.schema import parse_schema

    settings = run_wiring.of(request.config).settings
    with plainly():
        pool = _smartattend_postgres.pool(parse_schema(settings.schema, request.config.rootpath))
        database = pool.take()
    note_database(request, database)
    yield database
    give_back = functools.partial(pool.give_back, database)
    if not keep_failed(request, _smartattend_postgres, database, give_back):
        give_back()


def note_database(request: pytest.FixtureRequest, database: Database) -> None:
    """Say that a test has a database of its own, which is to be kept if the test fails."""
    request.node.stash[_DATABASE] = database
    request.node.stash[_FAILED] = False  # an earlier attempt's failure, of a rerun, was kept then


def keep_failed(request: pytest.FixtureRequest, server: Server, database: Database, done: Callable[[], None]) -> bool:
    """Keep the database of a failed test; whether it is kept, and `done` is called when it was read."""
    most = run_wiring.of(request.config).settings.keep
    if not (most and request.node.stash.get(_FAILED, False)):
        return False
    server.keep(database, check=check_of(request.node), project=request.config.rootpath, most=most, done=done)
    return True


@pytest.fixture
def database(_smartattend_database: Database) -> Database:
    """A fresh database of this test's own, made from the schema that ``smartattend_schema`` names."""
    return _smartattend_database


@pytest.fixture
def _smartattend_database_clock(
    request: pytest.FixtureRequest,
    _smartattend_postgres: Server,
    _smartattend_clock: LoopClock,
    _smartattend_database: Database,
) -> Iterator[DatabaseClock]:
    from pytest_smartattend.postgres.database_clock import DatabaseClock

    if not _smartattend_postgres.superuser:
        pytest.skip(
            f"{check_of(request.node)}: only a superuser can replace the database's clock, and we are none there"
        )
    with DatabaseClock(_smartattend_database, _smartattend_clock).following() as followed:
        yield followed
        for found in followed.unfollowed():
            warnings.warn(pytest.PytestWarning(f"does not follow the database's clock: {found}"), stacklevel=1)


@pytest.fixture
def database_clock(_smartattend_database_clock: DatabaseClock) -> DatabaseClock:
    """`now()` of the test's database follows the test's `clock`; what cannot follow is told as a warning, by name."""
    return _smartattend_database_clock


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note a failure before the test's fixtures are torn down, and say how to look at its database."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
        if call.when == "call" and _DATABASE in item.stash and run_wiring.of(item.config).settings.keep:
            report.sections.append(("smartattend", _opening(item)))
    return report


def _opening(item: pytest.Item) -> str:
    """The command that opens the test's database, for the folder that pytest was started in."""
    root, words = item.config.rootpath, ["smartattend", "db", "open", check_of(item)]
    # From a folder below the root it may mean a nearer project's, and from elsewhere nobody's.
    if root.resolve() != item.config.invocation_params.dir.resolve():
        words.append(f"--project={root}")
    return shlex.join(words)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the run's server, after the workers are gone. The keeper does it where this process is killed."""
    run = run_wiring.of(config)
    mine = [folder for folder in folders(run) if (folder / "server.json").exists() or (folder / "container").exists()]
    if run.is_controller and mine:
        from pytest_smartattend.postgres import server

        server.end(folders(run), run.run_id)


def describe(config: pytest.Config) -> dict[str, object] | None:
    """What a report says of this run's server; None where none was started. Call it before the run is over."""
    from pytest_smartattend.postgres import server

    running = server.attached(folders(run_wiring.of(config)))
    return server.description(running) if running else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which PostgreSQL was taken, and why: with -v, or where something was not as it should be."""
    found = (
        describe(config) if "pytest_smartattend.postgres.server" in sys.modules or config.option.verbose > 0 else None
    )
    if found and (found["notes"] or config.option.verbose > 0):
        notes = "".join(f"; {note}" for note in cast("list[str]", found["notes"]))
        line = (
            f"{found['version']} from {found['provider']} ({found['why']}), {found['cluster']}, {found['where']}{notes}"
        )
        terminalreporter.write_line(f"smartattend: PostgreSQL {line}")
