"""Calls every operation of the contract once and says which are answered, which are not offered, and which wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.target import contract
from pytest_smartattend.target.client import Answer, Operation
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.platform import Platform

Word = Literal["ok", "not offered", "WRONG"]

_INCIDENT = "id tenant_id title description severity status escalation_level owner_id created_by created_at updated_at resolution sla"
_ATTENDANCE = "id tenant_id kind state submitted effective drift_ms submitted_by created_at"
_EVENT = "seq actor at kind from to payload prev hash"


@dataclass(frozen=True)
class Finding:
    """What was seen of one operation; `how` says what is wrong with it, or why it is not offered."""

    operation: str
    word: Word
    how: str = ""


@dataclass(frozen=True)
class _Step:
    """One call: by whom, on which incident or record, with what, and what must come."""

    operation: str
    role: str
    body: Mapping[str, object] | None = None
    status: str = "200"
    fields: str = ""
    #: where a row of a list is, whose fields are looked at too
    row: str = ""
    row_fields: str = ""
    #: keep the answer's id under this name
    keeps: str = ""
    on: str = "incident"


def _incident_steps() -> Iterator[_Step]:
    yield _Step(
        "POST /incidents", "staff", {"title": "To conform", "severity": "high"}, "201", _INCIDENT, keeps="incident"
    )
    yield _Step("GET /incidents", "staff", None, "200", "items next_cursor", "items", _INCIDENT)
    yield _Step("GET /incidents/{id}", "staff", None, "200", _INCIDENT)
    yield _Step("POST /incidents/{id}/close", "admin", {}, "409 invalid_transition", "current legal")
    yield _Step("PATCH /incidents/{id}/severity", "admin", contract.BODIES["severity"], "200", _INCIDENT)
    yield _Step("POST /incidents/{id}/escalate", "admin", {"level": "level_1"}, "422 escalation_level_mismatch")
    for action in ("acknowledge", "escalate", "investigate"):
        body = {"level": "executive"} if action == "escalate" else {}
        yield _Step(f"POST /incidents/{{id}}/{action}", "admin", body, "200", _INCIDENT)
    yield _Step("POST /incidents/{id}/root-cause", "admin", contract.BODIES["root-cause"], "201")
    yield _Step("POST /incidents/{id}/mitigate", "admin", {}, "200", _INCIDENT)
    yield _Step("POST /incidents/{id}/resolve", "admin", {}, "422 missing_fields", "fields")
    yield _Step("POST /incidents/{id}/resolve", "admin", contract.RESOLUTION, "200", _INCIDENT)
    yield _Step("POST /incidents/{id}/reopen", "admin", {}, "200", _INCIDENT)
    yield _Step("GET /incidents/{id}/timeline", "staff", None, "200", "incident_id events head", "events", _EVENT)
    yield _Step(
        "GET /incidents/{id}/escalations", "staff", None, "200", "items", "items", "id actor at severity level note"
    )
    yield _Step(
        "GET /incidents/{id}/root-causes", "staff", None, "200", "items", "items", "id actor at root_cause confidence"
    )
    yield _Step(
        "GET /incidents/{id}/refusals", "staff", None, "200", "items", "items", "id actor at action code detail"
    )
    yield _Step("GET /incidents/{id}/sla", "staff", None, "200", "acknowledge resolve")


def _record_steps() -> Iterator[_Step]:
    yield _Step("GET /attendance/{id}", "staff", None, "200", _ATTENDANCE, on="record")
    state = {"state": "FLAGGED", "reason": "To conform."}
    yield _Step("POST /attendance/{id}/state", "staff", state, "200", _ATTENDANCE, on="record")
    yield _Step(
        "GET /attendance/{id}/history",
        "staff",
        None,
        "200",
        "items",
        "items",
        "seq actor at from to reason",
        on="record",
    )
    body = {"type": "data_entry_error", "reason": "It is tried out.", "corrected": {"device_id": "door"}}
    fields = "id attendance_id type reason original corrected actor at reverted"
    yield _Step("POST /corrections/{id}", "staff", body, "201", fields, keeps="correction", on="record")
    yield _Step("GET /corrections/history/{id}", "staff", None, "200", "items effective", "items", fields, on="record")
    yield _Step("POST /corrections/{id}/revert", "admin", {"reason": "It was tried out."}, "200", on="correction")
    for name in ("health-status", "failure-rates", "api-latency", "clock-drift"):
        yield _Step(f"GET /metrics/{name}", "admin", None, "200", "since until")


def conform(platform: Platform) -> Iterator[Finding]:
    """Look at every operation of `platform`, in an order in which each can succeed.

    Raises:
        TargetError: it cannot be seeded, or does not answer at all.
    """
    tenant = platform.seed("school", _ignored)
    looked = _Walk({"school": tenant})
    yield from looked.take(_Step("GET /health", "nobody", None, "200", "parts"))
    yield from looked.take(_Step("GET /time/sync", "nobody", None, "200", "now"))
    clock = {"client_time": "2026-03-02T08:00:00Z"}
    yield from looked.take(_Step("POST /time/validate", "nobody", clock, "200", "drift_ms band"))
    email, password = _try(lambda: tenant.credentials("staff"), ("", ""))
    words = {"email": email, "password": password}
    yield from looked.take(_Step("POST /auth/login", "nobody", words, "200", "access_token expires_at"))
    yield from looked.take(_Step("POST /auth/login", "nobody", {**words, "password": "x"}, "401 invalid_credentials"))
    yield from looked.take(_Step("GET /auth/me", "staff", None, "200", "id tenant_id role"))
    yield from looked.take(_Step("GET /incidents", "member", None, "403 forbidden"))
    for step in _incident_steps():
        yield from looked.take(step)
    for kind, path in (("school", "/school/attendance"), ("corporate", "/corporate/checkins")):
        try:
            looked.tenants[kind] = one = looked.tenants.get(kind) or platform.seed(kind, _ignored)
            body = one.submission()
        except NotOffered as lacking:
            yield Finding(f"POST {path}", "not offered", lacking.what)
            continue
        keeps = "record" if kind == "school" else "check-in"
        yield from looked.take(_Step(f"POST {path}", "member", body, "201", _ATTENDANCE, keeps=keeps), kind)
    for step in _record_steps():
        yield from looked.take(step)


class _Walk:
    def __init__(self, tenants: dict[str, Tenant]) -> None:
        self.tenants = tenants
        self._kept: dict[str, str] = {}

    def take(self, step: _Step, kind: str = "school") -> Iterator[Finding]:
        method, path = step.operation.split(" ", 1)
        try:
            if "{id}" in path and step.on not in self._kept:
                raise NotOffered(f"{step.on} on which it could be tried")
            answer = (
                self.tenants[kind]
                .actor(step.role)
                .call(method, path.replace("{id}", self._kept.get(step.on, "")), step.body)
            )
        except NotOffered as lacking:
            yield Finding(step.operation, "not offered", lacking.what)
            return
        if step.keeps and isinstance(answer.body, dict) and isinstance(answer.body.get("id"), str):
            self._kept[step.keeps] = answer.body["id"]
        wrong = _wrong(step, answer)
        yield Finding(step.operation, "WRONG" if wrong else "ok", wrong)


def _wrong(step: _Step, answer: Answer) -> str:
    came = answer.summary if " " in step.status else str(answer.status or "no answer")
    if came != step.status:
        return f"answered {answer.summary}, wanted {step.status}: {str(answer.body)[:200]}"
    lacking = _lacking(answer.body, step.fields)
    rows = answer.body.get(step.row) if step.row and isinstance(answer.body, dict) else None
    if step.row and rows:
        lacking += [f"{step.row}[0].{name}" for name in _lacking(rows[0], step.row_fields)]
    elif step.row and not lacking:
        return f"{step.row} is empty, though there is one to show"
    return f"lacks {', '.join(lacking)}: {str(answer.body)[:200]}" if lacking else ""


def _lacking(body: object, fields: str) -> list[str]:
    return [name for name in fields.split() if not (isinstance(body, dict) and name in body)]


def _try(ask: Callable[[], Any], otherwise: Any) -> Any:  # noqa: ANN401
    try:
        return ask()
    except NotOffered:
        return otherwise


def _ignored(_operation: Operation) -> None:
    pass
