"""A typed client of the contract. Every request becomes an operation with one of three outcomes.

``ok``: it was done. ``failed``: it was certainly not done. ``unknown``: it may have been done; the answer was lost, or
the platform broke after it may have committed. Who counts an unknown as a failure sees losses where there are none, and
misses duplicates where there are some.
"""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from pytest_smartattend.engine.history import Outcome
from pytest_smartattend.errors import ContractBroken

#: seconds that a request may take before its outcome is unknown
TIMEOUT = 10.0


@functools.cache
def trusted() -> ssl.SSLContext:
    """Whom a client believes over https: read once, for reading it takes longer than a primary is away in a failover."""
    return httpx.create_ssl_context()


@dataclass(frozen=True)
class Operation:
    """One request and what is known of it. `seconds` is real time; `status` is None where no answer came."""

    method: str
    path: str
    status: int | None
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        operation: the request and its outcome.
        body: the decoded JSON, or plain text or Markdown as it is; None where there was neither.
        headers: the answer's headers, names in lower case.
    """

    operation: Operation
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int | None:
        """The HTTP status; None where no answer came."""
        return self.operation.status

    @property
    def ok(self) -> bool:
        """Whether it was certainly done."""
        return self.operation.outcome == "ok"

    @property
    def code(self) -> str | None:
        """The stable code of a problem; None for anything else."""
        is_problem = self.headers.get("content-type", "").startswith("application/problem+json")
        return self.body.get("code") if is_problem and isinstance(self.body, dict) else None

    @property
    def summary(self) -> str:
        """Status and code in one word, ``409 invalid_transition``: what a check compares."""
        return " ".join(str(part) for part in (self.status or "no answer", self.code) if part is not None)

    def must(self) -> Any:  # noqa: ANN401
        """The body of a call that prepares a check.

        Raises:
            ContractBroken: it was not done, so the check cannot begin.
        """
        if not self.ok:
            done = f"{self.operation.method} {self.operation.path}"
            raise ContractBroken(
                f"{done} was to prepare this check and answered {self.summary}: {str(self.body)[:300]}. "
                "Look at the platform's log; the check itself has not begun."
            )
        return self.body


def outcome_of(method: str, status: int) -> Outcome:
    """What a status says about the operation: after a 5xx, a write may have been committed."""
    if status < 400:
        return "ok"
    return "unknown" if status >= 500 and method not in {"GET", "HEAD"} else "failed"


class Client:
    """Calls one platform as one person, or as nobody.

    Args:
        http: a client whose base URL is the platform's root.
        token: a bearer token; None for a caller without one.
        record: is told of every operation as it ends.
    """

    def __init__(self, http: httpx.Client, token: str | None, record: Callable[[Operation], None]) -> None:
        self._http = http
        self._record = record
        self.token = token
        self.base_url = str(http.base_url).rstrip("/")

    def call(self, method: str, path: str, body: object = None, **options: Any) -> Answer:  # noqa: ANN401
        """Call `path` below ``/api``. `options` go to httpx: headers, content, params, timeout.

        Never raises for what the platform or the network does; read the answer's outcome.
        """
        headers = {**({"authorization": f"Bearer {self.token}"} if self.token else {}), **options.pop("headers", {})}
        if body is not None:
            options["json"] = body
        begun = time.perf_counter()
        try:
            response = self._http.request(method, f"/api{path}", headers=headers, **options)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return self._ended(method, path, None, "failed", begun)
        except httpx.TransportError:
            return self._ended(method, path, None, "unknown", begun)
        answer = self._ended(method, path, response.status_code, outcome_of(method, response.status_code), begun)
        return Answer(answer.operation, _decoded(response), {k.lower(): v for k, v in response.headers.items()})

    def _ended(self, method: str, path: str, status: int | None, outcome: Outcome, begun: float) -> Answer:
        operation = Operation(method, path, status, outcome, time.perf_counter() - begun)
        self._record(operation)
        return Answer(operation)

    # --- the contract's operations ----------------------------------------------------------------------------------

    def health(self, *, timeout: float = TIMEOUT) -> Answer:
        """``GET /health``. `timeout` in seconds."""
        return self.call("GET", "/health", timeout=timeout)

    def report(self, title: str = "The database does not answer", severity: str = "high", **fields: str) -> Answer:
        """``POST /incidents``."""
        return self.call("POST", "/incidents", {"title": title, "severity": severity, **fields})

    def incident(self, incident_id: str) -> Answer:
        """``GET /incidents/{id}``."""
        return self.call("GET", f"/incidents/{incident_id}")

    def incidents(self, **query: str | int) -> Answer:
        """``GET /incidents``."""
        return self.call("GET", "/incidents", params=query)

    def part(self, incident_id: str, name: str) -> Answer:
        """``GET /incidents/{id}/NAME``: timeline, escalations, root-causes, refusals, sla."""
        return self.call("GET", f"/incidents/{incident_id}/{name}")

    def act(self, incident_id: str, action: str, body: Mapping[str, object] | None = None) -> Answer:
        """Do `action`: acknowledge, escalate, investigate, root-cause, mitigate, resolve, close, reopen or severity."""
        method = "PATCH" if action == "severity" else "POST"
        return self.call(method, f"/incidents/{incident_id}/{action}", dict(body or {}))

    def export(self, incident_id: str, *, verbatim: bool = False) -> Answer:
        """``POST /validation/incidents/{id}/export``."""
        return self.call("POST", f"/validation/incidents/{incident_id}/export", {"verbatim": verbatim})

    def exports(self, **query: str | int | bool | None) -> Answer:
        """``POST /validation/incidents/export``."""
        return self.call("POST", "/validation/incidents/export", query)

    def now(self) -> datetime:
        """The platform's clock, by ``GET /time/sync``."""
        return datetime.fromisoformat(self.call("GET", "/time/sync").must()["now"])

    def submit(self, submission: Mapping[str, object], key: str | None = None) -> Answer:
        """``POST /school/attendance`` or ``POST /corporate/checkins``, by what `submission` says."""
        path = "/school/attendance" if "student_id" in submission else "/corporate/checkins"
        return self.call("POST", path, dict(submission), headers={"Idempotency-Key": key} if key else {})

    def attendance(self, attendance_id: str) -> Answer:
        """``GET /attendance/{id}``."""
        return self.call("GET", f"/attendance/{attendance_id}")

    def attendance_history(self, attendance_id: str) -> Answer:
        """``GET /attendance/{id}/history``."""
        return self.call("GET", f"/attendance/{attendance_id}/history")

    def change_state(self, attendance_id: str, state: str, reason: str = "The teacher looked into it.") -> Answer:
        """``POST /attendance/{id}/state``."""
        return self.call("POST", f"/attendance/{attendance_id}/state", {"state": state, "reason": reason})

    def correct(
        self,
        attendance_id: str,
        corrected: Mapping[str, object],
        *,
        type: str = "data_entry_error",  # noqa: A002 - the contract's name
        reason: str = "It was written down wrongly.",
    ) -> Answer:
        """``POST /corrections/{attendance_id}``."""
        body = {"type": type, "reason": reason, "corrected": dict(corrected)}
        return self.call("POST", f"/corrections/{attendance_id}", body)

    def revert(self, correction_id: str, reason: str = "It was right after all.") -> Answer:
        """``POST /corrections/{id}/revert``."""
        return self.call("POST", f"/corrections/{correction_id}/revert", {"reason": reason})

    def corrections(self, attendance_id: str) -> Answer:
        """``GET /corrections/history/{attendance_id}``."""
        return self.call("GET", f"/corrections/history/{attendance_id}")

    def hand_over(self, to_user_id: str | None, notes: str = "") -> Answer:
        """``POST /validation/handoff/initiate``."""
        return self.call("POST", "/validation/handoff/initiate", {"to_user_id": to_user_id, "briefing_notes": notes})

    def accept_handoff(self, handoff_id: str, read_back: Mapping[str, str] | None = None) -> Answer:
        """``POST /validation/handoff/{id}/accept``. `read_back`: incident → what is said of it."""
        said = [{"incident_id": incident_id, "said": text} for incident_id, text in (read_back or {}).items()]
        return self.call("POST", f"/validation/handoff/{handoff_id}/accept", {"read_back": said})

    def reject_handoff(self, handoff_id: str, reason: str = "I am called to another place.") -> Answer:
        """``POST /validation/handoff/{id}/reject``."""
        return self.call("POST", f"/validation/handoff/{handoff_id}/reject", {"reason": reason})

    def briefing(self, handoff_id: str, format: str = "json") -> Answer:  # noqa: A002 - the contract's name
        """``GET /validation/handoff/{id}/briefing``; `format` is json, text or markdown, and the latter two come as text."""
        return self.call("GET", f"/validation/handoff/{handoff_id}/briefing", params={"format": format})

    def metrics(self, name: str) -> Answer:
        """``GET /metrics/NAME``: health-status, failure-rates, api-latency or clock-drift."""
        return self.call("GET", f"/metrics/{name}")


def _decoded(response: httpx.Response) -> Any:  # noqa: ANN401
    kind = response.headers.get("content-type", "")
    if kind.startswith(("text/plain", "text/markdown")):
        return response.text
    if "json" not in kind:
        return None
    try:
        return response.json()
    except ValueError:
        return None
