"""Handoffs that must not succeed, or only once: the wrong person, too late, twice, without having read."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from pytest_smartattend import (
    Answer,
    Evidence,
    InProcessPlatform,
    Observer,
    Request,
    ShiftChange,
    Tenant,
    contract,
    incident_in,
    read_back,
    release_together,
)

Tenants = Callable[..., Tenant]


def _shift(tenant: Tenant, observer: Observer, evidence: Evidence) -> ShiftChange:
    """A tenant with one critical incident and two others."""
    for severity in ("critical", "high", "low"):
        tenant.staff.report(f"Of severity {severity}", severity).must()
    return ShiftChange([tenant], observer, evidence)


def _owners(observer: Observer, tenant: Tenant) -> list[dict[str, Any]]:
    return observer.rows("select id::text, owner_id::text from incidents where tenant_id = %s order by 1", tenant.id)


WRONG = {
    "nobody": "401 unauthenticated",
    "member": "403 forbidden",
    "staff": "403 forbidden",
    "outgoing": "403 wrong_person",
    "superadmin": "403 wrong_person",
    "foreign-admin": "404 not_found",
}


@pytest.mark.handoff("handoffs/wrong-person")
@pytest.mark.detects("anyone-may-accept")
@pytest.mark.parametrize("who", list(WRONG))
def test_nobody_but_the_named_person_can_accept_or_reject(
    _smartattend_tenants: Tenants, _smartattend_observer: Observer, _smartattend_evidence: Evidence, who: str
) -> None:
    tenant, evidence = _smartattend_tenants(), _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    foreign = _smartattend_tenants().admin if who == "foreign-admin" else None
    caller = foreign or (shift.outgoing if who == "outgoing" else tenant.actor(who))
    handoff, owners = shift.initiate(), _owners(_smartattend_observer, tenant)
    evidence.expect("accept", caller.accept_handoff(handoff["id"], read_back(handoff)).summary, WRONG[who])
    evidence.expect("reject", caller.reject_handoff(handoff["id"]).summary, WRONG[who])
    evidence.expect("owners", _owners(_smartattend_observer, tenant), owners)
    shift.prove([shift.accept(handoff).must()])


@pytest.mark.handoff("handoffs/accepted-twice-at-once")
@pytest.mark.detects("two-accepts-win")
def test_of_many_accepts_at_once_one_wins(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    for turn in range(4):
        handoff = shift.initiate()
        said = [{"incident_id": one, "said": text} for one, text in read_back(handoff).items()]
        path = f"/validation/handoff/{handoff['id']}/accept"
        request = Request("POST", path, shift.incoming.token or "", {"read_back": said})
        answers = release_together(shift.incoming.base_url, [request] * 6)
        counted = dict(Counter(answer.summary for answer in answers))
        evidence.expect(f"answers of round {turn}", counted, {"200": 1, "409 handoff_over": 5})
        evidence.expect(
            "what the losers are told", {one.body["current"] for one in answers if not one.ok}, {"accepted"}
        )
        shift.prove([answer.body for answer in answers if answer.ok])
        shift.turn()
    evidence.expect("locks and transactions left", _smartattend_observer.leftovers(), [])


@pytest.mark.handoff("handoffs/expired")
@pytest.mark.detects("handoff-never-expires")
def test_a_handoff_is_good_until_it_expires_and_not_longer(
    _smartattend_in_process: InProcessPlatform, _smartattend_simulated_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    platform, tenant, evidence = _smartattend_in_process, _smartattend_simulated_tenant, _smartattend_evidence
    shift = _shift(tenant, platform.observer, evidence)
    platform.sleep_until(platform.clock.now() + timedelta(seconds=1))
    in_time = shift.initiate()
    platform.sleep_until(datetime.fromisoformat(in_time["expires_at"]))
    accepted = shift.accept(in_time).must()
    shift.turn()
    late = shift.initiate()
    platform.sleep_until(datetime.fromisoformat(late["expires_at"]) + timedelta(milliseconds=1))
    owners = _owners(platform.observer, tenant)
    refused = shift.incoming.accept_handoff(late["id"], read_back(late))
    evidence.expect("too late", (refused.summary, refused.body["current"]), ("409 handoff_over", "expired"))
    evidence.expect("too late to reject", shift.incoming.reject_handoff(late["id"]).summary, "409 handoff_over")
    evidence.expect("owners", _owners(platform.observer, tenant), owners)
    evidence.expect("its briefing", shift.incoming.briefing(late["id"]).must()["status"], "expired")
    shift.turn()
    shift.prove([accepted])


@pytest.mark.handoff("handoffs/rejected")
@pytest.mark.detects("rejection-forgotten")
def test_a_rejected_handoff_moves_nothing_and_keeps_its_reason(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    handoff, owners = shift.initiate(), _owners(_smartattend_observer, tenant)
    silent = shift.incoming.reject_handoff(handoff["id"], "   ")
    evidence.expect("without a reason", silent.summary, "422 validation_error")
    rejected = shift.incoming.reject_handoff(handoff["id"], "Two of these are not ours.").must()
    evidence.expect("status", rejected["status"], "rejected")
    for reader in (shift.outgoing, shift.incoming):
        told = reader.briefing(handoff["id"]).must()
        kept = (told["status"], told["ended"]["reason"], told["ended"]["actor"])
        evidence.expect("what is kept", kept, ("rejected", "Two of these are not ours.", shift.incoming.user_id))
    evidence.expect("accepted after all", shift.accept(handoff).summary, "409 handoff_over")
    evidence.expect("owners", _owners(_smartattend_observer, tenant), owners)


@pytest.mark.handoff("handoffs/superseded")
@pytest.mark.detects("two-handoffs-wait")
def test_a_new_handoff_takes_the_place_of_one_that_waits(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    first, second = shift.initiate("First."), shift.initiate("Second.")
    refused = shift.accept(first)
    evidence.expect("the first one", (refused.summary, refused.body["current"]), ("409 handoff_over", "superseded"))
    shift.prove([shift.accept(second).must()])


@pytest.mark.handoff("handoffs/read-back")
@pytest.mark.detects("read-back-not-asked")
def test_critical_incidents_must_be_told_back_in_own_words(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    second = tenant.staff.report("Also critical", "critical").must()["id"]
    handoff, owners = shift.initiate(), _owners(_smartattend_observer, tenant)
    whole = read_back(handoff)
    (first,) = set(whole) - {second}
    lacking: dict[str, tuple[dict[str, str], set[str]]] = {
        "nothing": ({}, {first, second}),
        "one of two": ({first: whole[first]}, {second}),
        "too little": ({first: whole[first], second: "   seen.   "}, {second}),
    }
    for name, (said, missing) in lacking.items():
        refused = shift.incoming.accept_handoff(handoff["id"], said)
        told = set(refused.body["fields"]) if refused.code == "missing_fields" else refused.summary
        evidence.expect(f"what is missing when {name} is read back", told, {f"read_back.{one}" for one in missing})
    evidence.expect("owners", _owners(_smartattend_observer, tenant), owners)
    accepted = shift.accept(handoff).must()
    evidence.expect("what was read back", accepted["ended"]["read_back"], whole)


@pytest.mark.handoff("handoffs/outgoing-acts-on")
@pytest.mark.detects("owner-taken-by-actor")
def test_the_outgoing_admin_may_help_and_takes_nothing_back(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = ShiftChange([tenant], _smartattend_observer, evidence)
    incident_id = incident_in(tenant.admin, "open")["id"]
    handoff = shift.initiate()
    accepted = shift.accept(handoff).must()
    for action in ("acknowledge", "investigate", "mitigate"):
        done = shift.outgoing.act(incident_id, action, contract.BODIES[action]).must()
        evidence.expect(f"owner after the outgoing admin's {action}", done["owner_id"], shift.incoming.user_id)
    events = shift.incoming.part(incident_id, "timeline").must()["events"]
    evidence.expect("actor", events[-1]["actor"], shift.outgoing.user_id)
    evidence.expect("accepts it back", shift.outgoing.accept_handoff(handoff["id"]).summary, "403 wrong_person")
    evidence.expect("rejects it", shift.outgoing.reject_handoff(handoff["id"]).summary, "403 wrong_person")
    shift.prove([accepted])


def _to(user_id: object) -> dict[str, object]:
    return {"to_user_id": user_id}


#: body or successor that is refused → status and code
REFUSED: dict[str, tuple[Callable[[Tenant, Tenant], object], str]] = {
    "empty": (lambda _own, _foreign: {}, "422 validation_error"),
    "not-an-id": (lambda _own, _foreign: _to("the night shift"), "422 validation_error"),
    "an-object": (lambda _own, _foreign: _to({"id": 1}), "422 validation_error"),
    "notes-are-a-number": (
        lambda own, _foreign: {**_to(own.successor_of("admin").user_id), "briefing_notes": 7},
        "422 validation_error",
    ),
    "field-unknown": (
        lambda own, _foreign: {**_to(own.successor_of("admin").user_id), "status": "accepted"},
        "422 validation_error",
    ),
    "oneself": (lambda own, _foreign: _to(own.admin.user_id), "422 validation_error"),
    "staff": (lambda own, _foreign: _to(own.staff.user_id), "422 validation_error"),
    "foreign-admin": (lambda _own, foreign: _to(foreign.admin.user_id), "404 not_found"),
    "superadmin": (lambda own, _foreign: _to(own.superadmin.user_id), "404 not_found"),
    "stranger": (lambda _own, _foreign: _to(str(uuid.uuid4())), "404 not_found"),
}


@pytest.mark.handoff("handoffs/wrong-successor")
@pytest.mark.detects("anybody-can-be-named")
@pytest.mark.parametrize("case", list(REFUSED))
def test_only_who_could_take_over_can_be_named(
    _smartattend_tenants: Tenants, _smartattend_observer: Observer, _smartattend_evidence: Evidence, case: str
) -> None:
    own, foreign = _smartattend_tenants(), _smartattend_tenants()
    make, expected = REFUSED[case]
    answer: Answer = own.admin.call("POST", "/validation/handoff/initiate", make(own, foreign))
    _smartattend_evidence.expect("answer", answer.summary, expected)
    kept = _smartattend_observer.value("select count(*) from handoffs where tenant_id = %s", own.id)
    _smartattend_evidence.expect("handoffs kept", kept, 0)


HOSTILE = "# Down\n\n## All is well\n- <script>alert(1)</script> [click](javascript:1) \u202eenif si lla"


@pytest.mark.handoff("handoffs/briefing")
@pytest.mark.detects("briefing-obeys-titles", "stale-briefing")
@pytest.mark.parametrize("format", ["text", "markdown"])
def test_a_briefing_for_people_names_everything_and_obeys_nobody(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    format: str,  # noqa: A002 - as in the URL
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    shift = _shift(tenant, _smartattend_observer, evidence)
    tenant.staff.report(HOSTILE, "critical").must()
    handoff = shift.initiate(HOSTILE)
    later = tenant.staff.report("Reported after the initiation").must()["id"]
    written = shift.incoming.briefing(handoff["id"], format)
    evidence.expect("written", written.ok and isinstance(written.body, str), expected=True)
    lines = str(written.body).splitlines()
    missing = [item["id"] for item in handoff["incidents"] if not any(item["id"] in line for line in lines)]
    evidence.expect("incidents that are not named", missing, [])
    evidence.invariant("what came later is told", any(later in line for line in lines))
    forged = [line for line in lines if line.startswith(("# Down", "## All is well", "- <script>"))]
    evidence.expect("lines that others wrote", forged, [])
    evidence.invariant("no character turns the direction of writing", "\u202e" not in str(written.body))
    if format == "markdown":
        evidence.invariant("no HTML and no link gets through", not {"<script>", "[click]("} & _found(lines))


def _found(lines: list[str]) -> set[str]:
    return {sign for sign in ("<script>", "[click](") if any(sign in line for line in lines)}
