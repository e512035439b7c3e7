"""Requests and answers of the contract in somebody's words, and back, without a loss."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_smartattend.target.adapter import Adapter
from pytest_smartattend.target.operations import operation_of
from pytest_smartattend.target.translator import Message, Translator

ADAPTER = Adapter.model_validate(
    {
        "name": "Acme",
        "api": {
            "prefix": "/v2",
            "authorization": "Token {token}",
            "headers": {"authorization": "X-Auth", "idempotency-key": "X-Request", "idempotency-replayed": "x-again"},
            "paths": {
                "POST /incidents": "PUT /v2/cases",
                "GET /incidents/{id}": "GET /v2/cases/{id}",
                "POST /incidents/{id}/acknowledge": "POST /v2/cases/{id}/ack",
            },
            "names": {"severity": "priority", "items": "data", "status": "state", "state": "standing"},
            "values": {"severity": {"high": "P2"}, "legal": {"open": "NEW"}, "current": {"open": "NEW"}},
            "errors": {"inside": "error", "code": "type", "detail": "message"},
            "codes": {"BAD_STATE": "409 invalid_transition"},
            "statuses": {"POST /incidents": {"200": 201}},
        },
    }
)


@pytest.fixture
def translator() -> Translator:
    return Translator(ADAPTER)


def ours(method: str, path: str, body: object = None, **headers: str) -> Message:
    content = b"" if body is None else json.dumps(body).encode()
    return Message(method, path, headers, content, operation=operation_of(method, path))


def theirs(status: int, body: object) -> Message:
    return Message("", "", {"content-type": "application/json"}, json.dumps(body).encode(), status)


def test_a_request_goes_to_their_place_in_their_words(translator: Translator) -> None:
    sent = translator.request(
        ours("POST", "/incidents", {"title": "t", "severity": "high"}, authorization="Bearer abc")
    )
    assert (sent.method, sent.path) == ("PUT", "/v2/cases")
    assert sent.json == {"title": "t", "priority": "P2"}
    assert sent.headers == {"x-auth": "Token abc", "content-type": "application/json"}


def test_a_query_is_put_in_their_words_too(translator: Translator) -> None:
    assert (
        translator.request(ours("GET", "/incidents?severity=high&status=open")).path
        == "/v2/incidents?priority=P2&state=open"
    )


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/incidents/7/acknowledge", "/v2/cases/7/ack"),
        ("/incidents/7/close", "/v2/incidents/7/close"),
        ("/incidents/7/open", "/v2/cases/7/open"),
        ("/nowhere", "/v2/nowhere"),
        ("/incidents/a%2Fb", "/v2/cases/a%2Fb"),
    ],
)
def test_a_path_finds_its_place_whether_it_was_named_or_not(translator: Translator, path: str, place: str) -> None:
    method = "GET" if path.count("/") == 2 else "POST"
    assert translator.request(ours(method, path)).path == place


@pytest.mark.parametrize("body", [b"{", b"", b"[1, 2", b"\xff", b"[" * 100_000])
def test_what_is_no_json_goes_as_it_is(translator: Translator, body: bytes) -> None:
    assert translator.request(Message("POST", "/incidents", {}, body, operation="POST /incidents")).body == body


def test_an_answer_comes_back_in_our_words_and_what_was_hashed_is_not_touched(translator: Translator) -> None:
    asked = ours("POST", "/incidents", {})
    payload = {"priority": "P2", "state": "x"}
    body = {"priority": "P2", "state": "open", "data": [{"standing": "VERIFIED"}], "payload": payload}
    answer = translator.answer(theirs(200, body), asked)
    assert answer.status == 201
    assert answer.json == {"severity": "high", "status": "open", "items": [{"state": "VERIFIED"}], "payload": payload}


def test_a_refusal_becomes_a_problem_with_our_code_and_status(translator: Translator) -> None:
    refused = {"error": {"type": "BAD_STATE", "message": "no", "current": "NEW", "legal": ["NEW", "other"]}}
    answer = translator.answer(theirs(400, refused), ours("POST", "/incidents/7/acknowledge", {}))
    assert answer.status == 409
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json
    assert (told["code"], told["detail"], told["current"], told["legal"]) == (
        "invalid_transition",
        "no",
        "open",
        ["open", "other"],
    )


def test_a_refusal_that_the_adapter_does_not_know_keeps_its_own_code(translator: Translator) -> None:
    answer = translator.answer(theirs(418, {"error": {"type": "TEAPOT"}}), ours("POST", "/incidents", {}))
    assert (answer.status, answer.json["code"]) == (418, "TEAPOT")
    page = Message("", "", {"content-type": "text/html"}, b"<html>", 500)
    assert translator.answer(page, ours("POST", "/incidents", {})).body == b"<html>"


def test_codes_of_kept_refusals_are_ours(translator: Translator) -> None:
    answer = translator.answer(
        theirs(200, {"data": [{"code": "BAD_STATE"}, {"code": "OTHER"}]}), ours("GET", "/incidents/7/refusals")
    )
    assert [one["code"] for one in answer.json["items"]] == ["invalid_transition", "OTHER"]


def test_headers_of_an_answer_are_ours(translator: Translator) -> None:
    answer = translator.answer(Message("", "", {"x-again": "true"}, b"", 200), ours("POST", "/school/attendance", {}))
    assert answer.headers == {"idempotency-replayed": "true"}
