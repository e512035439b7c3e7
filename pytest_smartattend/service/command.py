"""``smartattend serve``: the platform with the validation endpoints, on a throwaway database or one marked disposable."""

from __future__ import annotations

import argparse
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import uvicorn
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from pytest_smartattend.errors import ServerFailed, UsageError
from pytest_smartattend.postgres import given
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.readiness.command import words_after
from pytest_smartattend.reference.settings import LEAST_SECRET_BYTES, Settings
from pytest_smartattend.reference.store.migrate import APP, PASSWORDS, migrate
from pytest_smartattend.service.app import Service, create_service
from pytest_smartattend.service.desk import Limits
from pytest_smartattend.service.runs import Runs
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.target.seed import PASSWORD, Seeder

HOST = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--port", type=int, default=8000, help="on this machine only; 0: the system chooses")
    parser.add_argument(
        "--database",
        metavar="URL",
        default="",
        help="a database marked as disposable, as a superuser; default: a throwaway one with people to log in as",
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="HOST", help="a host other than this machine's"
    )
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", default=Path("smartattend-state"), help="results; default %(default)s"
    )
    parser.add_argument("--target", default="reference", help="what the runs test; default %(default)s")
    parser.add_argument("--suites", default=Runs.suites, metavar="PACKAGE", help="the checks that the runs run")
    parser.add_argument("--requirements", type=Path, metavar="TOML", help="as for `smartattend readiness`")
    parser.add_argument("--scope", type=Path, metavar="TOML", help="as for `smartattend readiness`")
    parser.add_argument("--workers", type=int, default=2, help="pytest-xdist workers of a run; default %(default)s")
    parser.add_argument("--jobs", type=int, default=2, help="how many may run at once; default %(default)s")
    parser.add_argument("--run-minutes", type=float, default=60, help="how long a run may take; default %(default)s")
    parser.add_argument(
        "--simulation-minutes", type=float, default=5, help="how long a simulation may take; default %(default)s"
    )
    parser.add_argument("pytest_arguments", nargs="*", metavar="-- ARGUMENTS", help="for the pytest of a run, after --")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM; running jobs are cancelled then, and end as incomplete."""
    if arguments.jobs < 1 or arguments.run_minutes <= 0 or arguments.simulation_minutes <= 0:
        raise UsageError("--jobs, --run-minutes and --simulation-minutes must be above 0.")
    with ExitStack() as closing:
        dsn, app_dsn = closing.enter_context(_database(arguments.database, tuple(arguments.allow_host)))
        listener = closing.enter_context(_listener(arguments.port))
        base_url = f"http://{HOST}:{listener.getsockname()[1]}"
        app = create_service(_service(arguments, dsn, app_dsn), base_url)
        print(f"smartattend serves on {base_url}/api; results in {arguments.state}", flush=True)
        if not arguments.database:
            _tell_people(dsn)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="on")
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _service(arguments: argparse.Namespace, dsn: str, app_dsn: str) -> Service:
    runs = Runs(
        arguments.target,
        arguments.suites,
        arguments.requirements and arguments.requirements.absolute(),
        arguments.scope and arguments.scope.absolute(),
        arguments.workers,
        words_after(arguments),
    )
    limits = Limits(arguments.run_minutes * 60, arguments.simulation_minutes * 60)
    settings = Settings(app_dsn, app_dsn, _secret())
    return Service(settings, dsn, arguments.state.absolute(), runs, limits, arguments.jobs)


def _secret() -> bytes:
    secret = os.environ.get("TOKEN_SECRET", "").encode()
    if secret and len(secret) < LEAST_SECRET_BYTES:
        raise UsageError(f"TOKEN_SECRET has {len(secret)} bytes; give at least {LEAST_SECRET_BYTES} random ones.")
    return secret or secrets.token_bytes(LEAST_SECRET_BYTES)


@contextmanager
def _database(url: str, allow_host: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The migrated database, as a superuser and as the application's role."""
    if not url:
        with throwaway(Wanted()) as server:
            database = server.pool(ReferenceSchema()).take()
            yield database.dsn, database.dsn_as(APP)
        return
    yield url, prepare(url, allow_host)


def prepare(url: str, allow_host: tuple[str, ...]) -> str:
    """Migrate a database that somebody named, if it may be written to.

    Returns:
        the same as the application's role, with the password that ``SMARTATTEND_APP_PASSWORD`` gives it.

    Raises:
        UsageError, UnsafeTarget: the URL is incomplete, its host was not allowed, or it is not marked as disposable.
        ServerFailed: it cannot be reached or migrated, or the role cannot log in.
    """
    given.refuse_redirection()
    given.check(url, allow_host)
    shown = given.without_password(url)
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            given.admit(connection, url, allow_host)
            if connection.info.parameter_status("is_superuser") != "on":
                raise ServerFailed(
                    f"{shown}: its user is no superuser, and simulations make people past row-level security. Give a "
                    "superuser's URL."
                )
        migrate(url, url)
    except (psycopg.Error, DBAPIError, CommandError) as problem:
        raise ServerFailed(
            f"{shown} cannot be migrated: {problem}. Is the server up, and is the database empty, or one that this version "
            "or an older one has migrated?"
        ) from None
    app = given.dsn(url, given.database_of(url), APP, os.environ.get(PASSWORDS[APP], ""))
    try:
        psycopg.connect(app, connect_timeout=10).close()
    except psycopg.Error as problem:
        raise ServerFailed(
            f"{shown}: the application's role cannot log in: {problem}. Set {PASSWORDS[APP]}, which it is given as its "
            "password, or let the server's pg_hba.conf trust it from here."
        ) from None
    return app


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=512)
    except (OSError, OverflowError) as problem:
        raise UsageError(f"--port {port}: {problem}. Give a free one, or 0.") from None


def _tell_people(dsn: str) -> None:
    """Who there is to log in as, in a throwaway database."""
    seeder = Seeder(dsn)
    try:
        _, accounts, _ = seeder.tenant("school")
        for role, account in accounts.items():
            print(f"  {role:<15} {account.email}", flush=True)
        print(f"  their password: {PASSWORD}", flush=True)
    finally:
        seeder.close()
