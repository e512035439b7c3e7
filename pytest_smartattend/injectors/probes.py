"""Exchanges that show an upstream alive, over a connection that is open already, without credentials."""

from __future__ import annotations

import socket
import struct


def postgres_answers(sock: socket.socket) -> None:
    """Ask a PostgreSQL server whether it encrypts; any of its one-byte answers will do.

    Raises:
        OSError: no answer within the socket's timeout, or another than PostgreSQL's.
    """
    sock.sendall(struct.pack("!II", 8, 80877103))
    answer = sock.recv(1)
    if answer not in (b"S", b"N"):
        raise ConnectionError(f"PostgreSQL would have answered S or N, this upstream answered {answer!r}")


def http_answers(sock: socket.socket) -> None:
    """Ask an HTTP server for anything; any answer will do.

    Raises:
        OSError: no answer within the socket's timeout, or none of HTTP's.
    """
    sock.sendall(b"GET /api/health HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
    answer = sock.recv(5)
    if answer != b"HTTP/":
        raise ConnectionError(f"an HTTP server would have answered HTTP/…, this upstream answered {answer!r}")
