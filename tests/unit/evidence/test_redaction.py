"""Secrets are taken out, whatever stands around them; what is none stays."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.evidence import encoding, redaction
from pytest_smartattend.evidence.redaction import SHOWN, redacted

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"
SECRET = "hunter2-correct-horse"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"postgresql://ada:{SECRET}@db/x", f"postgresql://ada:{SHOWN}@db/x"),
        (f"redis://:{SECRET}@cache:6379", f"redis://:{SHOWN}@cache:6379"),
        (f"host=db password={SECRET} user=ada", f"host=db password={SHOWN} user=ada"),
        (f"?sslmode=require&password={SECRET}&x=1", f"?sslmode=require&password={SHOWN}&x=1"),
        (f"Authorization: Bearer {TOKEN}", f"Authorization: {SHOWN}"),
        (f"sent bearer {SECRET} to", f"sent bearer {SHOWN} to"),
        (f"the token {TOKEN} expired", f"the token {SHOWN} expired"),
        (f"{{'access_token': '{SECRET}', 'a': 1}}", f"{{'access_token': '{SHOWN}', 'a': 1}}"),
        (f"SMARTATTEND_SEAL_SECRET={SECRET}", f"SMARTATTEND_SEAL_SECRET={SHOWN}"),
        (f"Set-Cookie: id={SECRET}; Path=/", f"Set-Cookie: {SHOWN}"),
    ],
)
def test_a_secret_is_taken_out_and_what_stands_around_it_stays(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://ada@db/x", "http://127.0.0.1:8000/api/incidents", "password must not be empty", "token expired",
        "wrong token: none", "scenarios/tokens[other-secret]", '{"status": "open", "password_set": true}', "basic-scheme",
        "a secret was recorded", "12:30@noon", '{"token": null, "secret": 4}',
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("secret", [SECRET, 'with "quotes" and spaces', "back\\slash", "é\n\t", "a" * 5000])
def test_a_record_stays_json_and_has_no_secret(secret: str) -> None:
    line = encoding.encode({"name": "login", "seen": {"password": secret, "body": json.dumps({"token": secret})}})
    found = json.loads(line)
    assert found["seen"]["password"] == SHOWN
    assert found["seen"]["body"].startswith('{"token": "' + SHOWN)
    assert json.dumps(secret)[1:12] not in line
    assert secret[:11] not in found["seen"]["body"]


HOSTILE = st.text(st.sampled_from("\\\"' a:=@/{}\n") | st.characters())
VALUES = st.recursive(
    st.none() | HOSTILE | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["password", "a", "token"]) | HOSTILE, inner),
)


@given(HOSTILE)
def test_no_text_breaks_it(text: str) -> None:
    for shape in ("{}", "password={}", '"token": "{}"', "postgresql://a:{}@b", "bearer {}"):
        redacted(shape.replace("{}", text))


@given(VALUES)
def test_no_value_under_the_name_of_a_secret_is_left(value: object) -> None:
    def look(found: object) -> None:
        if isinstance(found, dict):
            for key, one in found.items():
                assert key not in {"password", "token"} or not isinstance(one, str) or one in {"", SHOWN}
                look(one)
        elif isinstance(found, list):
            for one in found:
                look(one)

    look(redaction.redacted_values(value))


def test_the_values_of_secret_variables_are_taken_out_wherever_they_turn_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "not-shaped-like-anything")
    monkeypatch.setenv("SOME_TOKEN_FILE", "/run/secrets/token")
    redaction._own_secrets.cache_clear()
    try:
        assert redacted("sent not-shaped-like-anything to /run/secrets/token") == f"sent {SHOWN} to /run/secrets/token"
    finally:
        monkeypatch.undo()
        redaction._own_secrets.cache_clear()
