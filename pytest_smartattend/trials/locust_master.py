"""A storm from more than one machine: Locust's workers send it, and its history is judged as every other's.

The master hands out the plan and takes in the operations over Locust's own connections, so that a worker on another
machine needs nothing but this package. Needs the extra ``locust``; nothing of it is imported here.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final, Self

from pytest_smartattend.engine.history import History
from pytest_smartattend.errors import TargetFailed, UsageError
from pytest_smartattend.trials.requests import Request, address_of
from pytest_smartattend.trials.retries import NEVER, Retries
from pytest_smartattend.trials.storm_result import StormResult

#: what a worker on another machine runs: ``locust -f LOCUSTFILE --worker --master-host=HOST``
LOCUSTFILE: Final = Path(__file__).with_name("locust_worker.py")
#: environment variables by which the master learns its plan, and where the operations go
PLAN, OPERATIONS = "SMARTATTEND_LOCUST_PLAN", "SMARTATTEND_LOCUST_OPERATIONS"
#: seconds that workers get to come, and processes to go
_PATIENCE: Final = 60.0


def locust_storm(
    base_url: str,
    requests: Sequence[Request],
    *,
    workers: int = 2,
    remote_workers: int = 0,
    users: int = 10,
    retries: Retries = NEVER,
    seed: int = 0,
    seconds: float = 300.0,
    bind: tuple[str, int] = ("127.0.0.1", 0),
) -> StormResult:
    """Send `requests` by Locust: a master here, `workers` here, and `remote_workers` that somebody starts elsewhere.

    Moments in the history are those of each worker's wall clock, which must be in step; on one machine they are.

    Args:
        base_url: the platform's root, as all workers reach it.
        requests: what is sent; each worker gets every n-th, and its users share them.
        workers: processes on this machine.
        remote_workers: how many more are waited for.
        users: of each worker, at a time.
        retries: what is sent again, and when, with the same bytes and key.
        seed: of the jitter between retries.
        seconds: after which the storm is over; what has not ended by then is ``unknown``.
        bind: where the master listens; port 0 takes a free one.

    Raises:
        UsageError: Locust is not installed, or there is nothing to send or nobody to send it.
        TargetFailed: the platform answered nothing, or a process of Locust did not come to its end.
    """
    _check(base_url, requests, workers, workers + remote_workers, users)
    with ExitStack() as closing:
        place = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="smartattend-locust-")))
        _write_plan(place / "plan.json", requests, retries, seed)
        (place / "operations.jsonl").touch()
        master, worker = _commands(base_url, workers + remote_workers, users, seconds, bind)
        told = {PLAN: str(place / "plan.json"), OPERATIONS: str(place / "operations.jsonl")}
        log = closing.enter_context((place / "locust.log").open("w+b"))
        begun = time.perf_counter()
        leader = closing.enter_context(_Process(master, told, log))
        for _ in range(workers):
            closing.enter_context(_Process(worker, {}, log))
        status = leader.wait(seconds + 2 * _PATIENCE)
        result = _read(place / "operations.jsonl", requests)
        result.seconds = time.perf_counter() - begun
        if status != 0 or not result.answered:
            log.seek(0)
            tail = log.read().decode("utf-8", "replace")[-2_000:]
            raise TargetFailed(
                f"Locust's master ended with {status}, and the platform answered {result.answered} attempts. Is it up, and "
                f"do all workers reach it at {base_url}?\n{tail}"
            )
    return result


def _check(base_url: str, requests: Sequence[Request], workers: int, expected: int, users: int) -> None:
    address_of(base_url)
    if find_spec("locust") is None:
        raise UsageError('storms of Locust need it: pip install "pytest-smartattend[locust]".')
    if not requests or workers < 0 or expected < 1 or users < 1:
        raise UsageError("a storm needs at least one request, one worker and one user of it. Give them.")


def _commands(
    base_url: str, expected: int, users: int, seconds: float, bind: tuple[str, int]
) -> tuple[list[str], list[str]]:
    """How the master is started, and a worker on this machine."""
    host, port = bind[0], bind[1] or _free_port(bind[0])
    common = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--loglevel=ERROR"]
    master = [*common, "--master", f"--master-bind-host={host}", f"--master-bind-port={port}", "--headless"]
    master += [f"--expect-workers={expected}", f"--expect-workers-max-wait={_PATIENCE:g}", f"--host={base_url}"]
    master += [f"--users={users * expected}", f"--spawn-rate={users * expected}", f"--run-time={seconds:g}s"]
    master += ["--stop-timeout=5", "--only-summary", "--exit-code-on-error=0"]
    local = "127.0.0.1" if host in {"", "0.0.0.0"} else host  # noqa: S104 - compared, not bound
    return master, [*common, "--worker", f"--master-host={local}", f"--master-port={port}"]


class _Process:
    """One process of Locust, gone at the end of the ``with``."""

    def __init__(self, command: Sequence[str], told: dict[str, str], log: IO[bytes]) -> None:
        environment = {**os.environ, **told}
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )

    def __enter__(self) -> Self:
        return self

    def wait(self, seconds: float) -> int | None:
        """The exit status; None where it does not end."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        if self.wait(10) is None:
            self._process.kill()
            self._process.wait()


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def _write_plan(path: Path, requests: Sequence[Request], retries: Retries, seed: int) -> None:
    rules = {
        "attempts": retries.attempts,
        "first": retries.first.total_seconds(),
        "longest": retries.longest.total_seconds(),
        "statuses": sorted(retries.statuses),
        "seed": seed,
    }
    path.write_text(json.dumps({"retries": rules, "requests": [asdict(request) for request in requests]}))


def _read(path: Path, requests: Sequence[Request]) -> StormResult:
    """What the workers told. A request of which nobody told is an operation that never ended."""
    told: dict[int, dict[str, Any]] = {}
    result = StormResult("locust")
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        told[entry["place"]] = entry
    result.history = History()
    for place, request in enumerate(requests):
        entry = told.get(place)
        begin = 0 if entry is None else entry["begin"]
        process = 0 if entry is None else entry["process"]
        call, key = f"{request.method} {request.path}", request.key or request.path
        where = result.history.invoke(process, call, key, request.idempotency_key, begin)
        if entry is None:
            result.dropped += 1
            continue
        result.history.end(where, entry["outcome"], entry["result"], entry["end"])
        result.latency.record(entry["end"] - entry["begin"])
        result.replies.update(entry["replies"])
        result.answered += sum(count for fate, count in entry["replies"].items() if fate.isdecimal())
    return result
