"""Metrics and time on the wire, as documented in ``/api/openapi.json``. Rates are shares from 0 to 1."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from pytest_smartattend.reference.api.wire import Body, Instant, View
from pytest_smartattend.reference.api.wire_attendance import ClientTime
from pytest_smartattend.reference.domain.drift import Band
from pytest_smartattend.reference.domain.tenant_health import HealthStatus

Count = Annotated[int, Field(ge=0)]
Millis = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, le=1)]


class WindowView(View):
    """What was weighed: all that happened after `since`, up to `until`."""

    since: Instant
    until: Instant


class HealthStatusView(WindowView):
    """How the tenant fares."""

    status: HealthStatus
    requests: Count
    failures: Count
    failure_rate: Rate
    mean_latency_ms: Millis


class EndpointRate(View):
    """One endpoint's failures."""

    method: str
    endpoint: str
    requests: Count
    failures: Count
    failure_rate: Rate


class FailureRatesView(WindowView):
    """Failures: 5xx, and submissions that were refused."""

    requests: Count
    server_errors: Count
    attendance_failures: Count
    verification_mismatches: Count
    failure_rate: Rate
    endpoints: list[EndpointRate]


class EndpointLatency(View):
    """How long one endpoint takes."""

    method: str
    endpoint: str
    requests: Count
    mean_ms: Millis


class LatencyView(WindowView):
    """How long requests take, on the platform's clock."""

    requests: Count
    mean_ms: Millis
    p50_ms: Millis
    p95_ms: Millis
    p99_ms: Millis
    max_ms: Millis
    endpoints: list[EndpointLatency]


class DriftView(WindowView):
    """How far the clocks of clients were off; `mean_ms` and `max_ms` are of the sizes, without sign."""

    submissions: Count
    accepted: Count
    flagged: Count
    blocked: Count
    critical: Count
    mean_ms: Millis
    max_ms: Millis


class ClientClock(Body):
    """What a client's clock shows."""

    client_time: ClientTime


class LimitsView(View):
    """The largest drift of each band in milliseconds, where a tenant has set no other."""

    accepted_ms: Millis
    flagged_ms: Millis
    blocked_ms: Millis


class TimeView(View):
    """The platform's clock."""

    now: Instant
    limits: LimitsView


class DriftVerdict(View):
    """What would become of a submission with that clock."""

    now: Instant
    drift_ms: float
    band: Band
