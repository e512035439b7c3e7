"""Simulation 1: four hours of too many submissions, from the first error to the day's close."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import pytest

from pytest_smartattend import (
    Abort,
    Act,
    ClockedStorm,
    Delay,
    Do,
    Evidence,
    Faults,
    InProcessPlatform,
    Script,
    Simulation,
    Tenant,
    contract,
    distinct_submissions,
)

MINUTE = timedelta(minutes=1)
#: of the timeline below; whoever changes the script computes it anew
DIGEST = "417c717a53981b46121d4b66aafef9371a67d6c415788caeffea1f30b4ee83c6"
SUBMIT = "POST /school/attendance"
#: two students in two class sessions on 28 days
EVERYBODY = 112
#: after which every worker has written down what it measured; so long that the load before is out of the next hour
WRITTEN = 5 * MINUTE


class PeakLoad:
    """What happens to the platform, and what its people see of it.

    The errors come from a fault before the platform's handlers, and so does the slowness: what is shown is whether it
    measures, tells and gets over them. In ``60x`` a request's own time counts sixtyfold, so there they come one by one,
    and a busy machine is rightly found slower than the script says.
    """

    def __init__(self, platform: InProcessPlatform, tenant: Tenant, faults: Faults, evidence: Evidence) -> None:
        self._platform = platform
        self._tenant = tenant
        self._faults = faults
        self._evidence = evidence
        self._held = ExitStack()
        self._replies: Counter[str] = Counter()
        self._loads = 0

    def breaks_down(self) -> str:
        """Nineteen of twenty submissions fail; the error with which it shows."""
        self._hold(Abort(503, match=SUBMIT, probability=0.95, by="match"))
        self._replies = self._load(20)
        return next(status for status in self._replies if status != "201")

    def fails(self) -> None:
        """The error rate is 95 %, and the platform tells it to the request."""
        replies = self._load(100)
        rate = _failed(replies) / replies.total()
        self._evidence.measure("error rate at +0:05", rate * 100, "%")
        self._evidence.expect("the error rate is about 95 %", 0.87 < rate <= 1, expected=True)
        self._replies += replies
        self._told(requests=self._replies.total() + 1, errors=_failed(self._replies), health="critical")

    def slows_down(self) -> None:
        """What is let through no longer fails, but takes five and a half seconds; people notice."""
        self._hold(Delay(timedelta(seconds=5.5), match=SUBMIT))
        replies = self._load(30)
        self._evidence.expect("failures", _failed(replies), 0)
        self._told(requests=replies.total() + 1, errors=0, health="degraded")

    def grows(self) -> None:
        """Resources are added: the slowness goes, and there is a worker more, whose turn comes."""
        self._held.close()
        workers = self._platform.describe()["workers"]
        self._platform.add_worker()
        self._evidence.expect("workers", self._platform.describe()["workers"], workers + 1)
        self._replies = self._load(3 * (workers + 1))

    def holds(self) -> None:
        """Everybody submits, whoever was refused before too; hardly anybody fails, and nobody's attendance is lost."""
        self._replies += self._load(EVERYBODY)
        rate = 100 * _failed(self._replies) / self._replies.total()
        self._evidence.measure("error rate since +2:30", rate, "%", limit=0.99)
        self._told(requests=self._replies.total(), errors=0, health="healthy")
        stored = self._platform.observer.value("select count(*) from attendance where tenant_id = %s", self._tenant.id)
        self._evidence.expect("records", stored, EVERYBODY)

    def _told(self, requests: int, errors: int, health: str) -> None:
        """What the platform tells of the last hour is what was done to it."""
        self._platform.sleep_until(self._platform.clock.now() + WRITTEN)
        rates = self._tenant.admin.metrics("failure-rates").must()
        done = {"server_errors": errors, "attendance_failures": 0}
        if self._platform.clock.mode == "discrete":  # elsewhere a load lasts, and lies on both sides of an hour's begin
            done["requests"] = requests
        self._evidence.expect("what the metrics tell", {name: rates[name] for name in done}, done)
        status = self._tenant.admin.metrics("health-status").must()
        self._evidence.measure("mean latency", status["mean_latency_ms"], "ms")
        figures = contract.health(status["failure_rate"], timedelta(milliseconds=status["mean_latency_ms"]))
        self._evidence.expect("health, by the figures that are told", status["status"], figures)
        if self._platform.clock.mode == "discrete":
            self._evidence.expect("the tenant's health", status["status"], health)

    def _load(self, count: int) -> Counter[str]:
        """Send `count` submissions, at the same time where time stands still meanwhile; status → how many answers."""
        self._loads += 1  # who submits again does so with another key, and gets the record that there is
        keys, storm = f"load-{self._loads}", ClockedStorm(self._platform)
        if self._platform.clock.mode == "discrete":
            return storm.closed(distinct_submissions(self._tenant, keys)[:count], count).replies
        replies: Counter[str] = Counter()
        for number in range(count):  # each made when it is sent: a submission tells its client's time
            replies += storm.closed([distinct_submissions(self._tenant, keys)[number]], 1).replies
        return replies

    def _hold(self, fault: Abort | Delay) -> None:
        self._held.close()
        self._held.enter_context(self._faults.on("platform", fault))


def _failed(replies: Counter[str]) -> int:
    return sum(count for status, count in replies.items() if not status.startswith("2"))


def script_of(peak: PeakLoad) -> Script:
    """The specification's twelve lines."""
    return [
        Do(5 * MINUTE, "error rate 95 %", peak.fails),
        Act(15 * MINUTE, "admin", "acknowledge", ("acknowledged", "open", "acknowledged")),
        Act(30 * MINUTE, "admin", "escalate", ("escalated", "acknowledged", "escalated"), {"level": "level_3"}),
        Act(45 * MINUTE, "admin", "investigate", ("investigating", "escalated", "investigating")),
        Act(60 * MINUTE, "admin", "root-cause", ("root_cause_recorded", None, None), contract.BODIES["root-cause"]),
        Act(90 * MINUTE, "admin", "mitigate", ("mitigating", "investigating", "mitigating")),
        Do(120 * MINUTE, "degradation noticed", peak.slows_down),
        Do(150 * MINUTE, "resources added", peak.grows),
        Do(180 * MINUTE, "error rate since +2:30 under 1 %", peak.holds),
        Act(210 * MINUTE, "admin", "resolve", ("resolved", "mitigating", "resolved"), contract.RESOLUTION),
        Act(240 * MINUTE, "admin", "close", ("closed", "resolved", "closed")),
    ]


@pytest.mark.simulation("simulations/peak-load")
@pytest.mark.detects("metrics-lost-on-errors", "health-ignores-latency", "metrics-of-a-whole-day")
def test_four_hours_of_too_much_load_are_measured_told_and_got_over(
    _smartattend_in_process: InProcessPlatform,
    _smartattend_simulated_tenant: Tenant,
    _smartattend_in_process_faults: Faults,
    _smartattend_evidence: Evidence,
) -> None:
    platform, tenant = _smartattend_in_process, _smartattend_simulated_tenant
    peak = PeakLoad(platform, tenant, _smartattend_in_process_faults, _smartattend_evidence)
    error = peak.breaks_down()
    simulation = Simulation(platform, platform.clock, tenant, _smartattend_evidence)
    simulation.play(f"Submissions end in {error}", "high", script_of(peak), DIGEST)
