"""Makes the recorded incidents of ``fixtures/incidents`` anew, from real runs of the reference platform.

``python -m tests.contract.record_incidents FOLDER``. Ids and pseudonyms differ each time, the stories do not; a test holds
the shipped files to that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_smartattend.engine import incident_record
from pytest_smartattend.engine.faults import Down
from pytest_smartattend.engine.incident_record import Document
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.target.contract import BODIES, RESOLUTION
from pytest_smartattend.target.in_process import InProcessPlatform
from pytest_smartattend.target.paths import Faults
from pytest_smartattend.target.people import Person, Tenant
from pytest_smartattend.target.reference_platform import ReferencePlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials import recorded

MINUTE = 60.0
LONG_AGO = datetime.min.replace(tzinfo=UTC)
CAUSE = BODIES["root-cause"]
BLANK = {**RESOLUTION, "remediation_steps": "   ", "prevention_measures": "short"}


@dataclass
class Scene:
    """One incident in the making."""

    platform: InProcessPlatform
    tenant: Tenant
    id: str = ""
    created: datetime = LONG_AGO

    def report(self, severity: str, by: Person | None = None) -> None:
        reporter = by or self.tenant.staff
        made = reporter.report("Check-ins fail in the north wing", severity, description="Since the update.").must()
        self.id, self.created = made["id"], datetime.fromisoformat(made["created_at"])

    def act(
        self, after: float, action: str, body: Mapping[str, object] | None = None, by: Person | None = None
    ) -> None:
        self.until(after)
        (by or self.tenant.admin).act(self.id, action, BODIES.get(action, {}) if body is None else body)

    def until(self, after: float) -> None:
        self.platform.sleep_until(self.created + timedelta(seconds=after))


def through_all_states(scene: Scene) -> None:
    scene.report("high")
    scene.act(4 * MINUTE + 0.25, "acknowledge", {"note": "I am looking at it."})
    scene.act(9 * MINUTE, "escalate", {"level": "level_3", "note": "The vendor is needed."})
    scene.act(20 * MINUTE + 0.000001, "investigate")
    scene.act(31 * MINUTE, "root-cause", CAUSE)
    scene.act(40 * MINUTE, "mitigate")
    scene.act(90 * MINUTE, "resolve", RESOLUTION)
    scene.act(26 * 60 * MINUTE, "close")


def reopened(scene: Scene) -> None:
    scene.report("medium")
    for minute, action in ((5, "acknowledge"), (10, "investigate"), (20, "mitigate"), (60, "resolve"), (300, "reopen")):
        scene.act(minute * MINUTE, action)
    scene.act(310 * MINUTE, "mitigate")
    scene.act(400 * MINUTE, "resolve")
    scene.act(410 * MINUTE, "close")


def breached(scene: Scene) -> None:
    scene.report("critical")
    scene.act(30 * MINUTE, "investigate")
    scene.act(60 * MINUTE, "mitigate")
    scene.act(250 * MINUTE, "resolve")
    scene.act(260 * MINUTE, "close")


def concurrent_actors(scene: Scene) -> None:
    scene.report("high")
    second = scene.tenant.successor_of("admin")
    for second_s, action in ((60.0, "acknowledge"), (180.5, "investigate"), (300.0, "mitigate"), (420.0, "resolve")):
        scene.act(second_s, action)
        scene.act(second_s, action, by=second)  # at the same instant, and too late
    scene.act(500.0, "close", by=second)
    scene.act(500.0, "reopen")


def refused(scene: Scene) -> None:
    scene.report("critical")
    scene.act(30.0, "close")
    scene.act(40.0, "escalate", {"level": "level_3"})
    scene.act(50.0, "root-cause", CAUSE)
    scene.act(60.0, "acknowledge")
    scene.act(70.0, "root-cause", {"root_cause": "short", "confidence": "low"})
    scene.act(80.0, "investigate")
    scene.act(90.0, "mitigate")
    scene.act(100.0, "resolve", {})
    scene.act(110.0, "resolve", BLANK)
    scene.act(120.0, "resolve")
    scene.act(130.0, "severity", {"severity": "low", "reason": "It is over."})


def carried_up(scene: Scene) -> None:
    scene.report("low")
    scene.act(2 * MINUTE, "escalate", {"level": "level_1"})
    for minute, severity, level in ((5, "medium", "level_2"), (8, "high", "level_3"), (12, "critical", "executive")):
        scene.act(minute * MINUTE, "severity", {"severity": severity, "reason": "It is worse than was thought."})
        scene.act(minute * MINUTE, "escalate", {"level": level})
    scene.act(13 * MINUTE, "severity", {"severity": "critical", "reason": "It is critical already."})
    scene.act(14 * MINUTE, "investigate", by=scene.tenant.superadmin)
    scene.act(15 * MINUTE, "mitigate", by=scene.tenant.superadmin)


def failed_mitigation(scene: Scene) -> None:
    scene.report("high", by=scene.tenant.admin)
    scene.act(10 * MINUTE, "acknowledge")
    scene.act(15 * MINUTE, "investigate")
    for minute in (20, 45, 70):
        scene.act(minute * MINUTE, "mitigate")
        scene.act((minute + 10) * MINUTE, "investigate", {"note": "It did not help."})
    scene.act(85 * MINUTE, "escalate")
    scene.act(90 * MINUTE, "investigate")
    scene.act(95 * MINUTE, "mitigate")
    scene.act(6.5 * 60 * MINUTE, "resolve")


def by_the_platform(scene: Scene) -> None:
    tenant = scene.tenant
    answer = tenant.member.submit(tenant.submission(off=timedelta(minutes=11)))
    assert answer.code == "clock_drift_blocked", answer.summary
    made = tenant.staff.incident(answer.body["incident_id"]).must()
    scene.id, scene.created = made["id"], datetime.fromisoformat(made["created_at"])
    scene.act(14 * MINUTE, "acknowledge")
    scene.act(200 * MINUTE, "root-cause", CAUSE)


def handed_over(scene: Scene) -> None:
    tenant = scene.tenant
    incoming = tenant.successor_of("admin")
    scene.report("critical", by=tenant.admin)
    scene.act(5 * MINUTE, "acknowledge")
    scene.until(60 * MINUTE)
    handoff = tenant.admin.hand_over(incoming.user_id, "The north wing is still down.").must()["id"]
    incoming.accept_handoff(handoff, {scene.id: "The north wing is down; I go on."}).must()
    scene.act(70 * MINUTE, "investigate", by=incoming)
    scene.act(80 * MINUTE, "mitigate", by=incoming)
    scene.act(90 * MINUTE, "resolve", by=incoming)


def too_low(scene: Scene) -> None:
    scene.report("critical")
    scene.act(5 * MINUTE, "acknowledge")
    scene.act(6 * MINUTE, "escalate", {"level": "level_3"})
    scene.act(10 * MINUTE, "investigate")


#: file → what happens; on the virtual clock, so that the platform is never late
COURSES: dict[str, Callable[[Scene], None]] = {
    "all-states": through_all_states,
    "reopened": reopened,
    "breached": breached,
    "concurrent-actors": concurrent_actors,
    "refused": refused,
    "carried-up": carried_up,
    "failed-mitigation": failed_mitigation,
    "by-the-platform": by_the_platform,
    "handed-over": handed_over,
    "must-be-refused": too_low,
}
#: the platform that recorded it broke a rule, so that no platform may do it again
LAWLESS = {"must-be-refused": "level-below-severity-accepted"}
MORE: dict[str, dict[str, Any]] = {
    "must-be-refused": {"verdict": "not legal", "rule": "422 escalation_level_mismatch"},
}
SPOOLED = "from-the-spool"


def record(server: Server, name: str) -> Document:
    """The document of a course on a platform of its own."""
    database = server.pool(ReferenceSchema()).take()
    with closing(InProcessPlatform(database, LoopClock(), sabotage=LAWLESS.get(name, ""))) as platform:
        scene = Scene(platform, platform.seed("school", lambda _: None))
        COURSES[name](scene)
        return _exported(scene.tenant, scene.id)


def record_spooled(server: Server, folder: Path) -> Document:
    """Reported while its store was away, brought in from the spool, and worked on: by the wall clock."""
    database = server.pool(ReferenceSchema()).take()
    platform = ReferencePlatform(server, database, folder, workers=1, seed=1)
    try:
        tenant = platform.seed("school", lambda _: None)
        with Faults(platform.paths, lambda *_, **__: None).on("incidents_database", Down()):
            answer = tenant.staff.report("The incident store is away", "high")
            assert answer.status == 202, answer.summary
        incident_id = answer.body["id"]
        count = "select count(*) from incidents where id = %s"
        assert platform.observer.counted(count, incident_id, least=1, patience=30.0) == 1
        for action in ("acknowledge", "investigate", "mitigate", "resolve", "close"):
            tenant.admin.act(incident_id, action, BODIES[action]).must()
        return _exported(tenant, incident_id)
    finally:
        platform.stop()


def _exported(tenant: Tenant, incident_id: str) -> Document:
    document: Document = incident_record.checked(tenant.admin.export(incident_id).must())
    # the platform's key is gone with it: what ships is held by the digests beside it
    document["header"].pop("signature", None)
    return document


def main(folder: Path) -> None:
    """Record all into `folder`."""
    with throwaway(Wanted()) as server:
        for name in COURSES:
            recorded.keep(record(server, name), folder / f"{name}.json", exact=True, **MORE.get(name, {}))
        recorded.keep(record_spooled(server, folder.absolute() / ".platform"), folder / f"{SPOOLED}.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
