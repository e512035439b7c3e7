"""Incidents that are reported while their store is away: answered with their final id, and brought in once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from fastapi import FastAPI

from pytest_smartattend.engine.faults import Down
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.reference.store.spool_file import SpoolFile

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

REPORT = {"title": "It is down", "severity": "critical"}


@pytest.fixture
def path(postgres: Server) -> Iterator[TcpProxy]:
    """The way to the incident store."""
    with TcpProxy(postgres.address, name="incidents_database", seed=1) as proxy:
        yield proxy


def instance(world: World, path: TcpProxy, folder: Path, **more: Any) -> FastAPI:
    host, port = path.address
    dsn = f"postgresql://smartattend_app@{host}:{port}/{world.database.name}"
    # a store that is away refuses at once; one that is back may be slow to let somebody in, on a busy machine
    long = timedelta(seconds=10)
    settings = replace(
        world.settings, incidents_database_url=dsn, spool=folder, connect_timeout=long, health_deadline=long, **more
    )
    return world.start(settings)


async def until(seen: Any) -> None:
    async with asyncio.timeout(60):
        while not seen():  # noqa: ASYNC110 - what is awaited is in the database
            await asyncio.sleep(0.02)


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def titles(world: World) -> list[str]:
    return [row["title"] for row in world.rows("SELECT title FROM incidents ORDER BY created_at")]


def fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_self: SpoolFile, _line: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SpoolFile, "append", full)


@contextlib.asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    async with app.router.lifespan_context(app):
        yield


@pytest.mark.asyncio
async def test_a_report_while_the_store_is_away_is_kept_and_stored_as_of_when_it_was_made(
    world: World, path: TcpProxy, tmp_path: Path
) -> None:
    app = instance(world, path, tmp_path)
    staff = world.client("staff", app=app)
    async with running(app):
        with path.fault(Down(), may_not_fire=True):
            answer = await staff.post("/incidents", json=REPORT)
            assert answer.status_code == 202, answer.text
            told = answer.json()
            assert answer.headers["location"] == f"/api/incidents/{told['id']}"
            assert (told["status"], told["title"]) == ("open", "It is down")
            world.clock.move(minutes=20)
            assert (await staff.get(f"/incidents/{told['id']}")).status_code == 503
        await until(lambda: titles(world))
        read = (await staff.get(f"/incidents/{told['id']}")).json()
        assert {key: read[key] for key in told if key != "sla"} == {key: told[key] for key in told if key != "sla"}
        (event,) = world.rows("SELECT * FROM timeline WHERE kind = 'created'")
        assert (str(event["incident_id"]), event["seq"], event["actor"]) == (told["id"], 1, told["created_by"])
        assert event["at"] == world.clock.now() - timedelta(minutes=20)
    assert files(tmp_path) == []


@pytest.mark.asyncio
async def test_a_commit_whose_answer_was_lost_and_a_spool_brought_in_twice_make_one_incident(
    world: World, path: TcpProxy, tmp_path: Path
) -> None:
    app = instance(world, path, tmp_path)
    staff = world.client("staff", app=app)
    with path.fault(Down(), may_not_fire=True):
        first = (await staff.post("/incidents", json=REPORT)).json()
    spool = app.state.platform.desk.spool
    (entry,) = spool._own.waiting()[0]
    await app.state.platform.desk.bring_in(entry)
    await app.state.platform.desk.bring_in(entry)
    assert await spool.look()
    assert [str(row["id"]) for row in world.rows("SELECT id FROM incidents")] == [first["id"]]
    assert len(world.rows("SELECT * FROM timeline")) == 1


@pytest.mark.asyncio
async def test_what_a_dead_worker_left_is_brought_in_by_another(world: World, path: TcpProxy, tmp_path: Path) -> None:
    dead = instance(world, path, tmp_path)
    with path.fault(Down(), may_not_fire=True):
        for _ in range(3):
            assert (await world.client("staff", app=dead).post("/incidents", json=REPORT)).status_code == 202
    dead.state.platform.desk.spool._own.close()  # as the kernel does when it dies
    async with running(instance(world, path, tmp_path)):
        await until(lambda: len(titles(world)) == 3)
    assert files(tmp_path) == []


@pytest.mark.asyncio
async def test_reports_of_one_outage_are_stored_before_and_after_it_ends_without_a_hole(
    world: World, path: TcpProxy, tmp_path: Path
) -> None:
    app = instance(world, path, tmp_path)
    staff = world.client("staff", app=app)
    statuses: list[int] = []

    async def report(number: int) -> None:
        answer = await staff.post("/incidents", json={**REPORT, "title": f"number {number}"})
        statuses.append(answer.status_code)

    async with running(app):
        for number in range(30):
            if number == 10:
                fault = path.fault(Down(), may_not_fire=True)
                fault.__enter__()
            if number == 20:
                fault.__exit__(None, None, None)
            await report(number)
            await asyncio.sleep(0.02)
        await until(lambda: len(titles(world)) == 30)
    assert set(statuses[:10]) == {201}
    assert set(statuses[10:20]) == {202}
    assert statuses[-1] == 201
    assert sorted(titles(world)) == sorted(f"number {number}" for number in range(30))


@pytest.mark.asyncio
async def test_a_line_that_is_half_written_while_the_spool_is_looked_at_comes_in_whole(
    world: World, path: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = instance(world, path, tmp_path)
    staff = world.client("staff", app=app)
    spool = app.state.platform.desk.spool
    half, whole = threading.Event(), threading.Event()

    def slowly(descriptor: int, line: bytes) -> int:
        monkeypatch.undo()
        written = os.write(descriptor, line[: len(line) // 2])
        half.set()
        whole.wait(10)
        return written

    async def report(title: str) -> int:
        return (await staff.post("/incidents", json={**REPORT, "title": title})).status_code

    with path.fault(Down(), may_not_fire=True):
        assert await report("first") == 202
        monkeypatch.setattr("pytest_smartattend.reference.store.spool_file.os.write", slowly)
        second = asyncio.create_task(report("second"))
        await asyncio.to_thread(half.wait, 10)
    looking = asyncio.create_task(spool.look())
    await asyncio.wait({looking}, timeout=0.5)
    whole.set()
    assert await second == 202
    await looking
    assert await spool.look()
    assert sorted(titles(world)) == ["first", "second"]  # both of one instant
    assert [file.suffix for file in files(tmp_path)] == [".spool"]


@pytest.mark.asyncio
async def test_without_a_spool_or_with_a_full_one_a_report_is_refused_and_nothing_is_pretended(
    world: World, path: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_the_disk(monkeypatch)
    for folder, part in ((None, "incidents_database"), (tmp_path, "incident_spool")):
        app = instance(world, path, folder)  # type: ignore[arg-type]
        with path.fault(Down(), may_not_fire=True):
            answer = await world.client("staff", app=app).post("/incidents", json=REPORT)
        assert (answer.status_code, answer.json()["code"], answer.json()["part"]) == (503, "unavailable", part)
    assert titles(world) == []


@pytest.mark.asyncio
async def test_what_is_said_when_the_disk_is_full_is_as_documented(
    world: World, path: TcpProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_the_disk(monkeypatch)
    app = instance(world, path, tmp_path)
    with path.fault(Down(), may_not_fire=True):
        answer = await world.client("staff", app=app).post("/incidents", json=REPORT)
    document = app.openapi()
    said = document["paths"]["/api/incidents"]["post"]["responses"][str(answer.status_code)]["content"]
    (kind,) = said
    assert answer.headers["content-type"] == kind
    jsonschema.validate(answer.json(), {**said[kind]["schema"], "components": document["components"]})


@pytest.mark.asyncio
async def test_superadmins_are_told_once_of_a_lost_store_and_of_its_end(
    world: World, path: TcpProxy, tmp_path: Path
) -> None:
    posted: list[dict[str, Any]] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        posted.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    webhook = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alerts"
    apps = [instance(world, path, tmp_path, alert_webhook=webhook) for _ in range(2)]
    with path.fault(Down(), may_not_fire=True):
        for app in apps:
            for _ in range(2):
                assert (await world.client("staff", app=app).post("/incidents", json=REPORT)).status_code == 202
        await until(lambda: posted)
        await until(lambda: world.rows("SELECT * FROM alerts"))
        assert world.rows("SELECT * FROM alerts")[0]["ended_at"] is None
    await until(lambda: world.rows("SELECT * FROM alerts")[0]["ended_at"])
    (row,) = world.rows("SELECT * FROM alerts")
    assert (row["kind"], row["part"]) == ("store_unreachable", "incidents_database")
    assert [(one["id"], one["kind"], one["part"]) for one in posted] == [(str(row["id"]), row["kind"], row["part"])]
    with world.sql("smartattend_app") as connection:
        assert connection.execute("SELECT * FROM alerts").fetchall() == []  # nobody but superadmins
    for app in apps:
        app.state.platform.desk.spool._own.close()
    server.close()


@pytest.mark.asyncio
async def test_one_transaction_that_fails_alone_alarms_nobody(world: World) -> None:
    app = world.start()
    app.state.platform.alerts.notice("database", OSError("one connection was cut"))
    (task,) = app.state.platform.alerts._watching.values()
    await task
    assert world.rows("SELECT * FROM alerts") == []
