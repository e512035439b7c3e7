"""The parser finds the same answer however its bytes are cut, and says when what came is none."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.trials.answers import HEAD_LIMIT, MalformedAnswer, Parser, Raw

PLAIN = b'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"id":"1"}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4;name=value\r\n{"id\r\nA\r\n":"\xc3\xa4\xc3\xa4\xc3\xa4"\r\n1\r\n}\r\n0\r\n\r\n'
)
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"


def feed(data: bytes, cuts: list[int], *, bodyless: bool = False) -> Raw | None:
    parser, raw = Parser(), None
    parser.begin(bodyless=bodyless)
    edges = [0, *sorted({cut % len(data) for cut in cuts}), len(data)]
    for start, end in pairwise(edges):
        assert raw is None
        raw = parser.feed(data[start:end])
    return raw


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (PLAIN, 201, b'{"id":"1"}'),
        (CHUNKED, 200, '{"id":"äää"}'.encode()),
        (CONTINUED, 201, b'{"id":"1"}'),
        (EMPTY, 204, b""),
    ],
)
@given(cuts=st.lists(st.integers(0, 10_000), max_size=6))
def test_an_answer_is_found_however_it_is_cut(data: bytes, status: int, body: bytes, cuts: list[int]) -> None:
    raw = feed(data, cuts)
    assert raw is not None
    assert (raw.status, raw.body, raw.keeps) == (status, body, True)


def test_headers_and_json_are_read_when_asked_for() -> None:
    raw = feed(PLAIN, [])
    assert raw is not None
    assert raw.headers == {"content-type": "application/json", "content-length": "10"}
    assert raw.json == {"id": "1"}
    assert raw._replace(body=b"\xff").json is None


def test_the_answer_to_head_has_no_body() -> None:
    raw = feed(PLAIN.partition(b"\r\n\r\n")[0] + b"\r\n\r\n", [], bodyless=True)
    assert raw is not None
    assert raw.body == b""


def test_an_answer_without_length_ends_with_the_connection() -> None:
    parser = Parser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nhalf") is None
    assert parser.feed(b" and half") is None
    raw = parser.eof()
    assert raw is not None
    assert (raw.body, raw.keeps) == (b"half and half", False)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nCont", PLAIN[:-1], CHUNKED[:-1], CHUNKED[:-7]])
def test_an_answer_that_is_cut_off_is_none(data: bytes) -> None:
    parser = Parser()
    assert parser.feed(data) is None
    assert parser.eof() is None


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * (HEAD_LIMIT + 1),
    ],
)
def test_what_is_no_answer_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        Parser().feed(data)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nconnection: Keep-Alive", True),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive", True),
    ],
)
def test_a_connection_is_kept_as_the_answer_says(head: bytes, *, keeps: bool) -> None:
    raw = feed(head + b"\r\nContent-Length: 0\r\n\r\n", [])
    assert raw is not None
    assert raw.keeps is keeps


def test_each_answer_of_a_connection_has_its_own_head() -> None:
    parser, statuses = Parser(), []
    for data in (PLAIN, PLAIN, EMPTY, PLAIN):
        parser.begin(bodyless=False)
        raw = parser.feed(data)
        assert raw is not None
        statuses.append((raw.status, raw.body))
    assert statuses == [(201, b'{"id":"1"}')] * 2 + [(204, b""), (201, b'{"id":"1"}')]
