"""What exports and replays cost: 1,000 incidents of 12 events exported and verified, and the shipped incidents replayed."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from pytest_smartattend.engine import incident_record, record_seal
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.reference.domain.incident import Action, Confidence, Level, Severity
from pytest_smartattend.reference.domain.lifecycle import Change, Lifecycle, Report
from pytest_smartattend.reference.domain.sla import SlaRules
from pytest_smartattend.reference.domain.timeline import Event, Position
from pytest_smartattend.target.contract import RESOLUTION
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.reference_platform import ReferencePlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials import recorded
from pytest_smartattend.trials.replay import Replay

INCIDENTS, EVENTS, ROUNDS = 1000, 12, 5
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def _course(tenant_id: uuid.UUID, staff: uuid.UUID, actor: str, minute: int) -> list[tuple[Change, str]]:
    """Twelve events that follow one another by the rules."""
    rules = Lifecycle(SlaRules())
    at = START + timedelta(minutes=minute)
    report = Report(f"Incident {minute}", "Check-ins fail.", Severity.HIGH)
    changes = [(rules.report(report, incident_id=uuid.uuid4(), tenant_id=tenant_id, by=staff, at=at), str(staff))]

    def then(change: Callable[..., Change], *given: Any, **named: Any) -> None:
        changes.append(
            (change(changes[-1][0].incident, *given, at=at + len(changes) * timedelta(minutes=1), **named), actor)
        )

    for action in (Action.ACKNOWLEDGE, Action.INVESTIGATE, Action.MITIGATE, Action.INVESTIGATE, Action.MITIGATE):
        then(rules.move, action, actor=actor, note="As it went.")
    then(rules.change_severity, Severity.CRITICAL, reason="It is worse than was thought.")
    then(rules.escalate, Level.EXECUTIVE, actor=actor, note=None)
    then(rules.move, Action.INVESTIGATE, actor=actor, note=None)
    then(rules.record_root_cause, "The pool was too small.", Confidence.HIGH)
    then(rules.move, Action.MITIGATE, actor=actor, note=None)
    then(rules.resolve, RESOLUTION, actor=actor)
    assert len(changes) == EVENTS
    return changes


def _fill(dsn: str, tenant_id: str, staff: str, admin: str) -> None:
    with psycopg.connect(dsn) as connection:
        events: list[tuple[Any, ...]] = []
        for minute in range(INCIDENTS):
            changes, position = _course(uuid.UUID(tenant_id), uuid.UUID(staff), admin, minute), Position()
            for change, by in changes:
                one = change.incident
                event = Event(
                    one.id, position.seq + 1, by, one.updated_at, change.kind, change.source, change.target,
                    change.payload, position.hash,
                )  # fmt: skip
                position = Position(event.seq, event.hash)
                events.append(
                    (one.id, event.seq, tenant_id, by, event.at, event.kind, event.source, event.target,
                     Jsonb(dict(event.payload)), event.prev, event.hash)
                )  # fmt: skip
            connection.execute(
                "insert into incidents (id, tenant_id, title, description, severity, status, escalation_level, owner_id,"
                " created_by, created_at, updated_at, root_cause, remediation_steps, prevention_measures)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (one.id, tenant_id, one.title, one.description, one.severity, one.status, one.escalation_level, staff,
                 staff, one.created_at, one.updated_at, *RESOLUTION.values()),
            )  # fmt: skip
            connection.execute(
                "insert into audit_heads (incident_id, tenant_id, seq, hash) values (%s, %s, %s, %s)",
                (one.id, tenant_id, position.seq, position.hash),
            )
        connection.cursor().executemany(
            'insert into timeline (incident_id, seq, tenant_id, actor, at, kind, "from", "to", payload, prev, hash)'
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            events,
        )


def test_a_thousand_incidents_are_exported_and_verified(postgres: Server, tmp_path: Path) -> None:
    database = postgres.pool(ReferenceSchema()).take()
    platform = ReferencePlatform(postgres, database, tmp_path / "platform", workers=2, seed=1)
    try:
        tenant = platform.seed("school", lambda _: None)
        _fill(database.dsn, tenant.id, str(tenant.staff.user_id), str(tenant.admin.user_id))
        took: dict[str, list[float]] = {"exported": [], "verified": [], "both": []}
        for _ in range(ROUNDS):
            began, cursor = time.perf_counter(), None
            documents: list[Any] = []
            while cursor is not None or not documents:
                page = tenant.admin.exports(limit=200, cursor=cursor).must()
                documents += page["items"]
                cursor = page["next_cursor"]
            exported = time.perf_counter()
            for document in documents:
                assert record_seal.faults_of(incident_record.checked(document)) == []
            ended = time.perf_counter()
            took["exported"].append(exported - began)
            took["verified"].append(ended - exported)
            took["both"].append(ended - began)
        assert len(documents) == INCIDENTS
        assert {len(document["record"]["events"]) for document in documents} == {EVENTS}
    finally:
        platform.stop()
    _print(f"{INCIDENTS} incidents of {EVENTS} events (aim: both in at most 3 s)", took)


def test_the_shipped_incidents_are_driven_again(postgres: Server) -> None:
    files = recorded.shipped()
    documents = [(one, one.read()) for one in files]
    took: dict[str, list[float]] = {"a platform for each": [], "one for all": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for one, document in documents:
            with closing(InProcessPlatform(postgres.pool(ReferenceSchema()).take(), LoopClock())) as platform:
                assert Replay(platform).of(document, one.name, exact=one.exact).verdict == one.verdict
        took["a platform for each"].append(time.perf_counter() - began)
        began = time.perf_counter()
        with closing(InProcessPlatform(postgres.pool(ReferenceSchema()).take(), LoopClock())) as platform:
            for one, document in documents:
                assert Replay(platform).of(document, one.name, exact=one.exact).verdict == one.verdict
        took["one for all"].append(time.perf_counter() - began)
    _print(f"{len(files)} replays (aim: eight in at most 3 s)", took)


def _print(title: str, took: dict[str, list[float]]) -> None:
    print(f"\n{title}\n| what | median s | least |\n| --- | ---: | ---: |")
    for name, seconds in took.items():
        print(f"| {name} | {statistics.median(seconds):.2f} | {min(seconds):.2f} |")
