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


class Parser:
    """Turns the bytes of one connection into answers, one request at a time.

    Attributes:
        continued: whether a ``100 Continue`` came since the last `begin`.
    """

    __slots__ = ("_data", "_end", "_head", "_headless", "_lower", "continued")

    def __init__(self) -> None:
        self.begin(bodyless=False)

    def begin(self, *, bodyless: bool) -> None:
        """Expect the answer to a new request; `bodyless` for HEAD, whose answer has none."""
        self._data = bytearray()
        self._head = b""
        self._lower = b""
        self._end = 0
        self._headless = bodyless
        self.continued = False

    def feed(self, data: bytes) -> Raw | None:
        """Take in `data`; the answer when it is whole.

        Raises:
            MalformedAnswer: it is no HTTP/1.1.
        """
        self._data += data
        if not self._head and not self._read_head():
            return None
        if self._end >= 0:
            return self._whole(bytes(self._data[: self._end])) if len(self._data) >= self._end else None
        if self._value(b"transfer-encoding") is None:
            return None  # it lasts until the connection ends
        body = _unchunked(self._data)
        return None if body is None else self._whole(body)

    def eof(self) -> Raw | None:
        """The connection ended: the answer if that is how it ends, else None, for a part of it is lost."""
        until_end = self._head and self._end < 0 and self._value(b"transfer-encoding") is None
        return self._whole(bytes(self._data))._replace(keeps=False) if until_end else None

    def _read_head(self) -> bool:
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._data[:end])
            if not head.startswith(b"HTTP/1.") or not head[9:12].isdigit():
                raise MalformedAnswer(f"not an answer of HTTP/1.1: {head[:80]!r}")
            del self._data[: end + 4]
            if head[9:10] != b"1":
                self._head, self._lower = head, head.lower()
                self._end = self._body_length()
                return True
            self.continued = self.continued or head[9:12] == b"100"
        if len(self._data) > HEAD_LIMIT:
            raise MalformedAnswer(f"a head of more than {HEAD_LIMIT} bytes")
        return False

    def _body_length(self) -> int:
        """Bytes of the body; -1 where only its own end tells."""
        if self._headless or int(self._head[9:12]) in _WITHOUT_BODY:
            return 0
        if self._value(b"transfer-encoding") is not None:
            return -1
        length = self._value(b"content-length")
        if length is None:
            return -1
        if not length.isdigit():
            raise MalformedAnswer(f"a content-length of {length!r}")
        return int(length)

    def _value(self, name: bytes) -> bytes | None:
        at = self._lower.find(b"\r\n" + name + b":")
        if at < 0:
            return None
        start = at + len(name) + 3
        end = self._lower.find(b"\r\n", start)
        return self._lower[start : end if end >= 0 else None].strip()

    def _whole(self, body: bytes) -> Raw:
        connection = self._value(b"connection")
        keeps = connection != b"close" and (self._head.startswith(b"HTTP/1.1") or connection == b"keep-alive")
        return Raw(int(self._head[9:12]), self._head, body, keeps)


def _unchunked(data: bytearray) -> bytes | None:
    """The body that was sent in chunks; None while its end is not there. Trailers are left unread."""
    body, at = bytearray(), 0
    while (line := data.find(b"\r\n", at)) >= 0:
        try:
            size = int(data[at:line].partition(b";")[0], 16)
        except ValueError:
            raise MalformedAnswer(f"a chunk of size {bytes(data[at:line])[:20]!r}") from None
        at = line + 2
        if size == 0:
            return bytes(body) if data.find(b"\r\n", at) >= 0 else None
        if len(data) < at + size + 2:
            return None
        body += data[at : at + size]
        at += size + 2
    return None
