"""Commands from the owner: one JSON object a line each way, over an inherited socket.

Every command carries an ``id``, which its answer repeats; an answer is sent when the command holds. When the owner
goes away, however it ends, the loop stops.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from pytest_smartattend.engine import faults
from pytest_smartattend.errors import UsageError
from pytest_smartattend.injectors.wire.loop import Loop
from pytest_smartattend.injectors.wire.poller import READ
from pytest_smartattend.injectors.wire.proxy import Proxy


class Control:
    """Carries out the owner's commands."""

    def __init__(self, loop: Loop, proxy: Proxy, sock: socket.socket) -> None:
        self._loop = loop
        self._proxy = proxy
        self._sock = sock
        self._received = b""
        loop.watch(sock.fileno(), READ, self._read)

    def send(self, answer: dict[str, Any]) -> None:
        """Send one line. The owner waits for it, so it does not block for long."""
        try:
            self._sock.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            self._loop.stop()

    def _read(self) -> None:
        try:
            data = self._sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._loop.stop()
            return
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._answer(json.loads(line))

    def _answer(self, command: dict[str, Any]) -> None:
        try:
            answer = self._carry_out(command)
        except (UsageError, ValueError, OSError) as problem:
            answer = {"error": str(problem)}
        self.send({"id": command["id"], **answer})

    def _carry_out(self, command: dict[str, Any]) -> dict[str, Any]:
        match command["do"]:
            case "install":
                self._proxy.install(command["fault_id"], faults.from_json(command["fault"]))
                return {}
            case "remove":
                fired, entries = self._proxy.remove(command["fault_id"])
                return {"fired": fired, "journal": [entry.to_json() for entry in entries]}
            case "fired":
                return {"fired": self._proxy.fired(command["fault_id"])}
            case "probe":
                return {"linked": self._proxy.is_linked(command["client_port"])}
            case "status":
                return {"connections": self._proxy.count(), "upstream_error": self._proxy.upstream_error}
            case "troubles":
                return {"troubles": self._proxy.take_troubles()}
        raise ValueError(f"no command is called {command['do']!r}")
