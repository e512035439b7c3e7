"""The one table of options: command line, environment, ini, default, in that order.

From a row's name everything else is derived: ``schema`` is ``--smartattend-schema``, ``SMARTATTEND_SCHEMA`` and
``smartattend_schema``. The rest of the package receives a frozen `Settings`, never pytest's config.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_smartattend import option_values as values
from pytest_smartattend.errors import UsageError

if TYPE_CHECKING:
    import pytest

Parse = Callable[[str], Any]


@dataclass(frozen=True)
class Option:
    """One row of the table.

    Attributes:
        name: the field of `Settings`; flag, variable and ini name are derived from it.
        default: what holds when nobody says anything.
        parse: from text to value; raises ValueError whose message completes "expected …".
        accepts: the same sentence for help and documentation.
        help: one sentence for ``pytest --help``.
        flag: true for a switch that takes no value on the command line.
    """

    name: str
    default: Any
    parse: Parse
    accepts: str
    help: str
    flag: bool = False

    @property
    def command_line(self) -> str:
        """Its flag on pytest's command line."""
        return "--smartattend-" + self.name.replace("_", "-")

    @property
    def environment(self) -> str:
        """Its environment variable."""
        return "SMARTATTEND_" + self.name.upper()

    @property
    def ini(self) -> str:
        """Its name in pytest's configuration file."""
        return "smartattend_" + self.name


OPTIONS: tuple[Option, ...] = (
    Option(
        "target",
        "",
        values.target,
        "reference, command or url",
        "the platform that the suites test; without it the suites do not run",
    ),
    Option("command", "", values.text, "a command as in a shell", "starts your platform, for the target `command`"),
    Option("url", "", values.url, "a base URL", "where your platform runs already, for the target `url`"),
    Option(
        "adapter",
        "",
        values.text,
        "reference, or a TOML file",
        "how your platform says what the contract says; `smartattend init` writes one",
    ),
    Option(
        "migrate",
        "",
        values.text,
        "a command as in a shell",
        "migrates a database for the target `command`, once (reads DATABASE_URL); without it the command does so itself",
    ),
    Option("platform_workers", 2, values.workers, "1 to 64", "worker processes of the reference platform"),
    Option(
        "postgres",
        "auto",
        values.postgres,
        "auto, embedded, embedded-musl, system, container, or a URL postgresql://user@host:port/database",
        "where the throwaway PostgreSQL comes from; auto takes the first that can be had, in that order",
    ),
    Option("postgres_version", "", values.version, '"18", "==17", ">=16"', "the PostgreSQL version that is needed"),
    Option("postgres_extensions", (), values.names, "names, with commas", "extensions that the server must offer"),
    Option("postgres_locale", "C", values.text, "a locale's name", "locale of the throwaway cluster"),
    Option("postgres_image", "postgres:18", values.text, "an image's name", "image of the container provider"),
    Option(
        "schema",
        "",
        values.text,
        "SQL files with commas, 'command: PROGRAM ARGS' (reads DATABASE_URL), or 'python: package.module:function'",
        "migrations of your own that make the template of the `database` fixture",
    ),
    Option(
        "keep",
        5,
        values.count,
        "a whole number from 0",
        "how many databases of failed tests are kept for `smartattend db open`",
    ),
    Option(
        "allow_host",
        (),
        values.names,
        "host names, with commas",
        "hosts other than loopback that may be written to",
    ),
    Option(
        "checks",
        (),
        values.ids,
        "with commas: ids, checks with all their cells, groups, or 'quick'",
        "run only these checks; the verdict is incomplete then. quick: one cell of each scenario",
    ),
    Option(
        "budget",
        0.0,
        values.seconds,
        "90s, 5m, 1h; 0 for none",
        "begin no test after this time; what is cut is not run, and the verdict incomplete",
    ),
    Option("report", None, values.folder, "a folder", "write readiness.json and readiness.html into this folder"),
    Option(
        "history",
        None,
        values.folder,
        "a file",
        "append this run's verdict to this file, and show the trend; default: what the last report remembers",
    ),
    Option(
        "strict",
        default=False,
        parse=values.flag,
        accepts="yes or no",
        help="let pytest's exit status follow the verdict",
        flag=True,
    ),
    Option(
        "subject",
        "",
        values.text,
        "text",
        "what is released: a commit or an image; default: this checkout's commit",
    ),
    Option(
        "scope",
        None,
        values.folder,
        "a TOML file",
        "readiness.toml: what is required, not applicable or waived here",
    ),
    Option(
        "requirements",
        None,
        values.folder,
        "a TOML file",
        "require what this file says in place of what ships; a gate refuses the document unless told the same",
    ),
    Option(
        "clock",
        "discrete",
        values.clock,
        "discrete, real, or a factor such as 60x",
        "how time passes on the `clock` fixture: from deadline to deadline, by the wall, or faster",
    ),
    Option(
        "incidents",
        None,
        values.folder,
        "a folder",
        "exported incidents of your own; each file is one more check of the suite of replays",
    ),
    Option("seed", 20260302, values.seed, "0 to 2**64 - 1", "the root of every random decision"),
    Option(
        "shard",
        None,
        values.shard,
        "k/n, such as 2/3",
        "run the k-th of n parts; `smartattend merge` puts the n documents together",
    ),
    Option(
        "durations",
        None,
        values.folder,
        "a readiness.json",
        "an earlier document, by whose durations the shards are balanced; the same for all of them",
    ),
    Option(
        "sabotage",
        "",
        values.text,
        "a name of `smartattend prove --list`",
        "plant this defect in the reference platform",
    ),
)


@dataclass(frozen=True)
class Settings:
    """What holds in this run. Field by field the rows of `OPTIONS`; see there."""

    target: str
    command: str
    url: str
    adapter: str
    migrate: str
    platform_workers: int
    postgres: str
    postgres_version: str
    postgres_extensions: tuple[str, ...]
    postgres_locale: str
    postgres_image: str
    schema: str
    keep: int
    allow_host: tuple[str, ...]
    checks: tuple[str, ...]
    budget: float
    report: Path | None
    history: Path | None
    strict: bool
    subject: str
    scope: Path | None
    requirements: Path | None
    clock: str
    incidents: Path | None
    seed: int
    shard: tuple[int, int] | None
    durations: Path | None
    sabotage: str


assert tuple(field.name for field in fields(Settings)) == tuple(option.name for option in OPTIONS)


def _parse(option: Option, text: str, source: str) -> Any:  # noqa: ANN401
    try:
        return option.parse(text)
    except ValueError as problem:
        default = "" if option.default in ("", (), None) else f" for {option.default}"
        raise UsageError(
            f"{source}: cannot read {text!r} ({problem}). Give {option.accepts}, or leave it out{default}."
        ) from None


def read(config: pytest.Config, environ: dict[str, str] | None = None) -> Settings:
    """The settings of this run.

    Raises:
        UsageError: a value is not accepted; the message names where it was said.
    """
    variables = os.environ if environ is None else environ
    said: dict[str, Any] = {}
    for option in OPTIONS:
        given = config.getoption(option.ini, default=None)
        ini = str(config.getini(option.ini) or "")
        if given is not None:
            said[option.name] = _parse(option, str(given), option.command_line)
        elif option.environment in variables:
            said[option.name] = _parse(option, variables[option.environment], option.environment)
        elif ini:
            said[option.name] = _parse(option, ini, f"{option.ini} in {config.inipath or 'the ini file'}")
        else:
            said[option.name] = option.default
    return Settings(**said)


def add_to(parser: pytest.Parser) -> None:
    """Declare every row to pytest."""
    group = parser.getgroup("smartattend", "can we trust this SmartAttend platform in production?")
    for option in OPTIONS:
        text = f"{option.help} ({option.accepts}; {option.environment}; {option.ini}; default: {option.default!r})"
        text = text.replace("%", "%%")
        if option.flag:
            group.addoption(
                option.command_line,
                dest=option.ini,
                action="store_const",
                const="yes",
                default=None,
                help=text,
            )
        else:
            group.addoption(option.command_line, dest=option.ini, default=None, metavar="VALUE", help=text)
        parser.addini(option.ini, f"{option.help} ({option.accepts})", default="")
