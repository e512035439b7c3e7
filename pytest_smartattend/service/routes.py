"""The validation endpoints over HTTP (SPEC 4), judged by the platform's own access."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.reference.api.access import Caller, GuardedRoute, caller_of, platform_of
from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain.actors import Role
from pytest_smartattend.service import parameters as asked
from pytest_smartattend.service.desk import Desk
from pytest_smartattend.service.jobs import Job, Jobs
from pytest_smartattend.service.problems import ServiceProblem

router = APIRouter(prefix="/api", route_class=GuardedRoute, include_in_schema=False)


def desk_of(request: Request) -> Desk:
    """What the endpoints hand their requests to."""
    desk: Desk = request.app.state.validation
    return desk


def visible(jobs: Jobs, caller: Caller, job_id: str) -> Job:
    """The job, as far as the caller may know of it.

    Raises:
        Problem: not_found; also for another tenant's job.
    """
    job = jobs.find(job_id)
    is_everyones = caller.user.role is Role.SUPERADMIN
    if job is None or not (is_everyones or (job.tenant is not None and job.tenant == str(caller.user.tenant_id))):
        raise Problem("not_found", "there is no such job; a service that was started anew knows none of the old ones")
    return job


def _accepted(job: Job) -> JSONResponse:
    where = f"/api/validation/jobs/{job.id}"
    links = {"self": where, "events": f"{where}/events", "cancel": f"{where}/cancel"}
    return JSONResponse({"job": job.view(), "links": links}, 202, {"Location": where})


@router.post("/validation/platform-readiness")
async def platform_readiness(request: Request, body: asked.Validation | None = None) -> JSONResponse:
    """Run all suites."""
    return _accepted(await desk_of(request).validate("platform-readiness", caller_of(request), body))


@router.post("/validation/scenarios")
async def scenarios(request: Request, body: asked.Validation | None = None) -> JSONResponse:
    """Run the scenarios."""
    return _accepted(await desk_of(request).validate("scenarios", caller_of(request), body))


@router.post("/validation/simulations")
async def time_simulations(request: Request, body: asked.Validation | None = None) -> JSONResponse:
    """Run the simulations on the clock."""
    return _accepted(await desk_of(request).validate("simulations", caller_of(request), body))


@router.get("/validation/platform-readiness/latest")
async def latest(request: Request) -> JSONResponse:
    """The newest validation of the whole platform, whatever it says, and what it is worth now."""
    try:
        found = await desk_of(request).latest()
    except EvidenceError as problem:
        raise ServiceProblem("results_damaged", str(problem)) from None
    if found is None:
        raise Problem("not_found", "no validation has ended yet; start one: POST /api/validation/platform-readiness")
    return JSONResponse(found)


@router.get("/validation/health")
async def health(request: Request) -> JSONResponse:
    """Whether validations can be run."""
    found = desk_of(request).health()
    return JSONResponse(found, 200 if found["status"] == "ok" else 503)


@router.get("/validation/jobs/{id}")
async def show(request: Request) -> JSONResponse:
    """One job."""
    return JSONResponse({"job": _job(request).view()})


@router.post("/validation/jobs/{id}/cancel")
async def cancel(request: Request) -> JSONResponse:
    """Ask a job to stop; it ends as incomplete."""
    job = _job(request)
    desk_of(request).jobs.cancel(job)
    return JSONResponse({"job": job.view()}, 202)


def _job(request: Request) -> Job:
    return visible(desk_of(request).jobs, caller_of(request), request.path_params["id"])


@router.post("/simulations/time-drift")
async def time_drift(request: Request, body: asked.TimeDrift | None = None) -> JSONResponse:
    """Clocks that are off."""
    return await _simulate(request, "time_drift", body or asked.TimeDrift())


@router.post("/simulations/partial-outage")
async def partial_outage(request: Request, body: asked.PartialOutage | None = None) -> JSONResponse:
    """An endpoint that is out."""
    return await _simulate(request, "partial_outage", body or asked.PartialOutage())


@router.post("/simulations/duplicate-storm")
async def duplicate_storm(request: Request, body: asked.DuplicateStorm | None = None) -> JSONResponse:
    """Duplicates, all at once."""
    return await _simulate(request, "duplicate_storm", body or asked.DuplicateStorm())


@router.post("/simulations/network-instability")
async def network_instability(request: Request, body: asked.NetworkInstability | None = None) -> JSONResponse:
    """A network that fails."""
    return await _simulate(request, "network_instability", body or asked.NetworkInstability())


@router.post("/simulations/comprehensive")
async def comprehensive(request: Request, body: asked.All | None = None) -> JSONResponse:
    """All four in sequence."""
    return await _simulate(request, "comprehensive", body or asked.All())


@router.post("/simulations/stress-test")
async def stress_test(request: Request, body: asked.StressTest | None = None) -> JSONResponse:
    """All four at once."""
    return await _simulate(request, "stress_test", body or asked.StressTest())


async def _simulate(request: Request, kind: str, body: asked.Parameters) -> JSONResponse:
    return _accepted(await desk_of(request).simulate(kind, caller_of(request), body))


@router.get("/simulations/status")
async def status(request: Request) -> JSONResponse:
    """The tenant's health, and its simulations."""
    desk, caller = desk_of(request), caller_of(request)
    loads, word = await platform_of(request).metrics.health(caller)
    metrics: dict[str, Any] = {
        "status": word,
        "requests": loads.total.requests,
        "failures": loads.total.failures,
        "failure_rate": loads.total.failure_rate,
        "mean_latency_ms": loads.total.mean_ms,
    }
    return JSONResponse({"health": metrics, "simulations": [job.view() for job in desk.simulations_of(caller)]})
