"""Drill 3: what is stored is damaged, a page on disk or a table by a bad statement, and comes back from backup and WAL."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from secrets import token_hex
from typing import Any

import pytest

from pytest_smartattend import (
    Backup,
    BackupRefused,
    Drill,
    Drills,
    Evidence,
    Node,
    Tenant,
    Webhook,
    pages,
    recovery_target,
    stopwatch,
)

LONG = timedelta(seconds=30)
DATABASE = "smartattend"
RTO, RPO = timedelta(minutes=10), timedelta(minutes=5)
#: incidents that stand before the drill: their pages are the ones that may be damaged
STANDING = 60
#: what a control must lose at the least
LOST = 20
ROW = "INSERT INTO smartattend_probe VALUES (%s, clock_timestamp())"
XID = "pg_current_xact_id()::text::bigint"


class Stage:
    """A primary whose every commit is on a receiver's disk before it is answered, a backup, and the platform on it."""

    def __init__(self, drills: Drills, name: str, stack: ExitStack) -> None:
        self.drills = drills
        self.site = drills.site()
        self.operators = drills.operators(self.site)
        self.archive = self.site.archive()
        # so few pages are kept in memory that a damaged one is soon read from disk
        self.damaged = drills.primary(self.site, shared_buffers="256kB")
        self.receiver = self.archive.receive(self.damaged)
        self.site.require(self.damaged, "receiver")
        self.webhook = stack.enter_context(Webhook())
        app, owner = (self.site.dsn(DATABASE, user=user, following=2) for user in ("smartattend_app", "postgres"))
        installation = stack.enter_context(drills.serve(app, owner, webhook=self.webhook.url))
        self.tenant = installation.seed("school")
        self.standing = [self.tenant.staff.report(f"standing {number}").must()["id"] for number in range(STANDING)]
        self.backup = self.site.base_backup(self.damaged)
        self.drill = stack.enter_context(drills(name))
        self.probe = stack.enter_context(drills.over_the_api(self.tenant))
        self.probe.await_acknowledged(20)
        self.content = ""
        self.floor = 0.0

    def verify_backup(self) -> None:
        """Step 1: the backup and the archive hold, and damaged ones of either do not."""

        def proven() -> dict[str, Any]:
            self.backup.verify()
            segment = self.archive.verify(self.backup)
            self.floor = self.drills.restore_floor(lambda: self.site.restore("floor", self.backup, self.archive))
            return {"start": str(self.backup.start), "archived through": segment, "rehearsed in": self.floor}

        self.damaged.query("SELECT pg_switch_wal()")
        self.probe.await_acknowledged(5)
        self.drill.step("backup and archive verified", actor="operator", until=proven, within=LONG)

    def hash_content(self) -> None:
        """Step 2."""

        def hashed() -> dict[str, Any]:
            self.content = content(self.damaged, self.tenant)
            return {"md5": self.content, "lsn": str(self.damaged.lsn()), "incidents": STANDING}

        self.drill.step("content hashed", actor="harness", until=hashed, within=LONG)

    def contain(self) -> int:
        """The damaged server ends at once and its files stay, as evidence. Returns when it was gone."""
        self.operators.fence(self.damaged)
        return stopwatch.monotonic_ns()

    def restore(self, target: recovery_target.RecoveryTarget) -> Node:
        """Step 6."""
        found: dict[str, Node] = {}

        def act() -> None:
            self.receiver.stop()
            found["node"] = self.operators.restore("restored", self.backup, self.archive, target)

        self.drill.step(
            f"restored, WAL replayed {target.what}",
            actor="operator",
            action=act,
            until=lambda: {"timeline": found["node"].timeline(), "lsn": str(found["node"].lsn())},
            within=LONG,
        )
        return found["node"]

    def verify(self, node: Node) -> None:
        """Step 7: no page is damaged, and what stood before is as it was."""

        def whole() -> dict[str, Any] | None:
            node.query("CHECKPOINT")
            bad, count = pages.verify(node.data)
            same = content(node, self.tenant) == self.content
            return {"pages": count, "md5": self.content} if same and not bad else None

        self.probe.await_acknowledged(20)
        self.probe.end()
        self.drills.settle(self.drill, node, self.tenant, self.probe)
        self.drill.step("content and pages verified", actor="harness", until=whole, within=LONG)


def content(node: Node, tenant: Tenant) -> str:
    """The hash of what stood before the drill."""
    standing = f"tenant_id = '{tenant.id}' AND title LIKE 'standing %'"
    ids = f"SELECT id FROM incidents WHERE {standing}"
    tables = (f"(SELECT * FROM incidents WHERE {standing})", f"(SELECT * FROM timeline WHERE incident_id IN ({ids}))")
    return " ".join(node.digest(table, DATABASE) for table in tables)


def damaged_ones_are_refused(stage: Stage, evidence: Evidence) -> None:
    """A backup with a flipped byte and an archive with a hole: neither is found out by a restore that succeeds."""
    copy = stage.site.new_folder("damaged-copies")
    stage.site.programs.copy(stage.backup.folder, copy / "backup")
    victim = copy / "backup" / "global" / "pg_control"
    raw = bytearray(victim.read_bytes())
    raw[0] ^= 0xFF
    victim.write_bytes(raw)
    kept = stage.backup
    damaged = Backup(copy / "backup", kept.timeline, kept.start, kept.end, stage.site.programs)
    evidence.expect("a damaged backup", refused(damaged.verify), "refused")
    segment = stage.archive.folder / stage.archive.segments()[-2]
    aside = segment.rename(copy / segment.name)
    evidence.expect("an archive with a hole", refused(lambda: stage.archive.verify(stage.backup)), "refused")
    aside.rename(segment)


def refused(verify: Callable[[], object]) -> str:
    try:
        verify()
    except BackupRefused:
        return "refused"
    return "accepted"


def met(stage: Stage, incident: str) -> dict[str, Any]:
    """What the platform's alert says, once it has read the page from disk."""
    with stage.damaged.connect(DATABASE) as connection:
        # other work, which pushes what nobody uses out of the server's memory
        connection.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        for _ in range(8):
            connection.execute("SELECT count(proname) FROM pg_proc WHERE oid > 0")
    answer = stage.tenant.admin.incident(incident)
    alerts = [one["detail"] for one in stage.webhook.received if one["kind"] == "store_damaged"]
    assert alerts, f"of what the page holds the platform says {answer.summary}, and it alerted nobody of damage"
    return {"alert": alerts[0]}


@pytest.mark.drill("drills/data-corruption")
@pytest.mark.detects("checksums-ignored", "alert-not-sent")
def test_a_damaged_page_is_found_two_ways_and_everything_comes_back(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    evidence = _smartattend_evidence
    with ExitStack() as stack:
        stage = Stage(_smartattend_reference_drill, "data-corruption, page", stack)
        stage.verify_backup()
        damaged_ones_are_refused(stage, evidence)
        stage.hash_content()
        page = pages.find_heap_page(stage.damaged, "incidents", DATABASE)
        on_it = f"SELECT id::text FROM incidents WHERE (ctid::text::point)[0] = {page.block} LIMIT 1"
        incident = stage.damaged.query(on_it, database=DATABASE)[0][0]
        stage.drill.step(
            "page damaged",
            actor="harness",
            action=page.flip,
            until=lambda: {"file": page.file, "block": page.block, "rows": page.rows},
            within=LONG,
        )
        alert = stage.drill.step(
            "damage met by the platform", actor="platform", until=lambda: met(stage, incident), within=LONG
        )
        bad = stage.drill.step(
            "damage found on disk",
            actor="operator",
            until=lambda: {"pages": [str(one) for one in pages.verify(stage.damaged.data)[0]]},
            within=LONG,
        )
        where = f"block {page.block} of relation "
        evidence.expect(
            "file and block in the alert", where in alert["alert"] and page.file in alert["alert"], expected=True
        )
        evidence.expect(
            "pages found on disk", [one.split(":")[0] for one in bad["pages"]], [f"{page.file} block {page.block}"]
        )
        fault = contain(stage)
        node = stage.restore(recovery_target.END)
        stage.verify(node)
        stored = stage.drills.reported(node, stage.tenant)
        found = stage.drill.cost(stage.probe, stored, fault, rto=RTO, rpo=RPO, floor=stage.floor)
        evidence.expect("acknowledged and gone", found.lost, ())
        evidence.expect("writes came back", found.outage.over, expected=True)
    archive_only(_smartattend_reference_drill)


def contain(stage: Stage) -> int:
    """Step 5. Returns the instant after which nothing that begins is answered by the damaged server."""
    done: dict[str, int] = {}
    stage.drill.step(
        "contained",
        actor="operator",
        action=lambda: done.update(instant=stage.contain()),
        until=lambda: None if stage.damaged.running else {"kept as evidence": stage.damaged.data.exists()},
        within=LONG,
    )
    return done["instant"]


@pytest.mark.drill("drills/data-corruption-logical")
@pytest.mark.detects("restored-a-transaction-early")
def test_a_bad_statement_is_undone_to_exactly_before_its_transaction(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    evidence = _smartattend_evidence
    with ExitStack() as stack:
        stage = Stage(_smartattend_reference_drill, "data-corruption, logical", stack)
        stage.verify_backup()
        stage.hash_content()
        stage.probe.end()  # so that the incident before the bad statement is known
        last = spoil(stage)
        stage.drill.step(
            "damage found by content",
            actor="operator",
            until=lambda: None if content(stage.damaged, stage.tenant) == stage.content else {"md5": "another"},
            within=LONG,
        )
        contain(stage)
        node = stage.restore(recovery_target.before_transaction(last["xid"]))
        evidence.expect("what stood before", content(node, stage.tenant), stage.content)
        titles = stage.drills.reported(node, stage.tenant)
        evidence.expect("the last incident before the bad transaction", last["title"] in titles, expected=True)
        evidence.expect("the transaction just before it", last["row"] in stage.drills.written(node), expected=True)
        evidence.expect("the first one after it", "after" in titles, expected=False)
        evidence.expect("acknowledged before and gone", sorted(acknowledged(stage) - set(titles)), [])
        back = stage.drill.step(
            "clients back",
            actor="platform",
            until=lambda: {"reported": stage.tenant.staff.report("back").must()["id"]},
            within=LONG,
        )
        evidence.expect("pages that a checksum finds", pages.verify(stage.damaged.data)[0], [])
        _, seconds = measured(stage.drill)
        evidence.measure("RTO of data-corruption, logical", seconds, "s", RTO.total_seconds(), objective=True)
        evidence.expect("it is stored", stage.tenant.admin.incident(back["reported"]).ok, expected=True)


def measured(drill: Drill) -> tuple[int, float]:
    """From the finding of the damage to the first incident that was taken again: instant and seconds."""
    begin = next(step.begin for step in drill.steps if step.name == "damage found by content")
    return begin, (drill.steps[-1].end - begin) / 1e9


def acknowledged(stage: Stage) -> set[str]:
    return {operation.key for operation in stage.probe.history if operation.outcome == "ok"}


def spoil(stage: Stage) -> dict[str, Any]:
    """Step 3: report one incident, change them all past the platform, and report another."""
    found: dict[str, Any] = {"title": "the last one before"}

    def act() -> None:
        stage.tenant.staff.report(found["title"]).must()
        found["row"], found["xid"] = change_all(stage.damaged)
        stage.tenant.staff.report("after").must()

    stage.drill.step("bad statement committed", actor="harness", action=act, until=lambda: found, within=LONG)
    return found


def change_all(node: Node) -> tuple[str, int]:
    """The bad statement. Returns the key of the row that the transaction just before it wrote, and its own number."""
    with node.connect(DATABASE) as connection:

        def number(sql: str, *values: str) -> int:
            row = connection.execute(sql, values).fetchone()
            assert row is not None
            return int(row[0])

        while True:
            key = f"just before {token_hex(4)}"
            before = number(f"{ROW} RETURNING {XID}", key)
            connection.execute("BEGIN")
            xid = number(f"SELECT {XID}")
            if xid == before + 1:  # the platform, which writes for itself too, did not come between
                connection.execute("UPDATE incidents SET title = 'oops' WHERE title LIKE 'standing %'")
                connection.execute("COMMIT")
                return key, xid
            connection.execute("ROLLBACK")


def archive_only(drills: Drills) -> None:
    """A control: whole segments are archived and nothing else, and the server is lost."""
    site = drills.site()
    archive = site.archive()
    lost = drills.primary(site, archive=archive)
    backup = site.base_backup(lost)
    with drills("control: archive only") as control:
        with drills.direct(site.dsn(DATABASE)) as probe:
            probe.await_acknowledged(LOST)
            archive.prove(lost)
            probe.await_acknowledged(LOST * 3)
            fault = lost.kill()[1]
        found: list[Node] = []
        control.step(
            "restored from whole segments",
            actor="harness",
            action=lambda: found.append(site.restore("restored", backup, archive)),
            until=lambda: {"lsn": str(found[0].lsn())},
            within=LONG,
        )
        control.must_lose(probe, drills.written(found[0]), fault, LOST)
