"""A request is what it says on the wire, and cannot be made to say more."""

from __future__ import annotations

import pytest

from pytest_smartattend.errors import UsageError
from pytest_smartattend.trials.requests import Request, address_of

ROOT = address_of("http://127.0.0.1:8000")


def test_a_request_as_it_stands_on_the_wire() -> None:
    request = Request("POST", "/a", "token", {"name": "ä"}, idempotency_key="k-1", headers={"X-Node": "2"})
    head, _, body = request.encoded(ROOT).partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /api/a HTTP/1.1",
        b"Host: 127.0.0.1:8000",
        b"X-Node: 2",
        b"Authorization: Bearer token",
        b"Idempotency-Key: k-1",
        b"Content-Type: application/json",
        b"Content-Length: 18",
    ]
    assert body == b'{"name": "\\u00e4"}'


def test_a_request_without_body_has_no_length() -> None:
    assert Request("GET", "/a").encoded(address_of("http://h/root/")) == b"GET /root/api/a HTTP/1.1\r\nHost: h\r\n\r\n"


def test_a_held_request_asks_to_be_continued() -> None:
    assert b"\r\nExpect: 100-continue\r\n" in Request("POST", "/a", body={}).encoded(ROOT, hold=True)
    with pytest.raises(UsageError, match="no body whose last byte"):
        Request("GET", "/a").encoded(ROOT, hold=True)


@pytest.mark.parametrize(
    "request_",
    [Request("GET", "/a b"), Request("GET", "/a", "x\r\nY: z"), Request("GET", "/a\r\n"), Request("G T", "/a")],
)
def test_a_text_that_would_break_out_of_its_line_is_refused(request_: Request) -> None:
    with pytest.raises(UsageError, match="Encode it"):
        request_.encoded(ROOT)


@pytest.mark.parametrize("url", ["https://h", "h:80", "http://", "ftp://h", ""])
def test_a_url_that_is_none_of_ours_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="Give an http:// URL"):
        address_of(url)
