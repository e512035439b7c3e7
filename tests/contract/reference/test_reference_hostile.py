"""Whatever is sent: an answer with a name, and nothing stored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio

JSON = "application/json"
GOOD = {"title": "It is down", "severity": "low"}


def with_(**changes: object) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


HOSTILE: dict[str, tuple[bytes, str, int, str]] = {
    "nothing": (b"", JSON, 422, "validation_error"),
    "half": (b'{"title": ', JSON, 400, "malformed_json"),
    "two values": (b"{} {}", JSON, 400, "malformed_json"),
    "a list": (b"[]", JSON, 422, "validation_error"),
    "null": (b"null", JSON, 422, "validation_error"),
    "NaN": (b'{"title": "t", "severity": "low", "description": NaN}', JSON, 400, "malformed_json"),
    "Infinity": (b'{"title": "t", "severity": "low", "description": -Infinity}', JSON, 400, "malformed_json"),
    "a float beyond all floats": (b'{"title": 1e999, "severity": "low"}', JSON, 422, "validation_error"),
    "a huge integer": (b'{"title": ' + b"9" * 5000 + b', "severity": "low"}', JSON, 400, "malformed_json"),
    "deep lists": (b'{"title": ' + b"[" * 200_000, JSON, 400, "malformed_json"),
    "deep, closed lists": (b'{"title": ' + b"[" * 900 + b"]" * 900 + b"}", JSON, 422, "validation_error"),
    "deep objects": (b'{"a":' * 100_000, JSON, 400, "malformed_json"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), JSON, 400, "malformed_json"),
    "a byte order mark": (b"\xef\xbb\xbf" + with_(), JSON, 400, "malformed_json"),
    "broken UTF-8": (b'{"title": "\xff", "severity": "low"}', JSON, 400, "malformed_json"),
    "NUL": (with_(title="a\0b"), JSON, 422, "validation_error"),
    "NUL in a name": (with_(**{"a\0": 1}), JSON, 422, "validation_error"),
    "half a surrogate pair": (b'{"title": "a\\ud800b", "severity": "low"}', JSON, 422, "validation_error"),
    "a title of blanks": (with_(title=" \t\u3000\n"), JSON, 422, "validation_error"),
    "a title of 201": (with_(title="x" * 201), JSON, 422, "validation_error"),
    "a description of 10,001": (with_(description="x" * 10_001), JSON, 422, "validation_error"),
    "a title that is a number": (with_(title=7), JSON, 422, "validation_error"),
    "a title that is an object": (with_(title={"$ne": None}), JSON, 422, "validation_error"),
    "an unknown severity": (with_(severity="LOW"), JSON, 422, "validation_error"),
    "a severity that is a list": (with_(severity=["low"]), JSON, 422, "validation_error"),
    "a member that is not known": (with_(status="closed"), JSON, 422, "validation_error"),
    "ten megabytes": (with_(title="x" * 10_000_000), JSON, 413, "body_too_large"),
    "one byte too many": (b" " * (1 << 20) + b"1", JSON, 413, "body_too_large"),
    "a form": (b"title=t&severity=low", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    "text": (with_(), "text/plain", 415, "unsupported_media_type"),
    "another charset": (with_(), "application/json; charset=latin-1", 415, "unsupported_media_type"),
    "no type": (with_(), "", 415, "unsupported_media_type"),
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_what_makes_no_sense_is_refused_by_name_and_stores_nothing(world: World, name: str) -> None:
    content, media_type, status, code = HOSTILE[name]
    answer = await world.client("staff").post("/incidents", content=content, headers={"content-type": media_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert not [word for word in ("Traceback", "psycopg", "sqlalchemy", "SELECT", "INSERT") if word in answer.text]
    assert len(answer.content) < 2000
    assert world.rows("SELECT * FROM incidents") == []


async def test_a_body_without_a_length_is_counted_as_it_streams(world: World) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 65536
            yield b" " * 65536

    answer = await world.client("staff").post("/incidents", content=endless(), headers={"content-type": JSON})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("declared", ["1048577", "9" * 400])
async def test_a_length_that_is_too_large_is_refused_before_the_body_is_read(world: World, declared: str) -> None:
    headers = {"content-type": JSON, "content-length": declared}
    answer = await world.client("staff").post("/incidents", content=b"{}", headers=headers)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "text",
    [
        "'); DROP TABLE incidents; --",
        "<script>alert(1)</script>",
        "{{ 7 * 7 }} %s ${x}",
        "Gebäude 停電 🔥",
        "\u202egnp.exe",
    ],
)
async def test_text_that_only_looks_dangerous_is_kept_as_written(world: World, text: str) -> None:
    staff = world.client("staff")
    made = await staff.post("/incidents", json={"title": text, "description": text, "severity": "low"})
    read = (await staff.get(f"/incidents/{made.json()['id']}")).json()
    assert (read["title"], read["description"]) == (text, text)


@pytest.mark.parametrize(
    ("action", "body", "field"),
    [
        ("acknowledge", {"note": 7}, "note"),
        ("acknowledge", {"note": "x" * 2001}, "note"),
        ("acknowledge", {"word": "x"}, "word"),
        ("acknowledge", [], "body"),
        ("escalate", {}, "level"),
        ("escalate", {"level": "level_4"}, "level"),
        ("resolve", {"root_cause": 7}, "root_cause"),
        ("resolve", {"root_cause": ["long enough, but a list"]}, "root_cause"),
        ("resolve", {"root_cause": "x" * 10_001}, "root_cause"),
        ("root-cause", {"root_cause": "the disk was full"}, "confidence"),
        ("root-cause", {"root_cause": True, "confidence": "low"}, "root_cause"),
    ],
)
async def test_a_wrong_shape_names_its_field_and_is_no_refusal_of_the_incidents(
    world: World, action: str, body: Any, field: str
) -> None:
    admin, incident = world.client(), await world.incident()
    answer = await admin.post(f"/incidents/{incident}/{action}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation_error")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await admin.get(f"/incidents/{incident}/refusals")).json()["items"] == []


@pytest.mark.parametrize("reason", ["", "   ", None, 7])
async def test_a_severity_is_not_changed_without_a_reason(world: World, reason: object) -> None:
    incident = await world.incident()
    body = {"severity": "high", "reason": reason}
    answer = await world.client().patch(f"/incidents/{incident}/severity", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "reason")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/incidents/", 404, "not_found"),
        ("GET", "/incidents/x/y/z", 404, "not_found"),
        ("DELETE", "/incidents", 405, "method_not_allowed"),
        ("PUT", "/incidents/x", 405, "method_not_allowed"),
        ("TRACE", "/health", 405, "method_not_allowed"),
        ("POST", "/incidents/x/timeline", 405, "method_not_allowed"),
        ("ODD", "/auth/login", 405, "method_not_allowed"),
    ],
)
async def test_paths_and_methods_that_are_not_offered(
    world: World, method: str, path: str, status: int, code: str
) -> None:
    answer = await world.client().request(method, path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    if status == 405:
        assert method not in answer.headers["allow"]


async def test_a_405_names_all_methods_of_the_path(world: World) -> None:
    assert (await world.client().put("/incidents")).headers["allow"] == "GET, POST"


async def test_a_mistake_of_ours_shows_nothing_of_the_inside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret inside")

    world.platform.desk.lifecycle.report = broken  # type: ignore[assignment, method-assign]
    answer = await world.client("staff").post("/incidents", json=GOOD)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "inside" not in answer.text
    assert "secret inside" in caplog.text


async def test_an_action_may_come_without_any_body(world: World) -> None:
    admin, incident = world.client(), await world.incident()
    assert (await admin.post(f"/incidents/{incident}/acknowledge")).status_code == 200
    answer = await admin.post(f"/incidents/{incident}/investigate", content=b"null", headers={"content-type": JSON})
    assert answer.status_code == 200


async def test_an_id_that_no_database_could_hold_is_simply_not_there(world: World) -> None:
    for odd in ("%00", "%ED%A0%80", "a" * 5000, "..%2f..", f"urn:uuid:{uuid4()}", f"%7B{uuid4()}%7D", "%27--"):
        assert (await world.client().get(f"/incidents/{odd}")).status_code == 404, odd
