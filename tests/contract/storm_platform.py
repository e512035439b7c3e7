"""Small platforms over one real database, two of which are broken in the ways that storms are there to find.

``/api/noop``            reads the body and answers, without the database
``/api/sound``           one statement inserts or leaves alone, then reads
``/api/select-then-insert`` looks whether the record is there, and inserts it if it was not
``/api/key-before-body`` looks whether the Idempotency-Key is known before it reads the body, as middleware does
``/api/shed``            as sound, and answers 503 to every second request of a worker, after it was done or before

Run as a program: ``storm_platform.py DSN WORKERS`` prints its port, and ends with SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import psycopg
import uvicorn
from uvicorn.supervisors import Multiprocess

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECTIONS = 6
_idle: asyncio.Queue[Connection] = asyncio.Queue()
_turn = count()


async def app(scope: Message, receive: Receive, send: Send) -> None:
    """The platform, as ASGI."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    headers = dict(scope["headers"])
    key = headers.get(b"idempotency-key", b"").decode()
    path = scope["path"]
    known = await _query("select id from keys where key = %s", key) if path == "/api/key-before-body" else None
    body = await _body(receive)
    name = body.get("name", "")
    shed = next(_turn) % 4 if path == "/api/shed" else 0
    if shed == 1:
        await _answer(send, 503, {})
        return
    if path == "/api/noop":
        record = 1
    elif path == "/api/select-then-insert":
        known = await _query("select id from records where name = %s", name)
        record = known or await _query("insert into records (name) values (%s) returning id", name)
    elif path == "/api/key-before-body":
        record = known or await _query("insert into records (name) values (%s) returning id", name)
        await _query("insert into keys (key, id) values (%s, %s) on conflict do nothing returning id", key, record)
    else:
        record = await _query(
            "insert into unique_records (name) values (%s) on conflict do nothing returning id", name
        ) or await _query("select id from unique_records where name = %s", name)
    await _answer(send, 503 if shed == 3 else 201, {"id": record})


async def _query(statement: str, *values: object) -> Any:
    connection = await _idle.get()
    try:
        row = await (await connection.execute(statement.encode(), values)).fetchone()
    finally:
        _idle.put_nowait(connection)
    return row[0] if row else None


async def _body(receive: Receive) -> Any:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return json.loads(body or b"{}")


async def _answer(send: Send, status: int, body: object) -> None:
    text = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    for _ in range(CONNECTIONS):
        _idle.put_nowait(await psycopg.AsyncConnection.connect(os.environ["STORM_DSN"], autocommit=True))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    while not _idle.empty():
        await _idle.get_nowait().close()
    await send({"type": "lifespan.shutdown.complete"})


def main(dsn: str, workers: int) -> None:
    """Make the tables, print the port, and serve until SIGTERM."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table if not exists records (id bigserial primary key, name text)")
        connection.execute("create table if not exists keys (key text primary key, id bigint)")
        connection.execute("create table if not exists unique_records (id bigserial primary key, name text unique)")
    os.environ["STORM_DSN"] = dsn
    config = uvicorn.Config("storm_platform:app", workers=workers, log_level="warning", access_log=False)
    # with the protocol named, or asyncio leaves Nagle's algorithm on and every answer in two parts takes 40 ms
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        Multiprocess(config, sockets=[listener]).run()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
