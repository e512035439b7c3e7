"""Metrics and the platform's time over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from pytest_smartattend.reference.api import wire_metrics as wire
from pytest_smartattend.reference.api.access import GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.openapi import BODY, refusals
from pytest_smartattend.reference.domain.drift import Thresholds, milliseconds

router = APIRouter(prefix="/api", route_class=GuardedRoute)


def _reads(path: str) -> dict[str, Any]:
    return {"path": path, "responses": refusals(f"GET {path}")}


def _named(endpoint: str) -> dict[str, str]:
    method, _, path = endpoint.partition(" ")
    return {"method": method, "endpoint": path}


@router.get(**_reads("/metrics/health-status"))
async def health_status(request: Request) -> wire.HealthStatusView:
    """How the tenant fared in the last hour."""
    loads, status = await platform_of(request).metrics.health(caller_of(request))
    return wire.HealthStatusView(
        since=loads.window.since,
        until=loads.window.until,
        status=status,
        requests=loads.total.requests,
        failures=loads.total.failures,
        failure_rate=loads.total.failure_rate,
        mean_latency_ms=loads.total.mean_ms,
    )


@router.get(**_reads("/metrics/failure-rates"))
async def failure_rates(request: Request) -> wire.FailureRatesView:
    """What failed in the last hour."""
    desk, caller = platform_of(request).metrics, caller_of(request)
    loads = await desk.loads(caller)
    endpoints = [
        wire.EndpointRate(
            **_named(endpoint), requests=load.requests, failures=load.failures, failure_rate=load.failure_rate
        )
        for endpoint, load in loads.by_endpoint.items()
    ]
    return wire.FailureRatesView(
        since=loads.window.since,
        until=loads.window.until,
        requests=loads.total.requests,
        server_errors=loads.total.server_errors,
        attendance_failures=loads.total.failed_submissions,
        verification_mismatches=await desk.mismatches(caller, loads.window),
        failure_rate=loads.total.failure_rate,
        endpoints=endpoints,
    )


@router.get(**_reads("/metrics/api-latency"))
async def api_latency(request: Request) -> wire.LatencyView:
    """How long requests took in the last hour."""
    desk, caller = platform_of(request).metrics, caller_of(request)
    loads = await desk.loads(caller)
    endpoints = [
        wire.EndpointLatency(**_named(endpoint), requests=load.requests, mean_ms=load.mean_ms)
        for endpoint, load in loads.by_endpoint.items()
    ]
    return wire.LatencyView(
        since=loads.window.since,
        until=loads.window.until,
        requests=loads.total.requests,
        mean_ms=loads.total.mean_ms,
        endpoints=endpoints,
        **await desk.latency(caller, loads.window),
    )


@router.get(**_reads("/metrics/clock-drift"))
async def clock_drift(request: Request) -> wire.DriftView:
    """How far clients' clocks were off in the last hour."""
    window, found = await platform_of(request).metrics.drifts(caller_of(request))
    counts = found["counts"]
    bands = {band: counts.get(band, 0) for band in ("accepted", "flagged", "blocked", "critical")}
    sizes = {"mean_ms": found["mean_ms"], "max_ms": found["max_ms"]}
    return wire.DriftView(since=window.since, until=window.until, submissions=sum(bands.values()), **bands, **sizes)


@router.get("/time/sync", responses=refusals("GET /time/sync"))
async def time_sync(request: Request) -> wire.TimeView:
    """The platform's clock, and how far a client's may be off."""
    limits = Thresholds()
    return wire.TimeView(
        now=platform_of(request).clock.now(),
        limits=wire.LimitsView(
            accepted_ms=milliseconds(limits.accepted),
            flagged_ms=milliseconds(limits.flagged),
            blocked_ms=milliseconds(limits.blocked),
        ),
    )


@router.post("/time/validate", responses=refusals("POST /time/validate", *BODY))
async def time_validate(request: Request, body: wire.ClientClock) -> wire.DriftVerdict:
    """What would become of a submission with this clock, by the usual limits; nothing is recorded."""
    platform = platform_of(request)
    now, rules = platform.clock.now(), platform.attendance.drift.rules
    drift = rules.drift(body.client_time, now)
    return wire.DriftVerdict(now=now, drift_ms=milliseconds(drift), band=rules.band(drift, Thresholds()))
