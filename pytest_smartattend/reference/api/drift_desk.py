"""Clients' clocks: each submission's drift is judged, recorded, and raised as an incident where it is critical."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain.attendance import Submission
from pytest_smartattend.reference.domain.drift import Band, DriftRules, milliseconds
from pytest_smartattend.reference.domain.incident import Severity
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.domain.ports import NewId
from pytest_smartattend.reference.store.keys import DriftAlarms
from pytest_smartattend.reference.store.metric_rows import CLOCK_DRIFT, Metric, MetricRows
from pytest_smartattend.reference.store.rosters import Rosters
from pytest_smartattend.reference.store.sessions import StoreUnreachable

log = logging.getLogger(__name__)

#: who opens an incident about a clock
ACTOR = "system:clock-drift"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a submission's clock amounts to; `problem` where it is refused."""

    drift_ms: float
    band: Band
    problem: Problem | None


class DriftDesk:
    """Judges clocks. One incident per tenant, device and hour of the platform's clock."""

    def __init__(self, incidents: IncidentDesk, rosters: Rosters, metrics: MetricRows, new_id: NewId) -> None:
        self.rules = DriftRules()
        self.alarms = DriftAlarms()
        self._incidents = incidents
        self._rosters = rosters
        self._metrics = metrics
        self._new_id = new_id

    async def judge(
        self, transaction: AsyncConnection, tenant_id: UUID, submission: Submission, *, at: datetime
    ) -> Judged:
        """The band of the submission's clock. A refused one is recorded here; for an accepted one, see `record`."""
        thresholds = await self._rosters.thresholds(transaction, tenant_id)
        drift = self.rules.drift(submission.client_time, at)
        judged = Judged(milliseconds(drift), self.rules.band(drift, thresholds), None)
        if not judged.band.refused:
            return judged
        await self.record(transaction, tenant_id, judged, at=at)
        incident_id = None
        if judged.band is Band.CRITICAL:
            incident_id = await self.alarms.raised(
                transaction, tenant_id, device_of(submission), hour=self.rules.hour(at), incident_id=self._new_id()
            )
        most = milliseconds(thresholds.flagged)
        detail = f"the client's clock is off by {judged.drift_ms:+.3f} ms; set it right, at most {most:g} ms are taken"
        problem = Problem(
            "clock_drift_blocked",
            detail,
            drift_ms=judged.drift_ms,
            band=judged.band.value,
            incident_id=str(incident_id) if incident_id else None,
        )
        return Judged(judged.drift_ms, judged.band, problem)

    async def record(self, transaction: AsyncConnection, tenant_id: UUID, judged: Judged, *, at: datetime) -> None:
        """Record the drift as a metric."""
        row = Metric(tenant_id, at, CLOCK_DRIFT, judged.drift_ms, outcome=judged.band.value)
        await self._metrics.write(transaction, [row])

    async def alarm(self, tenant_id: UUID, submission: Submission, answer: Mapping[str, Any], *, at: datetime) -> None:
        """Open the incident that a refused submission's answer names, unless it is open already.

        Called again for every such answer, also a replayed one: an incident that could not be opened, because its store
        was away or the worker died in between, is opened by the next that names it.
        """
        incident_id = answer.get("incident_id")
        if incident_id is None:
            return
        device = device_of(submission)[:80]
        report = Report(
            f"Clock of {device} is off",
            f"A submission of {device} was refused: its clock was off by {answer['drift_ms']:+.3f} ms.",
            Severity.CRITICAL,
        )
        try:
            await self._incidents.report_once(UUID(incident_id), tenant_id, report, actor=ACTOR, at=at)
        except StoreUnreachable:
            log.warning("incident %s about a clock is not open yet: the incident store is away", incident_id)


def device_of(submission: Submission) -> str:
    """The device by name, or the person's where none was named."""
    return submission.device_id or f"the device of {submission.person_id}"
