"""Storm 2: one endpoint fails for the better part of an hour; the tenant's health passes every status and recovers by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from pytest_smartattend import (
    Abort,
    ClockedStorm,
    Delay,
    Evidence,
    Faults,
    History,
    InProcessPlatform,
    Request,
    Tenant,
    checkers,
    contract,
    distinct_submissions,
    judge,
    validate_submissions,
)

MINUTE, SECOND, HOUR = timedelta(minutes=1), timedelta(seconds=1), timedelta(hours=1)
STEP = 3 * MINUTE
#: steps before the outage, in it, and until nothing of it is left in the hour that is looked back
WELL, ILL, AFTER = 20, 17, 21
#: requests of a step besides its one submission, so that the hour holds a hundred requests
OTHERS = 4
#: how the endpoint fails: for ever the n-th step of it adds one in a hundred failures, or a second to the mean
OUTAGES = {"errors": Abort(503, match="POST /school/attendance"), "latency": Delay(25 * SECOND, match="GET /auth/me")}
THROUGH = ("healthy", "degraded", "critical", "degraded", "healthy")


class Load:
    """An even load, and what health must say about it, worked out from our own notes."""

    def __init__(self, platform: InProcessPlatform, tenant: Tenant, evidence: Evidence) -> None:
        self.submissions = History()
        self.healths = History()
        self._platform = platform
        self._tenant = tenant
        self._evidence = evidence
        self._left = distinct_submissions(tenant, "outage")
        self._failed: list[Request] = []
        self._notes: list[tuple[datetime, bool, timedelta]] = []
        self._started = platform.clock.now()
        self._steps = 0

    def step(self) -> None:
        """Send one step's requests, and compare health with our notes."""
        self._platform.sleep_until(self._started + self._steps * STEP)
        self._steps += 1
        request = self._now(self._left.pop(0))
        if not self._note(lambda: self._submit(request)):
            self._failed.append(request)
        for _ in range(OTHERS):
            self._note(lambda: self._tenant.member.call("GET", "/auth/me").ok)
        self._platform.rest()
        self._look()

    def submit_what_failed(self) -> None:
        """Submit again what the outage refused, by the clock as it is now."""
        for request in self._failed:
            done = self._submit(replace(self._now(request), idempotency_key=f"late-{request.idempotency_key}"))
            self._evidence.expect(f"{request.idempotency_key} is submitted in the end", done, expected=True)

    def _submit(self, request: Request) -> bool:
        (operation,) = ClockedStorm(self._platform).closed([request], 1).history
        self.submissions.append(operation)
        return operation.outcome == "ok"

    def _now(self, request: Request) -> Request:
        return replace(request, body={**(request.body or {}), "client_time": self._platform.clock.now().isoformat()})

    def report(self) -> None:
        """Report an incident, which is one more request."""
        self._note(lambda: self._tenant.staff.report("Nobody can submit").ok)

    def _note(self, ask: Callable[[], bool]) -> bool:
        begun = self._platform.clock.now()
        done = ask()
        ended = self._platform.clock.now()
        self._notes.append((ended, not done, ended - begun))
        return done

    def _look(self) -> None:
        begun, now = self._platform.clock.elapsed_ns(), self._platform.clock.now()
        weighed = [(failed, taken) for at, failed, taken in self._notes if at > now - HOUR]
        failures = sum(failed for failed, _ in weighed)
        mean = sum((taken for _, taken in weighed), timedelta()) / len(weighed)
        status = contract.health(failures / len(weighed), mean)
        told = self._tenant.admin.metrics("health-status").must()
        seen = (told["status"], told["requests"], told["failures"])
        self._evidence.expect(f"health after {self._steps} steps", seen, (status, len(weighed), failures))
        place = self.healths.invoke(0, "read", "health", None, begun)
        self.healths.end(place, "ok", told["status"], self._platform.clock.elapsed_ns())


@pytest.mark.storm("storms/partial-outage")
@pytest.mark.detects(
    "health-never-recovers",
    "health-counts-newest-only",
    "health-window-too-long",
    "health-limit-too-high",
    "health-ignores-latency",
)
@pytest.mark.parametrize("kind", OUTAGES)
def test_health_passes_every_status_and_recovers_by_itself(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_discrete_faults: Faults,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    platform, evidence = _smartattend_discrete, _smartattend_evidence
    tenant, bystander = _smartattend_discrete_tenants(), _smartattend_discrete_tenants()
    load = Load(platform, tenant, evidence)
    for _ in range(WELL):
        load.step()
    with _smartattend_discrete_faults.on("platform", OUTAGES[kind]):
        for _ in range(ILL):
            load.step()
        evidence.expect("the databases", tenant.nobody.health().status, 200)
        load.report()
        evidence.expect("another tenant", bystander.admin.metrics("health-status").must()["status"], "healthy")
    for _ in range(AFTER):
        load.step()
    judge(evidence, checkers.legal_order(load.healths, THROUGH))
    load.submit_what_failed()
    platform.rest()
    validate_submissions(evidence, platform.observer, tenant, load.submissions)
