"""What a storm makes of servers that lose answers, refuse, stall, speak nonsense or do not confirm."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.errors import TargetFailed, UsageError
from pytest_smartattend.trials import overlap
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.retries import Retries
from pytest_smartattend.trials.storm import Storm
from pytest_smartattend.trials.storm_result import StormResult

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"id": 1}'
REFUSED = b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"
REQUEST = Request("POST", "/a", body={"n": 1}, key="k", idempotency_key="i")
QUICK = Retries(attempts=3, first=1 * MILLISECOND, longest=1 * MILLISECOND)

UpstreamOf = Callable[..., Any]


def read_request(peer: socket.socket) -> bytes:
    """One whole request, without asking for its body; empty when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"}"):
        more = peer.recv(65536)
        if not more:
            return b""
        data += more
    return data


class Script:
    """Answers each request with the next of `answers`, the last for ever; None ends the connection in its place."""

    def __init__(self, *answers: bytes | None) -> None:
        self.requests: list[bytes] = []
        self._answers = list(answers)
        self._lock = threading.Lock()

    def __call__(self, peer: socket.socket) -> None:
        while request := read_request(peer):
            with self._lock:
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if answer is None:
                return
            peer.sendall(answer)


def storm_at(upstream_of: UpstreamOf, script: Callable[[socket.socket], None], **options: Any) -> Storm:
    host, port = upstream_of(script).address
    return Storm(f"http://{host}:{port}", **options)


def outcomes(result: StormResult) -> Counter[str]:
    return Counter(operation.outcome for operation in result.history)


def test_a_lost_answer_is_unknown_and_a_refusal_failed(upstream_of: UpstreamOf) -> None:
    result = storm_at(upstream_of, Script(OK, None, REFUSED)).closed([REQUEST] * 3, workers=1)
    assert [operation.outcome for operation in result.history] == ["ok", "unknown", "failed"]
    assert result.replies == {"200": 1, "lost": 1, "409": 1}
    assert [operation.result for operation in result.history] == [1, None, None]


def test_a_retry_sends_the_same_bytes_and_makes_the_operation_ok(upstream_of: UpstreamOf) -> None:
    script = Script(None, OK)
    result = storm_at(upstream_of, script, retries=QUICK).closed([REQUEST], workers=1)
    assert outcomes(result) == {"ok": 1}
    assert len(script.requests) == result.attempts == 2
    assert script.requests[0] == script.requests[1]
    assert b"\r\nIdempotency-Key: i\r\n" in script.requests[1]


def test_a_refusal_after_a_lost_answer_leaves_it_unknown(upstream_of: UpstreamOf) -> None:
    result = storm_at(upstream_of, Script(None, REFUSED), retries=QUICK).closed([REQUEST], workers=1)
    assert outcomes(result) == {"unknown": 1}


def test_a_worker_goes_on_over_a_new_connection(upstream_of: UpstreamOf) -> None:
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    result = storm_at(upstream_of, Script(closing, closing, None, OK)).closed([REQUEST] * 5, workers=1)
    assert outcomes(result) == {"ok": 4, "unknown": 1}


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
def test_nonsense_is_a_lost_answer(upstream_of: UpstreamOf, answer: bytes) -> None:
    result = storm_at(upstream_of, Script(OK, answer, OK), timeout=2).closed([REQUEST] * 3, workers=1)
    assert outcomes(result) == {"ok": 2, "unknown": 1}


def test_a_silent_platform_is_unknown_after_the_timeout(upstream_of: UpstreamOf) -> None:
    result = storm_at(upstream_of, Script(OK, b"", OK), timeout=2).closed([REQUEST] * 3, workers=1)
    assert outcomes(result) == {"ok": 2, "unknown": 1}
    assert 2e9 <= result.latency.most < 20e9


@pytest.mark.parametrize("mode", ["closed", "open", "last_byte"])
def test_a_platform_that_answers_nothing_fails_the_storm(upstream_of: UpstreamOf, mode: str) -> None:
    storm = storm_at(upstream_of, Script(None))
    arguments = {"closed": (4,), "open": (500.0,), "last_byte": ()}[mode]
    with pytest.raises(TargetFailed, match="answered none of"):
        getattr(storm, mode)([REQUEST] * 8, *arguments)


def test_a_storm_without_any_answer_is_given_up_early(upstream_of: UpstreamOf) -> None:
    script = Script(None)
    with pytest.raises(TargetFailed, match="answered none of"):
        storm_at(upstream_of, script).closed([REQUEST] * 5_000, workers=2)
    assert len(script.requests) < 60


def test_what_finds_no_free_worker_is_dropped_and_counted(upstream_of: UpstreamOf) -> None:
    storm = storm_at(upstream_of, Script(OK, b"", OK), timeout=0.3)
    result = storm.open([REQUEST] * 30, per_second=100, workers=1, patience=0.1)
    assert result.dropped > 0
    assert len(result.history) + result.dropped == 30
    assert result.late.most <= result.latency.most


def test_waiting_for_a_worker_counts_as_latency(upstream_of: UpstreamOf) -> None:
    storm = storm_at(upstream_of, Script(OK, b"", OK), timeout=2)
    result = storm.open([REQUEST] * 5, per_second=100, workers=1)
    assert outcomes(result) == {"ok": 4, "unknown": 1}
    slow = sum(operation.end - operation.begin > 1e9 for operation in result.history if operation.end is not None)
    assert slow == 1
    assert result.latency.percentile(50).total_seconds() > 1


def test_a_platform_that_never_says_continue_is_stormed_all_the_same(
    upstream_of: UpstreamOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlap, "SETTLE", 0.1)
    result = storm_at(upstream_of, Script(OK)).last_byte([REQUEST] * 5)
    assert outcomes(result) == {"ok": 5}
    assert result.inside == 0


def test_a_platform_that_answers_before_the_body_is_done_is_not_waited_for(upstream_of: UpstreamOf) -> None:
    def hasty(peer: socket.socket) -> None:
        peer.recv(65536)
        peer.sendall(REFUSED)
        peer.recv(65536)

    result = storm_at(upstream_of, hasty).last_byte([REQUEST] * 5)
    assert outcomes(result) == {"failed": 5}
    assert result.inside == 0
    assert result.seconds < overlap.SETTLE


def test_nothing_to_send_is_refused(upstream_of: UpstreamOf) -> None:
    storm = storm_at(upstream_of, Script(OK))
    for mode, arguments in (("last_byte", ()), ("closed", (1,)), ("open", (1.0,))):
        with pytest.raises(UsageError, match="no requests shows nothing"):
            getattr(storm, mode)([], *arguments)


@pytest.mark.parametrize(
    ("mode", "arguments", "message"),
    [
        ("closed", (0,), "cannot be sent by 0 workers"),
        ("open", (0.0,), "cannot send 0.0 requests a second"),
        ("open", (float("nan"),), "cannot send nan requests"),
    ],
)
def test_a_storm_that_makes_no_sense_is_refused(mode: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        getattr(Storm("http://127.0.0.1:1"), mode)([REQUEST], *arguments)


def test_a_storm_within_a_running_loop_says_what_to_do(upstream_of: UpstreamOf) -> None:
    storm = storm_at(upstream_of, Script(OK))

    async def within() -> StormResult:
        with pytest.raises(UsageError, match=r"await asyncio\.to_thread"):
            storm.closed([REQUEST], 1)
        return await asyncio.to_thread(storm.closed, [REQUEST], 1)

    assert outcomes(asyncio.run(within())) == {"ok": 1}
