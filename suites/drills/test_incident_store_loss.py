"""Drill 4: the incident store is gone with its files. Reports are taken all the same, and none is lost or doubled."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend import (
    Drills,
    Evidence,
    Installation,
    Instance,
    Node,
    Probe,
    SubmissionWriter,
    Webhook,
    stopwatch,
)

LONG = timedelta(seconds=30)
DATABASE = "smartattend"
RTO, RPO = timedelta(minutes=30), timedelta(0)
REBUILT = "store rebuilt from backup and received WAL"
#: what a control must lose at the least
LOST = 20


class Stage:
    """The platform with an incident store of its own, whose every commit a receiver has, and a backup of it."""

    def __init__(self, drills: Drills, stack: ExitStack) -> None:
        self.drills = drills
        own, self.site = drills.site(), drills.site()
        self.home = drills.primary(own)
        self.operators = drills.operators(self.site)
        self.store = drills.primary(self.site)
        self.archive = self.site.archive()
        self.receiver = self.archive.receive(self.store)
        self.site.require(self.store, "receiver")
        self.webhook = stack.enter_context(Webhook())
        self.installation = stack.enter_context(
            drills.serve(
                own.dsn(DATABASE, user="smartattend_app"),
                own.dsn(DATABASE),
                incidents=self.site.dsn(DATABASE, user="smartattend_app", following=2),
                webhook=self.webhook.url,
            )
        )
        self.tenant = self.installation.seed("school")
        self.backup = self.site.base_backup(self.store)
        self.drill = stack.enter_context(drills("incident-store-loss"))
        self.probe = stack.enter_context(drills.over_the_api(self.tenant))
        bodies = [self.tenant.submission(day=day) for day in range(20)]
        self.attendance = stack.enter_context(
            Probe(lambda _: SubmissionWriter(self.tenant.staff, bodies), writers=1, every=timedelta(milliseconds=20))
        )

    def spooled(self) -> list[str]:
        """The lines that wait, of all workers."""
        files = sorted(self.installation.spool.glob("*.spool"))
        return [line for file in files for line in file.read_text(errors="replace").splitlines()]

    def backed_up(self) -> None:
        """Step 1."""
        self.site.require(self.store, "receiver")

        def verified() -> dict[str, Any]:
            self.backup.verify()
            self.receiver.await_confirmed(self.store, self.store.lsn())
            return {"backup": str(self.backup.start), "received": str(self.store.lsn())}

        self.drill.step(
            "backup and receiver stand, probes write",
            actor="operator",
            action=lambda: self.probe.await_acknowledged(20),
            until=verified,
            within=LONG,
        )

    def destroy(self) -> int:
        """Step 2. Returns the instant when its last process was gone."""
        done: dict[str, int] = {}
        self.drill.step(
            "store destroyed",
            actor="harness",
            action=lambda: done.update(instant=self.store.destroy()),
            until=lambda: None if self.store.data.exists() else {"files": "deleted"},
            within=LONG,
        )
        return done["instant"]

    def noticed(self) -> dict[str, Any] | None:
        """What health and the spool say, once both tell of the loss."""
        answer = self.tenant.nobody.health(timeout=5)
        lines = len(self.spooled())
        assert answer.status == 503, f"health says {answer.summary}, and {lines} reports are spooled"
        if lines < 10:
            return None
        return {"health": answer.body["parts"], "spooled": lines}

    def alerted(self) -> dict[str, Any]:
        """The alert, once it has come by both ways."""
        rows = self.home.query("SELECT kind, part FROM alerts", database=DATABASE)
        told = [(one["kind"], one["part"]) for one in self.webhook.received]
        expected = ("store_unreachable", "incidents_database")
        assert (expected in told, rows) == (True, [expected]), f"the webhook was told of {told}, the table holds {rows}"
        return {"webhook": told, "table": rows}

    def alarmed(self) -> bool:
        """Whether an alert lasts: it would hide the next loss."""
        return bool(self.home.query("SELECT 1 FROM alerts WHERE ended_at IS NULL", database=DATABASE))

    def rebuild(self) -> Node:
        """Step 5."""
        found: list[Node] = []

        def act() -> None:
            self.receiver.stop()
            found.append(self.operators.restore("rebuilt", self.backup, self.archive))

        self.drill.step(
            REBUILT,
            actor="operator",
            action=act,
            until=lambda: {"timeline": found[0].timeline(), "lsn": str(found[0].lsn())},
            within=LONG,
        )
        return found[0]

    def reported(self, node: Node) -> list[str]:
        """The titles of the tenant's incidents."""
        return self.drills.reported(node, self.tenant)


def wait(stage: Stage, name: str, seen: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    """A step of the platform's."""
    return dict(stage.drill.step(name, actor="platform", until=seen, within=LONG))


def unaffected(stage: Stage, fault: int) -> dict[str, int]:
    """What became of the submissions of attendance since the store was lost."""
    stage.attendance.await_acknowledged(10)
    stage.attendance.end()
    return dict(Counter(one.outcome for one in stage.attendance.history if one.begin >= fault))


def spooling(installation: Installation) -> Instance:
    """An instance that holds a spool's file."""
    for instance in installation.instances:
        for pid in instance.family():
            with suppress(OSError):
                if any(".spool" in str(one.readlink()) for one in Path(f"/proc/{pid}/fd").iterdir()):
                    return instance
    return installation.instances[0]


def tear(folder: Path) -> int:
    """Append half a line to the file of each dead worker, as one leaves that dies in the middle of writing it."""
    torn = 0
    for path in folder.glob("*.spool"):
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue  # its worker lives
            file.write(b'0badc0de {"incident_id": "')
            torn += 1
    return torn


def kill_while_spooling(stage: Stage) -> str:
    """An instance dies with reports in its spool, the last of them half written. Returns all whole lines."""
    victim = spooling(stage.installation)
    lines = len(stage.spooled())
    stage.drill.step(
        "instance killed while it spools",
        actor="harness",
        action=victim.kill,
        # again while the other instance holds the file, trying to bring it in
        until=lambda: {"torn files": torn, "lines": lines} if (torn := tear(stage.installation.spool)) else None,
        within=LONG,
    )
    stage.probe.await_acknowledged(10)  # by the other
    return "".join(f"{line}\n" for line in stage.spooled() if line.endswith("}"))


def times_kept(stage: Stage, node: Node) -> dict[str, str]:
    """The spooled incidents whose first event is not by their reporter, at the moment of their report: title → what."""
    rows = node.query(
        "SELECT title, actor, at FROM incidents JOIN timeline ON incident_id = id AND seq = 1 WHERE incidents.tenant_id = %s",
        [stage.tenant.id],
        DATABASE,
    )
    created = {title: (actor, at) for title, actor, at in rows}
    wrong = {}
    slack = timedelta(seconds=0.25)
    # by the calendar of this moment: that of the run's begin may have been set right since
    now, here = datetime.now(UTC), stopwatch.monotonic_ns()  # noqa: TID251 - the platform is served
    for one in stage.probe.history:
        if one.outcome == "ok" and one.result["status"] == 202 and one.key in created and one.end is not None:
            actor, at = created[one.key]
            begin, end = (now - timedelta(microseconds=(here - moment) / 1000) for moment in (one.begin, one.end))
            if actor != stage.tenant.staff.user_id or not begin - slack <= at <= end + slack:
                wrong[one.key] = f"{actor} at {at}, reported from {begin} to {end}"
    return wrong


@pytest.mark.drill("drills/incident-store-loss")
@pytest.mark.detects(
    "spool-never-brought-in",
    "spool-not-on-disk",
    "spool-brought-in-twice",
    "line-lost-on-a-torn-tail",
    "spool-forgets-the-time",
    "full-disk-not-told",
    "alert-not-sent",
    "alerted-once-only",
    "alert-never-ends",
    "health-always-ok",
)
def test_reports_outlive_their_store_and_come_back_once(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    evidence = _smartattend_evidence
    _smartattend_reference_drill.only_linux("a disk that can be filled")
    with ExitStack() as stack:
        stage = Stage(_smartattend_reference_drill, stack)
        floor = stage.drills.restore_floor(lambda: stage.site.restore("floor", stage.backup, stage.archive))
        stage.backed_up()
        fault = stage.destroy()
        wait(stage, "detected, spooling", stage.noticed)
        wait(stage, "superadmin alerted", stage.alerted)
        after = wait(stage, "attendance unaffected", lambda: unaffected(stage, fault))
        evidence.expect("attendance after the loss", sorted(after), ["ok"])
        lines = kill_while_spooling(stage)
        with stage.installation.full_disk():
            answer = stage.tenant.staff.report("there is no room for this").summary
        stage.probe.await_acknowledged(10)
        node = stage.rebuild()
        wait(stage, "spool brought in", lambda: None if stage.spooled() else {"incidents": len(stage.reported(node))})
        back = (stage.drill.steps[-1].end - fault) / 1e9
        stage.probe.await_acknowledged(10)
        stage.probe.end()
        reconcile(stage, node, lines, evidence)
        found = stage.drill.cost(stage.probe, stage.reported(node), fault, rto=RTO, rpo=RPO, floor=floor)
        evidence.measure("incident store back after", back, "s", RTO.total_seconds(), objective=True)
        again = stored_again(stage)
        evidence.measure("from the order to rebuild to a report in the store", again, "s")
        evidence.measure("from the order to rebuild to a report in the store, in floors", again / floor, "times")
        evidence.expect("acknowledged and gone", found.lost, ())
        evidence.expect("spooled with another time or actor", times_kept(stage, node), {})
        evidence.expect("a report that the disk has no room for", answer, "503 unavailable")
        evidence.expect("it is stored", "there is no room for this" in stage.reported(node), expected=False)
        lose_again(stage, node)
    dump_only(_smartattend_reference_drill)


def lose_again(stage: Stage, node: Node) -> None:
    """Whoever was alerted once is alerted of the next loss as well."""
    posted = len(stage.webhook.received)

    def alerted() -> dict[str, int] | None:
        stage.tenant.staff.report("the store is lost again")  # somebody has to meet it
        rows = stage.home.query("SELECT 1 FROM alerts", database=DATABASE)
        both = len(rows) > 1 and len(stage.webhook.received) > posted
        return {"alerts": len(rows)} if both else None

    stage.drill.step("lost again, alerted again", actor="harness", action=node.destroy, until=alerted, within=LONG)


def stored_again(stage: Stage) -> float:
    """Seconds from the order to rebuild to the first report that was stored at once, not spooled."""
    begin = next(step.begin for step in stage.drill.steps if step.name == REBUILT)
    stored = (
        one.end
        for one in stage.probe.history
        if one.outcome == "ok" and one.begin >= begin and one.end is not None and one.result["status"] == 201
    )
    return (min(stored) - begin) / 1e9


def reconcile(stage: Stage, node: Node, lines: str, evidence: Evidence) -> None:
    """Step 7: the same spool once more inserts nothing, nothing is there twice, and nobody is alarmed any more."""
    before = sorted(stage.reported(node))
    again = stage.installation.spool / "again.spool"

    def lay() -> None:
        whole = again.with_suffix(".whole")  # under its own name the platform might take it half written
        whole.write_text(lines)
        whole.rename(again)

    stage.drill.step(
        "reconciled, second replay inserts nothing",
        actor="harness",
        action=lay,
        until=lambda: (
            None if again.exists() or stage.alarmed() else {"lines": lines.count("\n"), "incidents": len(before)}
        ),
        within=LONG,
    )
    after = sorted(stage.reported(node))
    evidence.expect("titles after the second replay", after == before, expected=True)
    evidence.expect(
        "incidents that are there twice", [title for title, times in Counter(after).items() if times > 1], []
    )
    seqs = node.query(
        "SELECT count(*), count(DISTINCT incident_id) FROM timeline WHERE kind = 'created'", database=DATABASE
    )
    evidence.expect("each incident was created once", seqs[0][0], seqs[0][1])


def dump_only(drills: Drills) -> None:
    """A control: a dump, and nothing of what came after it."""
    site = drills.site()
    lost = drills.primary(site)
    dump = site.new_folder("dump") / "probe"
    with drills("control: dump only") as control:
        with drills.direct(lost.dsn(DATABASE)) as probe:
            probe.await_acknowledged(LOST)
            words = f"{lost.words} dbname={DATABASE}"
            site.programs.run("pg_dump", "-Fc", "-d", words, "-t", "smartattend_probe", "-f", dump)
            probe.await_acknowledged(LOST)
            fault = lost.destroy()
        new = drills.primary(site, "n1")
        words = f"{new.words} dbname={DATABASE}"
        control.step(
            "restored from the dump",
            actor="harness",
            action=lambda: site.programs.run("pg_restore", "--clean", "--if-exists", "-d", words, dump),
            until=lambda: {"rows": len(drills.written(new))},
            within=LONG,
        )
        control.must_lose(probe, drills.written(new), fault, LOST)
