"""A shift ends while four people work: incidents are opened, moved, escalated and closed at the very same moments."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from typing import Any, Self

import pytest

from pytest_smartattend import (
    Evidence,
    Observer,
    Request,
    ShiftChange,
    Storm,
    StormResult,
    Tenant,
    contract,
    incident_in,
    read_back,
)

HANDOFFS = 3
#: operations of the storm between two steps of a handoff
BETWEEN = 20
#: the storm ends by itself after so many requests, and a wait for it after so many seconds
MOST, PATIENCE = 4_000, 60.0


class _Work:
    """What four people do all the time: two report, two take steps on whatever there is, legal or not."""

    def __init__(self, tenant: Tenant) -> None:
        self._people = [tenant.staff, tenant.admin, tenant.successor_of("admin"), tenant.superadmin]
        self._dice = random.Random("a storm of incidents")
        self._told = threading.Condition()
        # so far along that some come to their end meanwhile
        begun = ("resolved", "resolved", "mitigating", "mitigating", "investigating", "acknowledged", "open", "open")
        self._steps = {incident_in(tenant.admin, status)["id"]: _steps_from(status) for status in begun}
        self._ended = 0
        self._over = False
        self._result: StormResult | None = None
        storm = Storm(tenant.admin.base_url, read=self._read)
        self._thread = threading.Thread(target=lambda: self._keep(storm.closed(self._requests(), workers=4)))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()

    @property
    def result(self) -> StormResult:
        """What became of it; only after the block."""
        assert self._result is not None, "the storm broke off"
        return self._result

    def until(self, *, more: int) -> None:
        """Wait until so many more operations have succeeded."""
        with self._told:
            wanted = self._ended + more
            assert self._told.wait_for(lambda: self._ended >= wanted or not self._thread.is_alive(), PATIENCE)

    def _keep(self, result: StormResult) -> None:
        self._result = result

    def _read(self, raw: Any) -> object:  # noqa: ANN401 - an answer of the storm
        body = raw.json
        with self._told:
            self._ended += 1
            if raw.status == 201 and "title" in body:
                self._steps[body["id"]] = _steps_from("open")
            self._told.notify_all()
        return None

    def _requests(self) -> Iterator[Request]:
        for number in range(MOST):
            if self._over:
                return
            yield self._request(number)

    def _request(self, number: int) -> Request:
        if number % 3 == 0:
            severity = self._dice.choice(["low", "medium", "high", "high", "critical"])
            body: dict[str, Any] = {"title": f"Number {number} of the storm", "severity": severity}
            return Request("POST", "/incidents", self._people[number % 2].token or "", body)
        incident_id = self._dice.choice(list(self._steps)[:12])
        action = next(self._steps[incident_id], None)
        if action is None:
            del self._steps[incident_id]
            return self._request(number + 1)
        method = "PATCH" if action == "severity" else "POST"
        token = self._people[1 + number % 3].token or ""
        return Request(method, f"/incidents/{incident_id}/{action}", token, dict(contract.BODIES[action]))


def _steps_from(status: str) -> Iterator[str]:
    """What is done to an incident, one after the other; a step that comes before its time is refused."""
    way = contract.WAY_TO["closed"]
    left = way[len(contract.WAY_TO[status]) :]
    return iter(["severity", *left[:1], "escalate", *left[1:]] if status == "open" else left)


@pytest.mark.handoff("handoffs/under-a-storm")
@pytest.mark.detects("reports-not-held-off", "snapshot-outside-the-transaction", "moved-for-the-snapshot-only")
def test_nothing_is_dropped_while_four_people_go_on_working(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    accepted: list[dict[str, Any]] = []
    with _Work(tenant) as work:
        work.until(more=BETWEEN)
        for _ in range(HANDOFFS):
            handoff = shift.initiate()
            work.until(more=BETWEEN)
            # the briefing was read a while ago by now, as people do
            briefing = shift.incoming.briefing(handoff["id"]).must()
            accepted.append(shift.incoming.accept_handoff(handoff["id"], read_back(briefing)).must())
            work.until(more=BETWEEN)
            shift.turn()
    evidence.event("storm", **{name: value for name, value in work.result.to_json().items() if name != "latency"})
    evidence.invariant("no server error", not _errors(work.result), str(work.result.replies))
    for what in ("opened", "closed", "changed"):
        counts = [len(handoff["difference"][what]) for handoff in accepted]
        evidence.event(f"{what} between initiation and acceptance", handoffs=counts)
        evidence.invariant(f"incidents were {what} between initiation and acceptance", sum(counts) > 0)
    shift.prove(accepted)
    evidence.expect("locks and transactions left", _smartattend_observer.leftovers(), [])


def _errors(result: StormResult) -> list[str]:
    return [reply for reply in result.replies if reply.startswith("5") or not reply.isdigit()]
