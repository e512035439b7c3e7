"""What a storm sends: requests that are put into bytes once and sent as often as it takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pytest_smartattend.errors import UsageError


@dataclass(frozen=True)
class Request:
    """One request of a storm. A retry sends the same bytes again, and with them the same Idempotency-Key.

    Attributes:
        method: the HTTP method.
        path: below ``/api``.
        token: a bearer token; empty for a caller without one.
        body: sent as JSON; None for no body, which cannot be overlapped: it has no last byte to hold back.
        key: what the record is known by, under which a history keeps the operation; the path where it is empty.
        idempotency_key: the header of that name; None for none.
        headers: further headers.
    """

    method: str
    path: str
    token: str = ""
    body: Mapping[str, Any] | None = None
    key: str = ""
    idempotency_key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, address: SplitResult, *, hold: bool = False) -> bytes:
        """The request as it stands on the wire, for a platform whose root is `address`.

        With `hold` it asks for ``100 Continue``, which a platform sends when its handler begins to read the body.

        Raises:
            UsageError: a text would break out of its line, or there is no body to hold back.
        """
        headers = {"Host": address.netloc.rpartition("@")[2], **self.headers}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        body = b""
        if self.body is not None:
            body = json.dumps(self.body).encode()
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        elif hold:
            raise UsageError(f"{self.method} {self.path} has no body whose last byte could be held back. Give it one.")
        if hold:
            headers["Expect"] = "100-continue"
        lines = [f"{self.method} {address.path.rstrip('/')}/api{self.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if lines[0].count(" ") != 2 or any("\r" in line or "\n" in line for line in lines):
            raise UsageError(f"{lines[0]!r}: a request's line or header holds a space or a line's end. Encode it.")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def address_of(base_url: str) -> SplitResult:
    """The parts of a platform's root URL.

    Raises:
        UsageError: it is not an ``http://`` URL with a host.
    """
    address = urlsplit(base_url)
    if address.scheme != "http" or not address.hostname:
        raise UsageError(f"a storm cannot be sent to {base_url!r}. Give an http:// URL, such as http://127.0.0.1:8000.")
    return address
