"""What a client knows of an operation when the answer is an error, is lost, or never came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest

from pytest_smartattend.errors import ContractBroken
from pytest_smartattend.target.client import Client, Operation, outcome_of


@pytest.mark.parametrize(
    ("method", "status", "outcome"),
    [
        ("POST", 201, "ok"),
        ("POST", 409, "failed"),
        ("POST", 503, "unknown"),
        ("PATCH", 500, "unknown"),
        ("GET", 503, "failed"),
        ("GET", 304, "ok"),
    ],
)
def test_a_write_after_a_server_error_may_have_happened(method: str, status: int, outcome: str) -> None:
    assert outcome_of(method, status) == outcome


@pytest.fixture
def swallower() -> Iterator[int]:
    """A server that reads one request and closes the connection without an answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            link, _ = listener.accept()
            with link:
                link.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_a_lost_answer_is_unknown(swallower: int) -> None:
    told: list[Operation] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{swallower}") as http:
        answer = Client(http, None, told.append).report()
    assert answer.operation.outcome == "unknown"
    assert told == [answer.operation]
    with pytest.raises(ContractBroken, match="no answer"):
        answer.must()


def test_a_refused_connection_certainly_failed() -> None:
    with socket.socket() as deaf:  # it keeps its port, so that nobody else answers there, and does not listen
        deaf.bind(("127.0.0.1", 0))
        with httpx.Client(base_url=f"http://127.0.0.1:{deaf.getsockname()[1]}") as http:
            assert Client(http, None, lambda _: None).report().operation.outcome == "failed"


def test_a_problem_is_summed_up_by_status_and_code() -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            409, json={"code": "invalid_transition"}, headers={"content-type": "application/problem+json"}
        )

    with httpx.Client(base_url="http://test", transport=httpx.MockTransport(handler)) as http:
        answer = Client(http, "token", lambda _: None).act("id", "close")
    assert answer.summary == "409 invalid_transition"
    assert not answer.ok
