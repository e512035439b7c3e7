"""Scenario 6: attendance. One record each, every pair of states, and corrections that never change what was said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, contract

KINDS = ("school", "corporate")


@pytest.mark.scenario("scenarios/attendance-records")
@pytest.mark.detects("natural-key-dropped", "clock-before-duplicate")
@pytest.mark.parametrize("kind", KINDS)
def test_attendance_is_recorded_once_under_its_natural_key(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    submission = tenant.submission(device_id="gate")
    first = tenant.member.submit(submission)
    evidence.expect("answer", first.status, 201)
    told = {name: first.body["submitted"][name] for name in submission if name != "client_time"}
    evidence.expect(
        "what was recorded", told, {name: value for name, value in submission.items() if name != "client_time"}
    )
    evidence.expect("state", first.body["state"], "VERIFIED")
    # whoever is there already is there, whatever the clock of their second device says
    for name, person, key, off in (
        ("again", tenant.member, None, 0),
        ("with a key", tenant.member, "k1", 0),
        ("by staff", tenant.staff, "k2", 0),
        ("by a clock that is behind", tenant.member, None, -400),
        ("by a clock that is far ahead", tenant.member, "k3", 1200),
    ):
        client_time = tenant.submission(off=timedelta(seconds=off))["client_time"]
        again = person.submit({**submission, "client_time": client_time, "device_id": "another"}, key)
        evidence.expect(f"{name}: answer and id", (again.status, again.body.get("id")), (200, first.body["id"]))
        evidence.expect(f"{name}: what holds", again.body.get("submitted"), first.body["submitted"])
    evidence.expect("incidents about a clock", tenant.staff.incidents().must()["items"], [])
    other = tenant.staff.submit(_another(tenant))
    evidence.expect("another natural key is another record", other.status, 201)
    rows = _smartattend_observer.attendance_of(tenant.id)
    evidence.expect("records and rows of history", (len(rows["attendance"]), len(rows["history"])), (2, 2))


def _another(tenant: Tenant) -> dict[str, object]:
    """A submission that differs in one part of the natural key."""
    if tenant.kind == "school":
        return tenant.submission(class_session_id=tenant.roster.class_session_ids[1])
    return tenant.submission(direction="out")


def _recorded(tenant: Tenant) -> dict[str, Any]:
    record: dict[str, Any] = tenant.member.submit(tenant.submission(device_id="gate")).must()
    return record


PAIRS = [
    (kind, before, after)
    for kind in KINDS
    for before in contract.ATTENDANCE_STATES
    for after in contract.ATTENDANCE_STATES
]


@pytest.mark.scenario("scenarios/attendance-states")
@pytest.mark.detects("attendance-illegal-state-allowed")
@pytest.mark.parametrize(("kind", "before", "after"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_a_state_changes_as_the_table_says_and_leaves_one_row_of_history(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
    before: str,
    after: str,
) -> None:
    tenant, evidence, observer = _smartattend_tenants(kind), _smartattend_evidence, _smartattend_observer
    record = _recorded(tenant)["id"]
    if before != "VERIFIED":
        tenant.staff.change_state(record, before).must()
    stands = observer.attendance_of(tenant.id)
    evidence.expect("without a reason", tenant.staff.change_state(record, after, "  ").status, 422)
    answer = tenant.staff.change_state(record, after)
    rows = tenant.staff.attendance_history(record).must()["items"]
    if (before, after) in contract.ATTENDANCE_ILLEGAL:
        evidence.expect("answer", answer.summary, "409 invalid_transition")
        evidence.expect("state named", answer.body.get("current"), before)
        evidence.expect("what the refusals changed", observer.attendance_of(tenant.id), stands)
        codes = observer.rows("select code from attendance_refusals where attendance_id = %s", record)
        evidence.expect("refusals kept", [row["code"] for row in codes], ["invalid_transition"])
        return
    evidence.expect("answer", (answer.status, answer.body.get("state")), (200, after))
    evidence.expect("state read", tenant.staff.attendance(record).must()["state"], after)
    evidence.expect("rows of history", len(rows), len(stands["history"]) + 1)
    newest = (rows[-1]["seq"], rows[-1]["from"], rows[-1]["to"], rows[-1]["actor"])
    evidence.expect("newest row", newest, (len(rows), before, after, tenant.staff.user_id))
    evidence.expect("the record itself", observer.attendance_of(tenant.id)["attendance"], stands["attendance"])


@pytest.mark.scenario("scenarios/own-attendance")
@pytest.mark.detects("member-submits-for-others")
@pytest.mark.parametrize("kind", KINDS)
def test_a_member_submits_their_own_attendance_only(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    others = {**tenant.submission(), contract.PERSON[kind]: tenant.roster.other_id}
    evidence.expect("a member for another", tenant.member.submit(others).summary, "403 forbidden")
    evidence.expect("records", len(_smartattend_observer.attendance_of(tenant.id)["attendance"]), 0)
    evidence.expect("staff for another", tenant.staff.submit(others).status, 201)
    evidence.expect("a member for themselves", tenant.member.submit(tenant.submission()).status, 201)


@pytest.mark.scenario("scenarios/corrections")
@pytest.mark.detects("correction-overwrites", "revert-accepted-twice")
@pytest.mark.parametrize("kind_of_correction", contract.CORRECTION_TYPES)
def test_a_correction_stands_beside_the_record_and_is_reverted_once(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind_of_correction: str,
) -> None:
    tenant, evidence, observer = _smartattend_tenant, _smartattend_evidence, _smartattend_observer
    record = _recorded(tenant)
    row = observer.attendance_of(tenant.id)["attendance"]

    def effective() -> str | None:
        read = tenant.staff.attendance(record["id"]).must()
        evidence.expect("what was submitted", read["submitted"], record["submitted"])
        device: str | None = read["effective"]["device_id"]
        return device

    made = []
    for device in ("door", "window"):
        correction = tenant.staff.correct(record["id"], {"device_id": device}, type=kind_of_correction)
        evidence.expect("answer", correction.status, 201)
        kept = (correction.body["type"], correction.body["original"], correction.body["corrected"])
        evidence.expect("what is kept", kept, (kind_of_correction, {"device_id": "gate"}, {"device_id": device}))
        evidence.expect("actor", correction.body["actor"], tenant.staff.user_id)
        evidence.expect("what holds", effective(), device)
        made.append(correction.body["id"])
    evidence.expect("revert by staff", tenant.staff.revert(made[1]).summary, "403 forbidden")
    for newest, left in ((made[1], "door"), (made[0], "gate")):
        evidence.expect("first revert", tenant.admin.revert(newest).status, 200)
        evidence.expect("what holds after the revert", effective(), left)
        evidence.expect("second revert", tenant.admin.revert(newest).summary, "409 already_reverted")
    listed = tenant.staff.corrections(record["id"]).must()
    evidence.expect("corrections listed", [item["id"] for item in listed["items"]], made)
    evidence.invariant("each names its revert", all(item["reverted"] for item in listed["items"]))
    rows = observer.attendance_of(tenant.id)
    evidence.expect("the record itself", rows["attendance"], row)
    evidence.expect("corrections and reverts kept", (len(rows["corrections"]), len(rows["reverts"])), (2, 2))


@pytest.mark.scenario("scenarios/corrections")
@pytest.mark.detects("newest-correction-only", "reverts-overlooked-in-history", "correction-to-nothing-ignored")
@pytest.mark.parametrize("kind", KINDS)
def test_corrections_of_different_values_hold_beside_each_other_wherever_they_are_read(
    _smartattend_tenants: Callable[..., Tenant], _smartattend_evidence: Evidence, kind: str
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    record = _recorded(tenant)
    day, another_day = contract.DAY[kind], tenant.roster.days[1].isoformat()

    def expect(when: str, **corrected: str | None) -> None:
        wanted = {"submitted": record["submitted"], "effective": {**record["submitted"], **corrected}}
        for name, read in (("record", tenant.staff.attendance), ("corrections", tenant.staff.corrections)):
            told = read(record["id"]).must()
            evidence.expect(f"the {name} {when}", {part: told[part] for part in wanted}, wanted)

    expect("before")
    of_day = tenant.staff.correct(record["id"], {day: another_day}).must()["id"]
    expect("after the first", **{day: another_day})
    of_device = tenant.staff.correct(record["id"], {"device_id": "door"}).must()["id"]
    expect("after both", **{day: another_day, "device_id": "door"})
    of_nothing = tenant.staff.correct(record["id"], {"device_id": None}).must()["id"]
    expect("after one that takes a value away", **{day: another_day, "device_id": None})
    tenant.admin.revert(of_nothing).must()
    tenant.admin.revert(of_day).must()
    expect("after a revert", device_id="door")
    tenant.admin.revert(of_device).must()
    expect("after both reverts")


def _unfit(tenant: Tenant, foreign: Tenant) -> dict[str, tuple[dict[str, object], str]]:
    """Values that could not have been submitted, and what is said to them."""
    strange, nowhere = "422 validation_error", "404 not_found"
    day, person = contract.DAY[tenant.kind], contract.PERSON[tenant.kind]
    others: dict[str, object] = {person: foreign.roster.person_id}
    unfit: dict[str, tuple[dict[str, object], str]] = {
        "nothing": ({}, strange),
        "no date": ({day: "tomorrow"}, strange),
        "a foreign person": (others, nowhere),
    }
    if tenant.kind == "corporate":
        return unfit | {
            "another kind's value": ({"date": tenant.roster.days[1].isoformat()}, strange),
            "no direction": ({"direction": "up"}, strange),
            "a day without a shift": ({day: contract.WITHOUT_SHIFT}, nowhere),
        }
    elsewhere: dict[str, object] = {"class_session_id": foreign.roster.class_session_ids[0]}
    return unfit | {
        "another kind's value": ({"direction": "in"}, strange),
        "a foreign class session": (elsewhere, nowhere),
        "a foreign class session and person": (elsewhere | others, nowhere),
    }


#: also a superadmin, who sees every tenant's rows, corrects within the record's own
CORRECTORS = [(kind, role) for kind in KINDS for role in ("staff", "superadmin")]


@pytest.mark.scenario("scenarios/correction-bounds")
@pytest.mark.detects("short-reason-accepted", "corporate-corrections-unvalidated", "superadmin-corrects-across")
@pytest.mark.parametrize(("kind", "role"), CORRECTORS, ids=["-".join(cell) for cell in CORRECTORS])
def test_a_correction_gives_a_reason_and_values_that_could_have_been_submitted(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
    role: str,
) -> None:
    tenant, foreign, evidence = _smartattend_tenants(kind), _smartattend_tenants(kind), _smartattend_evidence
    record, corrector = _recorded(tenant)["id"], tenant.actor(role)
    stands = _smartattend_observer.attendance_of(tenant.id)
    fitting: dict[str, object] = {"device_id": "door"}
    short = f"  {contract.TOO_SHORT}  "
    evidence.expect("short", corrector.correct(record, fitting, reason=short).summary, "422 missing_fields")
    unknown = corrector.correct(record, fitting, type="whim")
    evidence.expect("unknown type", unknown.summary, "422 validation_error")
    for name, (corrected, wanted) in _unfit(tenant, foreign).items():
        evidence.expect(name, corrector.correct(record, corrected).summary, wanted)
    evidence.expect("what the refusals changed", _smartattend_observer.attendance_of(tenant.id), stands)
    exactly = corrector.correct(record, fitting, reason=f"  {'x' * contract.LEAST_TEXT} ")
    evidence.expect("exactly ten characters", exactly.status, 201)


#: one device raises one incident an hour, so a check that meets the turn of the hour is begun again
TURNS = 2


@pytest.mark.scenario("scenarios/drift-incident")
@pytest.mark.detects("drift-incident-each-time")
@pytest.mark.parametrize("kind", KINDS)
def test_a_clock_that_is_far_off_opens_one_critical_incident_per_device_and_hour(
    _smartattend_tenants: Callable[..., Tenant], _smartattend_evidence: Evidence, kind: str
) -> None:
    evidence = _smartattend_evidence
    for _ in range(TURNS):
        tenant = _smartattend_tenants(kind)
        hour = tenant.nobody.now().hour
        far = timedelta(minutes=20)
        answers = [
            tenant.member.submit(tenant.submission(off=sign * far, device_id=device, day=day))
            for day, (device, sign) in enumerate([("gate", 1), ("gate", -1), ("door", 1), ("gate", 1)])
        ]
        listed = tenant.staff.incidents().must()["items"]
        if tenant.nobody.now().hour == hour:
            break
    evidence.expect("answers", {answer.summary for answer in answers}, {"422 clock_drift_blocked"})
    named = [answer.body["incident_id"] for answer in answers]
    evidence.expect("incidents named", [named.index(one) for one in named], [0, 0, 2, 0])
    evidence.expect("incidents opened", sorted(item["id"] for item in listed), sorted(set(named)))
    evidence.expect("their severity", {item["severity"] for item in listed}, {"critical"})
    first = tenant.staff.part(named[0], "timeline").must()["events"][0]
    evidence.expect("who opened them", first["actor"], "system:clock-drift")
