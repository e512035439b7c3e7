"""Does every operation of the contract once and says which are answered rightly, which wrongly, and which were not tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from pytest_smartattend.errors import ContractBroken, NotOffered
from pytest_smartattend.target import contract
from pytest_smartattend.target.adapted import AdaptedPlatform
from pytest_smartattend.target.client import Answer, Operation
from pytest_smartattend.target.operations import OPERATIONS
from pytest_smartattend.target.people import Person, Tenant

Word = Literal["ok", "not tried", "not offered", "WRONG"]
Body = Mapping[str, object]

_INCIDENT = "id tenant_id title description severity status escalation_level owner_id created_by created_at updated_at resolution sla"
_ATTENDANCE = "id tenant_id kind state submitted effective drift_ms submitted_by created_at"
_EVENT = "seq actor at kind from to payload prev hash"
_HANDOFF = (
    "id tenant_id status from_user_id to_user_id briefing_notes initiated_at expires_at as_of health critical_alerts incidents "
    "difference ended"
)
_HANDED = "id title severity status escalation_level owner_id escalations sla next_actions"
_EXPORT = "format schema_version record digest header"


@dataclass(frozen=True)
class Finding:
    """What was seen of one operation; `how` says what is wrong with it, or why it could not be tried."""

    operation: str
    word: Word
    how: str = ""


@dataclass(frozen=True)
class _Step:
    """One call: by whom, on which incident or record, with what, and what must come.

    `by` is a role; it, `body` and `on` may be functions, which may find that what they must give cannot be had.
    """

    operation: str
    by: str | Callable[[], Person]
    body: Body | Callable[[], Body] | None = None
    status: str = "200"
    fields: str = ""
    #: where a row of a list is, whose fields are looked at too
    row: str = ""
    row_fields: str = ""
    #: keep the answer's id under this name
    keeps: str = ""
    on: str | Callable[[], str] = "incident"

    @property
    def succeeds(self) -> bool:
        """Whether the operation is to be done, not refused."""
        return self.status < "4"


def _incident_steps(admin: Person) -> Iterator[_Step]:
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
    for action in ("reopen", "close"):
        yield _Step(f"POST /incidents/{{id}}/{action}", "admin", {}, "200", _INCIDENT, on=lambda: _resolved(admin))


def _resolved(admin: Person) -> str:
    """A resolved incident of its own: the way to it is what other steps are about."""
    incident = str(admin.report("To conform, once resolved").must()["id"])
    for action in contract.WAY_TO["resolved"]:
        admin.act(incident, action, contract.BODIES[action]).must()
    return incident


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


def _handoff_steps(tenant: Tenant, kept: dict[str, str]) -> Iterator[_Step]:
    def successor() -> Person:
        return tenant.successor_of("admin")

    def offer() -> Body:
        tenant.admin.report("To conform, and to be read back", "critical").must()
        return {"to_user_id": successor().user_id, "briefing_notes": "To conform."}

    def another() -> str:
        kept["second handoff"] = str(tenant.admin.hand_over(successor().user_id).must()["id"])
        return kept["second handoff"]

    def read_back(handoff: str = "handoff") -> Body:
        told = successor().briefing(kept[handoff]).must()["incidents"]
        critical = [one["id"] for one in told if one["severity"] == "critical"]
        return {"read_back": [{"incident_id": one, "said": "I take over what is critical."} for one in critical]}

    initiate, one = "POST /validation/handoff/initiate", "/validation/handoff/{id}"
    told = (_HANDOFF, "incidents", _HANDED)
    yield _Step(initiate, "admin", offer, "201", *told, keeps="handoff")
    yield _Step(f"GET {one}/briefing", successor, None, "200", *told, on="handoff")
    yield _Step(f"POST {one}/accept", "admin", read_back, "403 wrong_person", on="handoff")
    yield _Step(f"POST {one}/accept", successor, {"read_back": []}, "422 missing_fields", "fields", on="handoff")
    yield _Step(f"POST {one}/reject", successor, {"reason": "It was tried out."}, "200", *told, on="handoff")
    yield _Step(f"POST {one}/accept", successor, read_back, "409 handoff_over", "current", on="handoff")
    yield _Step(f"POST {one}/accept", successor, lambda: read_back("second handoff"), "200", *told, on=another)


def _export_steps() -> Iterator[_Step]:
    yield _Step("POST /validation/incidents/{id}/export", "admin", {"verbatim": False}, "200", _EXPORT)
    page = "items next_cursor"
    yield _Step("POST /validation/incidents/export", "admin", {"limit": 1}, "200", page, "items", _EXPORT)


def conform(platform: AdaptedPlatform) -> Iterator[Finding]:
    """Look at every operation of `platform`, in an order in which each can succeed.

    Raises:
        TargetError: it cannot be seeded, or does not answer at all.
    """
    tenant = platform.seed("school", _ignored)
    looked = _Walk(platform, tenant)
    for steps in (
        _open_steps(tenant),
        _incident_steps(tenant.admin),
        _attendance_steps(platform, tenant),
        _record_steps(),
        _handoff_steps(tenant, looked.kept),
        _export_steps(),
    ):
        for step in steps:
            yield from looked.take(step)
    yield from looked.untried()


def _open_steps(tenant: Tenant) -> Iterator[_Step]:
    def words() -> Body:
        email, password = tenant.credentials("staff")
        return {"email": email, "password": password}

    yield _Step("GET /openapi.json", "nobody", None, "200", "openapi paths")
    yield _Step("GET /health", "nobody", None, "200", "parts")
    yield _Step("GET /time/sync", "nobody", None, "200", "now")
    yield _Step("POST /time/validate", "nobody", {"client_time": "2026-03-02T08:00:00Z"}, "200", "drift_ms band")
    yield _Step("POST /auth/login", "nobody", words, "200", "access_token expires_at")
    yield _Step("POST /auth/login", "nobody", lambda: {**words(), "password": "x"}, "401 invalid_credentials")
    yield _Step("GET /auth/me", "staff", None, "200", "id tenant_id role")
    yield _Step("GET /incidents", "member", None, "403 forbidden")


def _attendance_steps(platform: AdaptedPlatform, school: Tenant) -> Iterator[_Step]:
    yield _Step("POST /school/attendance", "member", school.submission, "201", _ATTENDANCE, keeps="record")
    corporate = cache(lambda: platform.seed("corporate", _ignored))
    yield _Step(
        "POST /corporate/checkins",
        lambda: corporate().member,
        lambda: corporate().submission(),
        "201",
        _ATTENDANCE,
    )


class _Walk:
    """Takes steps one after the other.

    Attributes:
        kept: name → the id of what a step made.
    """

    def __init__(self, platform: AdaptedPlatform, tenant: Tenant) -> None:
        self.kept: dict[str, str] = {}
        self._offers = platform.adapter.offers
        self._tenant = tenant
        self._tried: set[str] = set()
        self._lacking: dict[str, str] = {}

    def take(self, step: _Step) -> Iterator[Finding]:
        """What was seen of the step's operation; nothing where it could not be tried."""
        if not self._offers(step.operation):
            return
        try:
            wrong = _wrong(step, self._called(step))
        except NotOffered as lacking:
            self._lacking[step.operation] = lacking.what
            return
        except (ContractBroken, LookupError, TypeError, ValueError) as why:  # of an answer on the way to it
            wrong = f"what leads to it was answered wrongly: {type(why).__name__}: {why}"
        if step.succeeds:
            self._tried.add(step.operation)
        yield Finding(step.operation, "WRONG" if wrong else "ok", wrong)

    def _called(self, step: _Step) -> Answer:
        method, path = step.operation.split(" ", 1)
        person = self._tenant.actor(step.by) if isinstance(step.by, str) else step.by()
        if "{id}" in path:
            path = path.replace("{id}", self._subject(step.on) if isinstance(step.on, str) else step.on())
        answer = person.call(method, path, step.body() if callable(step.body) else step.body)
        if step.keeps and isinstance(answer.body, dict) and isinstance(answer.body.get("id"), str):
            self.kept[step.keeps] = answer.body["id"]
        return answer

    def _subject(self, name: str) -> str:
        if name not in self.kept:
            raise NotOffered(f"{'an' if name[0] in 'aeiou' else 'a'} {name} on which it could be tried")
        return self.kept[name]

    def untried(self) -> Iterator[Finding]:
        """Every operation of the contract that no step could have done."""
        for operation in OPERATIONS:
            if not self._offers(operation):
                yield Finding(operation, "not offered")
            elif operation not in self._tried:
                lacking = self._lacking.get(operation)
                yield Finding(operation, "not tried", f"lacks {lacking}" if lacking else "no step does it")


def _wrong(step: _Step, answer: Answer) -> str:
    came = answer.summary if " " in step.status else str(answer.status or "no answer")
    if came != step.status:
        return f"answered {answer.summary}, wanted {step.status}: {str(answer.body)[:200]}"
    lacking = _lacking(answer.body, step.fields)
    rows = answer.body.get(step.row) if step.row and isinstance(answer.body, dict) else None
    if rows and isinstance(rows, list):
        lacking += [f"{step.row}[0].{name}" for name in _lacking(rows[0], step.row_fields)]
    elif step.row and not lacking:
        return f"{step.row} holds none, though there is one to show: {str(answer.body)[:200]}"
    return f"lacks {', '.join(lacking)}: {str(answer.body)[:200]}" if lacking else ""


def _lacking(body: object, fields: str) -> list[str]:
    return [name for name in fields.split() if not (isinstance(body, dict) and name in body)]


def _ignored(_operation: Operation) -> None:
    pass
