"""Requests that are inside the platform at the same time.

Sent one after the other, even by many threads, requests to a fast handler hardly ever meet, and a race goes unseen. Here
each request is sent but for the last byte of its body; when all wait for that byte, it is sent on every connection. A
platform that reads the body before it decides has then every request before its decision.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pytest_smartattend.target.client import TIMEOUT, Answer, Operation, outcome_of


@dataclass(frozen=True)
class Request:
    """One request to be overlapped. `path` is below ``/api``; `body` must not be empty: its last byte is held back."""

    method: str
    path: str
    token: str
    body: dict[str, object]

    def encoded(self, host: str) -> bytes:
        """The request as it stands on the wire; one per connection."""
        body = json.dumps(self.body).encode()
        head = (
            f"{self.method} /api{self.path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + body


def release_together(base_url: str, requests: Sequence[Request]) -> list[Answer]:
    """Send `requests`, each on a connection of its own, so that all are inside the platform at once.

    Returns:
        the answers in the order of `requests`; one whose answer was lost is ``unknown``.
    """
    url = urlsplit(base_url)
    address = (url.hostname or "127.0.0.1", url.port or 80)
    wires = [request.encoded(url.netloc) for request in requests]
    links = [socket.create_connection(address, timeout=TIMEOUT) for _ in requests]
    try:
        for link, wire in zip(links, wires, strict=True):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link.sendall(wire[:-1])
        begun = time.perf_counter()
        for link, wire in zip(links, wires, strict=True):
            link.sendall(wire[-1:])
        return [_answer(link, request, begun) for link, request in zip(links, requests, strict=True)]
    finally:
        for link in links:
            link.close()


def _answer(link: socket.socket, request: Request, begun: float) -> Answer:
    response = http.client.HTTPResponse(link, method=request.method)
    try:
        response.begin()
        text = response.read()
    except (OSError, http.client.HTTPException):
        seconds = time.perf_counter() - begun
        return Answer(Operation(request.method, request.path, None, "unknown", seconds))
    outcome = outcome_of(request.method, response.status)
    operation = Operation(request.method, request.path, response.status, outcome, time.perf_counter() - begun)
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(operation, _decoded(text), headers)


def _decoded(text: bytes) -> Any:  # noqa: ANN401
    try:
        return json.loads(text)
    except ValueError:
        return None
