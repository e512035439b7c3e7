"""Speaks the contract on a port of its own and somebody's API behind it, so that every check and storm finds one door.

In a thread of this process, so that a translator written by a person is called where it was made.
"""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING

import httpx

from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.target.operations import operation_of
from pytest_smartattend.target.translator import Message, Translator

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

#: headers of one connection, which end where it ends
_HOP = frozenset(
    "connection keep-alive transfer-encoding content-length host te trailer upgrade content-encoding".split()  # noqa: SIM905
)
#: seconds for an answer of theirs; clients of ours give up before
PATIENCE = 60.0


class Gateway:
    """Runs from `start` to `stop`.

    Args:
        base_url: their root.
        translator: between them and us.

    Attributes:
        base_url: ours, without ``/api``.
    """

    def __init__(self, base_url: str, translator: Translator) -> None:
        import uvicorn

        self._theirs = base_url.rstrip("/")
        self._translator = translator
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self.base_url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._client = httpx.AsyncClient(
            timeout=PATIENCE, limits=httpx.Limits(max_connections=None, max_keepalive_connections=200), trust_env=False
        )
        self._server = uvicorn.Server(
            uvicorn.Config(self._app, interface="asgi3", loop="asyncio", lifespan="on", log_config=None, log_level=60, access_log=False,
                           server_header=False, date_header=False, timeout_graceful_shutdown=1)
        )  # fmt: skip
        self._thread = threading.Thread(
            target=lambda: self._server.run(sockets=[self._socket]), name="gateway", daemon=True
        )

    def start(self) -> None:
        """Listen.

        Raises:
            TargetFailed: it does not.
        """
        self._thread.start()
        deadline = time.monotonic() + PATIENCE
        while not self._server.started:
            self._thread.join(0.002)
            if time.monotonic() > deadline or not self._thread.is_alive():
                raise TargetFailed("Starting the gateway of the adapter: it does not listen. Report this as a defect.")

    def stop(self) -> None:
        """Stop listening; what is under way is cut after a second."""
        self._server.should_exit = True
        self._thread.join(10.0)
        self._socket.close()

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._live(receive, send)
            return
        body = b""
        while (part := await receive())["type"] == "http.request":
            body += part.get("body", b"")
            if not part.get("more_body"):
                break
        path = scope["raw_path"].decode("latin-1").removeprefix("/api")
        query = scope["query_string"].decode("latin-1")
        asked = Message(
            scope["method"],
            path + (f"?{query}" if query else ""),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            body,
            operation=operation_of(scope["method"], path),
        )
        try:
            answer = await self._answer(asked)
        except Exception as why:  # noqa: BLE001 - a mistake in somebody's translator is told where it shows
            where = traceback.extract_tb(why.__traceback__)[-1]
            said = f"the adapter failed: {type(why).__name__}: {why} ({where.filename}:{where.lineno}); correct it"
            answer = _problem(500, "adapter_failed", said)
        if answer is None:  # theirs was lost: so is ours
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
            return
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        headers = [pair for pair in headers if pair[0].decode() not in _HOP]
        headers.append((b"content-length", str(len(answer.body)).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _live(self, receive: Receive, send: Send) -> None:
        """From the server's start to its end, on its loop."""
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._client.aclose()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, asked: Message) -> Message | None:
        if asked.operation is not None and not self._translator.adapter.offers(asked.operation):
            return _problem(501, "not_offered", f"the adapter declares {asked.operation} as not offered")
        sent = self._translator.request(asked)
        try:
            response = await self._client.request(
                sent.method,
                self._theirs + sent.path,
                headers=[(name, value) for name, value in sent.headers.items() if name not in _HOP],
                content=sent.body,
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as why:
            return _problem(503, "unavailable", f"the platform does not accept connections: {why}")
        except httpx.TransportError:
            return None
        headers = {name.lower(): value for name, value in response.headers.items()}
        theirs = Message(sent.method, sent.path, headers, response.content, response.status_code)
        return self._translator.answer(theirs, asked)


def _problem(status: int, code: str, detail: str) -> Message:
    body = json.dumps({"status": status, "code": code, "detail": detail}).encode()
    return Message("", "", {"content-type": "application/problem+json"}, body, status)
