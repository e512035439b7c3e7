"""The door to the shell: ``smartattend COMMAND``. Each command lives in the room that it belongs to."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pytest_smartattend.errors import SmartattendError, UnsafeTarget, UsageError

#: command → (module that has ``add_arguments(parser)`` and ``run(arguments) -> int``, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "readiness": (
        "pytest_smartattend.readiness.command",
        "run the suites and say whether the platform can be released",
    ),
    "doctor": ("pytest_smartattend.doctor_command", "say what this machine has, what a run would use, and what to do"),
    "plan": (
        "pytest_smartattend.plan_command",
        "say what would run, what it needs, and how long it took the last time",
    ),
    "init": ("pytest_smartattend.init_command", "write an adapter, a scope and a workflow to begin with"),
    "conform": (
        "pytest_smartattend.target.conform_command",
        "call every operation of your platform once and say which are answered as the contract says",
    ),
    "gate": ("pytest_smartattend.readiness.gate_command", "read a readiness.json and exit with its verdict"),
    "merge": ("pytest_smartattend.readiness.merge_command", "put the documents of all shards together and gate them"),
    "convert": ("pytest_smartattend.readiness.convert_command", "write a readiness.json as CTRF or JUnit"),
    "prove": (
        "pytest_smartattend.prove",
        "plant every known defect and show which check catches it",
    ),
    "serve": (
        "pytest_smartattend.service.command",
        "serve the platform and the endpoints that validate it",
    ),
    "export": (
        "pytest_smartattend.trials.export_command",
        "export incidents of a running platform, to prove and to drive again",
    ),
    "replay": (
        "pytest_smartattend.trials.replay_command",
        "drive exported incidents again and say what became of them",
    ),
    "promote": (
        "pytest_smartattend.trials.promote_command",
        "make recorded incidents of what a failed check left in its database",
    ),
    "db": (
        "pytest_smartattend.postgres.database_command",
        "list, open and remove databases that failed tests left",
    ),
}

#: what a shell says of a command that wrote where nobody reads any more
_BY_SIGPIPE = 141

_EPILOG = """\
for the first time, in this order:
  smartattend doctor                                            what is here, and what to do
  smartattend plan --target=reference                           what would run
  smartattend readiness --target=reference --report=reports     run it; then open reports/readiness.html
  smartattend gate reports/readiness.json --target=reference --subject=COMMIT
                                                                ask for the verdict again, before a release; --target=command
                                                                or url for a platform of your own
  smartattend prove                                             see every check catch what it must catch

in your own project, the same with pytest: pytest --pyargs pytest_smartattend.suites --smartattend-target=reference
`smartattend COMMAND --help` tells more.

exit codes of readiness, gate and merge: 0 ready, 10 at risk, 20 not ready, 30 incomplete or out of date,
40 not a trustworthy document, 2 usage; 1 is a crash and never a verdict.
"""


def _parser(command: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="smartattend",
        description="Evidence, not claims: can this SmartAttend platform be trusted in production?",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.set_defaults(error=parser.error)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (module, text) in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == command:  # only the chosen command is imported
            importlib.import_module(module).add_arguments(sub)
            sub.set_defaults(error=sub.error)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command's arguments, with what stands behind ``--`` as `pytest_arguments`.

    argparse takes an option with a space in its value, such as ``--command="node server.js"``, for no option at all.
    """
    own, further = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    command = next((word for word in own if word in COMMANDS), None)
    arguments, stray = _parser(command).parse_known_args(own)
    takes_further = hasattr(arguments, "pytest_arguments")
    if takes_further:
        stray = [*arguments.pytest_arguments, *stray]
        arguments.pytest_arguments = list(further)
    elif further:
        stray = [*stray, "--", *further]
    if stray:
        advice = "; options of pytest, --smartattend-… among them, go behind --" if takes_further else ""
        arguments.error(f"unrecognized arguments: {' '.join(stray)}{advice}")
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        the command's exit status; 2 for wrong usage.
    """
    #: where a command notes its verdict before it tells it, so that nobody who does not listen can change it
    settled = argparse.Namespace(status=None)
    try:
        try:
            settled.status = _carried_out(list(sys.argv[1:] if argv is None else argv), settled)
        finally:
            print(end="", flush=True)
    except OSError as problem:
        return _unwritten(problem, settled.status)
    return int(settled.status)


def _unwritten(problem: OSError, settled: int | None) -> int:
    """The exit status where the output could not be written; a problem with anything else is raised."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to write must not fail at the end
    else:
        raise problem
    if isinstance(problem, BrokenPipeError):  # as of `| head -1`: whoever reads has read enough
        return _BY_SIGPIPE if settled is None else settled
    print(
        f"smartattend: the output cannot be written ({problem.strerror}). Make room, or send it elsewhere.",
        file=sys.stderr,
    )
    return settled or 1


def _carried_out(words: list[str], settled: argparse.Namespace) -> int:
    arguments = parse(words)
    arguments.settled = settled
    if arguments.version:
        from importlib.metadata import version

        print(f"pytest-smartattend {version('pytest-smartattend')}")
        return 0
    if arguments.command is None:
        _parser(None).print_help()
        return 2
    try:
        return int(importlib.import_module(COMMANDS[arguments.command][0]).run(arguments))
    except SmartattendError as problem:
        print(f"smartattend {arguments.command}: {problem}", file=sys.stderr)
        return 2 if isinstance(problem, UsageError | UnsafeTarget) else 1
    except KeyboardInterrupt:
        print(f"smartattend {arguments.command}: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
