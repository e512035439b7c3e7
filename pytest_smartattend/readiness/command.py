"""``smartattend readiness``: run the shipped suites in a process of their own, then gate what that process wrote."""

from __future__ import annotations

import argparse
import ctypes
import datetime as dt
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from pytest_smartattend.evidence import run_directory, stopwatch
from pytest_smartattend.readiness import folder
from pytest_smartattend.readiness.gate import Answer, ask, check_allowed
from pytest_smartattend.readiness.gate_command import add_judging_arguments, question_from, told
from pytest_smartattend.readiness.reasons import STATUSES, UNTRUSTWORTHY, USAGE
from pytest_smartattend.readiness.summary import headline

#: workers without being told: more do not make a run shorter by much, and every one starts a platform
MOST_WORKERS = 4
_PR_SET_PDEATHSIG = 1
#: pytest's exit status where more parts than checks were asked for
_NOTHING_TO_RUN = 5
#: and where an option, a file or a name is not what is accepted
_USAGE_OF_PYTEST = 4
#: what the document of one part lacks because the other parts hold it
OF_OTHER_SHARDS = frozenset({"shard_absent", "check_missing"})
#: Plugins that may lie in the same environment; no shipped check uses them, and each process would take a second for them.
IDLE_PLUGINS = ("hypothesispytest", "schemathesis", "pytest_postgresql")
#: variables by which a project changes how its own tests run
NOT_FOR_PYTEST = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_DISABLE_PLUGIN_AUTOLOAD")
#: What a project's configuration may say about its own tests must not change which shipped checks run, or how.
NEUTRAL = (
    "addopts=",
    "testpaths=",
    "norecursedirs=",
    "collect_imported_tests=true",
    "python_files=test_*.py",
    "python_classes=Test",
    "python_functions=test",
    "usefixtures=",
    "filterwarnings=",
    "xfail_strict=false",
    "empty_parameter_set_mark=skip",
    "asyncio_mode=strict",
    "asyncio_default_fixture_loop_scope=function",
    "disable_test_id_escaping_and_forfeit_all_rights_to_community_support=false",
)


def add_target_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare which platform, in the words of `smartattend conform`."""
    parser.add_argument(
        "--target",
        required=True,
        help="the platform to test: reference, the one that ships with this package; command or url, your own",
    )
    parser.add_argument("--command", dest="start", metavar="COMMAND", help="starts your platform")
    parser.add_argument("--url", help="where your platform runs already")
    parser.add_argument("--adapter", help="how your platform says what the contract says: reference, or a TOML file")


def target_words(arguments: argparse.Namespace) -> list[str]:
    """The same for pytest."""
    given = {name: getattr(arguments, name) for name in ("target", "url", "adapter")}
    given["command"] = arguments.start
    return [f"--smartattend-{name}={value}" for name, value in given.items() if value]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_target_arguments(parser)
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="where readiness.json and readiness.html go")
    parser.add_argument("--subject", help="what is released: a commit or an image; default: this checkout's commit")
    parser.add_argument(
        "--workers", type=int, help=f"pytest-xdist workers; 0 for none; default: processors, up to {MOST_WORKERS}"
    )
    parser.add_argument("--sabotage", help="plant this defect of `smartattend prove --list`; never ends in ready")
    parser.add_argument(
        "--suites",
        default="pytest_smartattend.suites",
        metavar="PACKAGE",
        help="run the checks of another package; those that ship stay required",
    )
    parser.add_argument("--history", type=Path, metavar="FILE", help="append the verdict to this file; shows the trend")
    parser.add_argument("--shard", metavar="K/N", help="run the k-th of n parts, for `smartattend merge`")
    parser.add_argument("--durations", type=Path, metavar="FILE", help="balance the parts by this earlier document")
    add_judging_arguments(parser)
    parser.add_argument(
        "pytest_arguments", nargs="*", metavar="-- ARGUMENTS", help="further arguments for pytest, after --"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run and gate; the gate's exit code, and 2 without a verdict where pytest refused what it was given."""
    check_allowed(arguments.allow)
    question = question_from(arguments)
    with ExitStack() as closing:
        reports = arguments.report
        if reports is None:
            # as a run's folder: whatever kills this process, the next run removes it
            reports = run_directory.folder_in(Path(tempfile.gettempdir()), f"{uuid.uuid4().hex[:12]}-{os.getpid()}")
            closing.enter_context(run_directory.hold(reports))
            closing.callback(run_directory.remove, reports)
        reports = reports.absolute()
        child, status = _run_pytest(arguments, reports)
        # Only what this very process wrote counts: an older document is of another process, or older than it. Its age is
        # that at its end: by the time of the beginning it would be dated in the future.
        question = replace(question, target=None, run=child, at=dt.datetime.fromisoformat(stopwatch.wall()))
        answer = ask(reports / folder.DOCUMENT, question)
    own = answer.document if answer.document and answer.document["run"]["pid"] == child else None
    if own is None:
        folder.set_aside(reports)
    if status == _USAGE_OF_PYTEST and (own is None or own["run"]["finished"] is None):
        return USAGE  # it has said what is wrong, and nothing was begun: that is no verdict about anybody's platform
    if own is None:
        print("UNTRUSTWORTHY: this is no verdict")
        print(f"  pytest ended with exit status {status} and left no document; its output above says why. Run again.")
        return UNTRUSTWORTHY
    return _said(answer, status, is_part=bool(arguments.shard))


def _said(answer: Answer, status: int, *, is_part: bool) -> int:
    """Tell the answer about the run's own document; the exit code that says the same."""
    document = answer.document
    assert document is not None
    if status and not answer.exit_code:
        print(headline(document, "incomplete"))
        print(f"  pytest ended with exit status {status}, so this is not ready; its output above says why")
        return STATUSES["incomplete"]
    words = list(told(answer))
    for line in words if answer.exit_code else words[:1]:
        print(line)
    if is_part:
        own = [reason for reason in answer.reasons if reason.code not in OF_OTHER_SHARDS]
        if answer.exit_code != UNTRUSTWORTHY and not own and status in {0, _NOTHING_TO_RUN}:
            print("  nothing speaks against this part; `smartattend merge` says whether the whole is ready")
            return STATUSES["ready"]
    return answer.exit_code


def command_line(arguments: argparse.Namespace, reports: Path) -> list[str]:
    """How pytest is called."""
    workers = arguments.workers
    if workers is None:
        workers = min(os.cpu_count() or 1, MOST_WORKERS)
    words = [sys.executable, "-m", "pytest", "--pyargs", arguments.suites]
    for setting in NEUTRAL:
        words += ["-o", setting]
    words += [f"-pno:{name}" for name in IDLE_PLUGINS]
    words += ["-q", "-p", "xdist", f"-n{workers}", "--dist=load", "--maxfail=0"]
    words += [*target_words(arguments), f"--smartattend-report={reports}"]
    for name in ("subject", "scope", "requirements", "sabotage", "shard", "durations", "history"):
        if getattr(arguments, name):
            words.append(f"--smartattend-{name}={getattr(arguments, name)}")
    return [*words, *words_after(arguments)]


def words_after(arguments: argparse.Namespace) -> list[str]:
    """What stood behind ``--``."""
    return list(arguments.pytest_arguments)


def _run_pytest(arguments: argparse.Namespace, reports: Path) -> tuple[int, int]:
    """Process id and exit status of the run. Ctrl-C and TERM are handed on, once each, to pytest alone."""
    environment = {key: value for key, value in os.environ.items() if key not in NOT_FOR_PYTEST}
    child = subprocess.Popen(
        command_line(arguments, reports),
        env=environment,
        process_group=0,
        preexec_fn=partial(_interrupted_without, os.getpid()),  # noqa: PLW1509 - there are no threads here yet
    )
    with _signals_handed_to(child):
        return child.pid, child.wait()


def _interrupted_without(parent: int) -> None:
    """In the child: when the command is killed, the kernel sends the Ctrl-C that nobody else can. Linux only.

    Also where a shell that put the command into the background had it ignore Ctrl-C.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


@contextmanager
def _signals_handed_to(child: subprocess.Popen[bytes]) -> Iterator[None]:
    def hand_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    before: Sequence[tuple[int, object]] = [
        (number, signal.signal(number, hand_on)) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)  # type: ignore[arg-type]
        if child.poll() is None:
            child.kill()
            child.wait()
