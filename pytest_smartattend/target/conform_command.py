"""``smartattend conform``: which operations a platform answers as the contract says, before any suite runs."""

from __future__ import annotations

import argparse
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from pytest_smartattend.errors import UsageError
from pytest_smartattend.postgres import standalone
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.target import adapter
from pytest_smartattend.target.adapted import AdaptedPlatform
from pytest_smartattend.target.command_platform import CommandPlatform, schema_of
from pytest_smartattend.target.conforming import Word, conform
from pytest_smartattend.target.operations import OPERATIONS
from pytest_smartattend.target.url_platform import UrlPlatform


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments; they mean what the options of the same names do."""
    parser.add_argument("--target", choices=("command", "url"), required=True)
    parser.add_argument("--command", dest="start", default="", help="starts your platform", metavar="COMMAND")
    parser.add_argument("--migrate", default="", help="migrates its database", metavar="COMMAND")
    parser.add_argument("--url", default="", help="where your platform runs already")
    parser.add_argument("--adapter", required=True, help="reference, or a TOML file")
    parser.add_argument(
        "--allow-host", action="append", default=[], help="a host other than loopback that may be written to"
    )
    parser.add_argument("--postgres", default="auto", help="where the throwaway PostgreSQL comes from")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each answer and each operation without one; 0 when none is answered wrongly and some as it should be, else 1."""
    read = adapter.read(arguments.adapter, Path.cwd())
    lacking = "command" if arguments.target == "command" and not arguments.start else "url"
    if not (arguments.start if arguments.target == "command" else arguments.url):
        raise UsageError(f"--target={arguments.target} needs --{lacking}=…")
    words: dict[str, Word] = {}
    with ExitStack() as closing:
        platform = _platform(arguments, read, closing)
        closing.callback(platform.close)
        for found in conform(platform):
            if words.get(found.operation) != "WRONG":
                words[found.operation] = found.word
            print(f"{found.word:12} {found.operation:42} {found.how}".rstrip())
    counted = Counter(words.values())
    print(
        f"of {len(OPERATIONS)} operations {counted['ok']} as the contract says, {counted['not offered']} not offered, "
        f"{counted['not tried']} not tried, {counted['WRONG']} wrong"
    )
    if not counted["ok"]:
        print(
            "nothing was shown: no operation was answered as the contract says. Take from not_offered what is offered."
        )
    return 1 if counted["WRONG"] or not counted["ok"] else 0


def _platform(arguments: argparse.Namespace, read: adapter.Adapter, closing: ExitStack) -> AdaptedPlatform:
    if arguments.target == "url":
        return UrlPlatform(arguments.url, read, arguments.allow_host)
    allowed = tuple(arguments.allow_host)
    folders = closing.enter_context(standalone.own_folders())[1]
    server = closing.enter_context(standalone.throwaway(Wanted(postgres=arguments.postgres, allow_host=allowed)))
    database = server.pool(schema_of(arguments.migrate, read, Path.cwd())).take()
    return CommandPlatform(arguments.start, read, server, database, Path.cwd(), folders[-1] / "platform")
