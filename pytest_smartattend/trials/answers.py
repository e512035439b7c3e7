"""Reads HTTP/1.1 answers from bytes as they come: no more of the protocol than a generator needs, and fast."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

#: bytes that the head of an answer may take
HEAD_LIMIT: Final = 65_536
_WITHOUT_BODY: Final = frozenset({204, 304})


class MalformedAnswer(ValueError):
    """What came back is no answer of HTTP/1.1."""


class Raw(NamedTuple):
    """An answer as it came.

    Attributes:
        status: the HTTP status.
        head: the status line and the headers.
        body: decoded from chunks where it was sent in chunks.
        keeps: whether the connection may be used again.
    """

    status: int
    head: bytes
    body: bytes
    keeps: bool

    @property
    def headers(self) -> dict[str, str]:
        """The headers, names in lower case; of one that came twice, the last."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The decoded body; None where it is not JSON."""
        try:
            return json.loads(self.body.decode())
        except ValueError:
            return None


class _Head(NamedTuple):
    """What a head says: `length` of the body is -1 where the body's own end tells."""

    text: bytes
    status: int
    length: int
    chunked: bool
    keeps: bool


class Parser:
    """Turns the bytes of one connection into answers, one request at a time.

    A head that is byte for byte the one before it, as most are in a storm, is not read again.

    Attributes:
        continued: whether a ``100 Continue`` came since the last `begin`.
    """

    __slots__ = ("_bodyless", "_data", "_head", "_last", "continued")

    def __init__(self) -> None:
        self._last: _Head | None = None
        self.begin(bodyless=False)

    def begin(self, *, bodyless: bool) -> None:
        """Expect the answer to a new request; `bodyless` for HEAD, whose answer has none."""
        self._data = b""
        self._head: _Head | None = None
        self._bodyless = bodyless
        self.continued = False

    def feed(self, data: bytes) -> Raw | None:
        """Take in `data`; the answer when it is whole.

        Raises:
            MalformedAnswer: it is no HTTP/1.1.
        """
        self._data = self._data + data if self._data else data
        head = self._head or self._read_head()
        if head is None:
            return None
        length = 0 if self._bodyless else head.length
        if length >= 0:
            return Raw(head.status, head.text, self._data[:length], head.keeps) if len(self._data) >= length else None
        body = _unchunked(self._data) if head.chunked else None
        return None if body is None else Raw(head.status, head.text, body, head.keeps)

    def eof(self) -> Raw | None:
        """The connection ended: the answer if that is how it ends, else None, for a part of it is lost."""
        head = self._head
        until_end = head is not None and head.length < 0 and not head.chunked
        return Raw(head.status, head.text, self._data, keeps=False) if head is not None and until_end else None

    def _read_head(self) -> _Head | None:
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            text = self._data[:end]
            self._data = self._data[end + 4 :]
            head = self._last if self._last is not None and self._last.text == text else _parsed(text)
            if head.status >= 200:
                self._head = self._last = head
                return head
            self.continued = self.continued or head.status == 100
        if len(self._data) > HEAD_LIMIT:
            raise MalformedAnswer(f"a head of more than {HEAD_LIMIT} bytes")
        return None


def _parsed(text: bytes) -> _Head:
    if not text.startswith(b"HTTP/1.") or not text[9:12].isdigit():
        raise MalformedAnswer(f"not an answer of HTTP/1.1: {text[:80]!r}")
    status, lower = int(text[9:12]), text.lower()
    chunked = _value(lower, b"transfer-encoding") is not None
    length = _value(lower, b"content-length")
    if length is not None and not length.isdigit():
        raise MalformedAnswer(f"a content-length of {length!r}")
    connection = _value(lower, b"connection")
    keeps = connection != b"close" and (text.startswith(b"HTTP/1.1") or connection == b"keep-alive")
    if status in _WITHOUT_BODY:
        return _Head(text, status, 0, chunked=False, keeps=keeps)
    return _Head(text, status, -1 if chunked or length is None else int(length), chunked, keeps)


def _value(lower: bytes, name: bytes) -> bytes | None:
    """A header's value in a head of lower case; None where there is no such header."""
    at = lower.find(b"\r\n" + name + b":")
    if at < 0:
        return None
    start = at + len(name) + 3
    end = lower.find(b"\r\n", start)
    return lower[start : end if end >= 0 else None].strip()


def _unchunked(data: bytes) -> bytes | None:
    """The body that was sent in chunks; None while its end is not there. Trailers are left unread."""
    body, at = bytearray(), 0
    while (line := data.find(b"\r\n", at)) >= 0:
        try:
            size = int(data[at:line].partition(b";")[0], 16)
        except ValueError:
            raise MalformedAnswer(f"a chunk of size {data[at:line][:20]!r}") from None
        at = line + 2
        if size == 0:
            return bytes(body) if data.find(b"\r\n", at) >= 0 else None
        if len(data) < at + size + 2:
            return None
        body += data[at : at + size]
        at += size + 2
    return None
