"""Scenario 6: submissions. Keys that answer once, clocks that are judged on both sides, and metrics that miss nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from uuid import uuid4

import pytest

from pytest_smartattend import Down, Evidence, Faults, InProcessPlatform, Observer, Platform, Tenant, contract

REPLAYED = "idempotency-replayed"
KINDS = ("school", "corporate")


@pytest.mark.scenario("scenarios/idempotency-replay")
@pytest.mark.detects("replay-with-new-id")
@pytest.mark.parametrize("kind", ["school", "corporate", "refused"])
def test_a_key_gives_its_first_answer_again(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants("school" if kind == "refused" else kind), _smartattend_evidence
    submission = tenant.submission(off=timedelta(seconds=-400 if kind == "refused" else 0))
    first = tenant.member.submit(submission, "a-key")
    evidence.expect("first answer", first.summary, "422 clock_drift_blocked" if kind == "refused" else "201")
    evidence.invariant("the first is no replay", REPLAYED not in first.headers)
    if kind != "refused":
        tenant.staff.change_state(first.body["id"], "REVOKED").must()
    for body in (submission, dict(reversed(submission.items()))):
        again = tenant.member.submit(body, "a-key")
        evidence.expect("status of the replay", again.summary, first.summary)
        evidence.expect("body of the replay", again.body, first.body)
        evidence.expect("marked as a replay", again.headers.get(REPLAYED), "true")
    rows = _smartattend_observer.attendance_of(tenant.id)["attendance"]
    evidence.expect("records", len(rows), 0 if kind == "refused" else 1)


@pytest.mark.scenario("scenarios/idempotency-binding")
@pytest.mark.detects(
    "key-not-bound-to-body", "key-not-bound-to-tenant", "key-of-a-duplicate-forgotten", "key-bound-to-person"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_belongs_to_one_body_and_one_tenant(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, foreign, evidence = _smartattend_tenants(kind), _smartattend_tenants(kind), _smartattend_evidence
    submission = tenant.submission()
    another_day = {**submission, contract.DAY[kind]: tenant.roster.days[1].isoformat()}
    first = tenant.member.submit(submission, "a-key")
    evidence.expect("first answer", first.status, 201)
    stands = _smartattend_observer.attendance_of(tenant.id)
    for name, body in (
        ("another day", another_day),
        ("another device", {**submission, "device_id": "door"}),
        ("another time", {**submission, "client_time": tenant.submission()["client_time"]}),
    ):
        evidence.expect(name, tenant.member.submit(body, "a-key").summary, "422 idempotency_key_reused")
    for name, person in (("staff", tenant.staff), ("an admin", tenant.admin)):
        again = person.submit(submission, "a-key")
        told = (again.summary, again.headers.get(REPLAYED), again.body)
        evidence.expect(f"the same request by {name}", told, (first.summary, "true", first.body))
    evidence.expect("a duplicate under a key of its own", tenant.member.submit(submission, "its-own").status, 200)
    taken = tenant.member.submit(another_day, "its-own")
    evidence.expect("the duplicate's key with another body", taken.summary, "422 idempotency_key_reused")
    evidence.expect("what the refusals changed", _smartattend_observer.attendance_of(tenant.id), stands)
    theirs = foreign.member.submit(foreign.submission(), "a-key")
    evidence.expect("the same key elsewhere", (theirs.status, REPLAYED in theirs.headers), (201, False))


@pytest.mark.scenario("scenarios/answer-after-commit")
@pytest.mark.detects("answer-before-commit")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_acknowledged_is_in_the_database(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    for day in range(5):
        answer = tenant.member.submit(tenant.submission(day=day), f"key-{day}")
        found = _smartattend_observer.value("select count(*) from attendance where id = %s", answer.must()["id"])
        evidence.expect(f"rows at the moment of answer {day}", found, 1)


OFFS = (0, 4, 7, 290, 310, 590, 610, 900)
CLOCKS = [(kind, f"{sign}{off}s") for kind in KINDS for off in OFFS for sign in ("+", "-") if (off, sign) != (0, "-")]


@pytest.mark.scenario("scenarios/client-clock")
@pytest.mark.detects("drift-sign-ignored")
@pytest.mark.parametrize(("kind", "clock"), CLOCKS, ids=["-".join(cell) for cell in CLOCKS])
def test_a_submission_is_judged_by_how_far_the_clients_clock_is_off(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
    clock: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    off = timedelta(seconds=int(clock.removesuffix("s")))
    begun = tenant.nobody.now()
    answer = tenant.member.submit(tenant.roster.submission(begun + off))
    passed = tenant.nobody.now() - begun
    drift = timedelta(milliseconds=answer.body["drift_ms"])
    # the platform looked at its clock between our two looks; a microsecond for its arithmetic
    wide = timedelta(microseconds=1)
    evidence.invariant("the drift is told with its sign", off - passed - wide <= drift <= off + wide, str(drift))
    band = contract.drift_band(drift)
    records = _smartattend_observer.attendance_of(tenant.id)["attendance"]
    if band in {"accepted", "flagged"}:
        state = "FLAGGED" if band == "flagged" else "VERIFIED"
        evidence.expect("answer", (answer.status, answer.body.get("state")), (201, state))
        evidence.expect("records", len(records), 1)
        return
    evidence.expect("answer", (answer.summary, answer.body.get("band")), ("422 clock_drift_blocked", band))
    evidence.expect("records", len(records), 0)
    evidence.expect("an incident is named", answer.body.get("incident_id") is not None, band == "critical")


OFFSETS = {"+05:30": timedelta(hours=5, minutes=30), "-09:00": -timedelta(hours=9)}
PLACES = [(kind, offset) for kind in KINDS for offset in OFFSETS]


@pytest.mark.scenario("scenarios/client-clock")
@pytest.mark.detects("client-offset-ignored")
@pytest.mark.parametrize(("kind", "offset"), PLACES, ids=["-".join(place) for place in PLACES])
def test_a_clients_time_is_the_same_instant_in_every_offset(
    _smartattend_tenants: Callable[..., Tenant], _smartattend_evidence: Evidence, kind: str, offset: str
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    begun = tenant.nobody.now()
    answer = tenant.member.submit(tenant.roster.submission(begun.astimezone(timezone(OFFSETS[offset]))))
    passed = tenant.nobody.now() - begun
    evidence.expect("answer", (answer.summary, answer.body.get("state")), ("201", "VERIFIED"))
    told = datetime.fromisoformat(answer.body["submitted"]["client_time"])
    evidence.expect("the instant that is kept", told, begun)
    drift = timedelta(milliseconds=answer.body["drift_ms"])
    evidence.invariant("the clock is not off", abs(drift) <= passed + timedelta(microseconds=1), str(drift))


#: what a tenant grants its clients' clocks
WIDE = {"accepted": timedelta(seconds=60), "flagged": timedelta(seconds=400), "blocked": timedelta(seconds=900)}
#: seconds off → answer and state there
WIDENED = {"+50s": ("201", "VERIFIED"), "-350s": ("201", "FLAGGED"), "+700s": ("422 clock_drift_blocked", None)}


@pytest.mark.scenario("scenarios/client-clock")
@pytest.mark.detects("wider-thresholds-ignored")
@pytest.mark.parametrize("clock", WIDENED, ids=[f"widened-{clock}" for clock in WIDENED])
def test_a_tenants_own_thresholds_are_those_that_hold_for_its_clients(
    _smartattend_tenant: Tenant, _smartattend_platform: Platform, _smartattend_evidence: Evidence, clock: str
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    _smartattend_platform.drift_limits(tenant.id, WIDE)
    off = timedelta(seconds=int(clock.removesuffix("s")))
    answer = tenant.member.submit(tenant.submission(off=off, device_id="gate"))
    evidence.expect("answer and state", (answer.summary, answer.body.get("state")), WIDENED[clock])
    evidence.expect("incidents about it", tenant.staff.incidents().must()["items"], [])


EDGES = [(band, sign) for band in contract.DRIFT_LIMITS for sign in ("ahead", "behind")]


@pytest.mark.scenario("scenarios/drift-limits")
@pytest.mark.detects("drift-limit-off-by-1ms", "drift-sign-ignored")
@pytest.mark.parametrize(("band", "sign"), EDGES, ids=["-".join(edge) for edge in EDGES])
def test_a_limit_holds_to_the_microsecond(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
    band: str,
    sign: str,
) -> None:
    evidence, nobody = _smartattend_evidence, _smartattend_discrete_tenants().nobody
    now = _smartattend_discrete.clock.now()  # it stands still
    for step in (-1000, -1, 0, 1, 1000):
        drift = (contract.DRIFT_LIMITS[band] + timedelta(microseconds=step)) * (1 if sign == "ahead" else -1)
        told = nobody.call("POST", "/time/validate", {"client_time": (now + drift).isoformat()}).must()
        evidence.expect("drift that is told", timedelta(milliseconds=told["drift_ms"]), drift)
        evidence.expect(f"band of a drift of {drift.total_seconds():+.6f} s", told["band"], contract.drift_band(drift))


HOUR = timedelta(hours=1)
#: seconds in which what was recorded must be seen by everybody
SEEN_WITHIN = 15.0


@pytest.mark.scenario("scenarios/drift-incident-hours")
@pytest.mark.detects("drift-incident-once-a-day", "drift-incident-each-time")
def test_a_device_that_is_still_far_off_in_the_next_hour_opens_another_incident(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
) -> None:
    platform, tenant, clock = _smartattend_discrete, _smartattend_discrete_tenants(), _smartattend_discrete.clock
    begins = clock.now().replace(minute=0, second=0, microsecond=0) + HOUR
    named = []
    for day, after in enumerate((timedelta(), HOUR - timedelta(seconds=1), HOUR, 2 * HOUR - timedelta(seconds=1))):
        platform.sleep_until(begins + after)
        answer = tenant.member.submit(tenant.submission(off=HOUR, device_id="gate", day=day))
        named.append(answer.body.get("incident_id"))
    _smartattend_evidence.expect("incidents named", [named.index(one) for one in named], [0, 0, 2, 2])
    opened = sorted(item["id"] for item in tenant.staff.incidents().must()["items"])
    _smartattend_evidence.expect("incidents opened", opened, sorted(set(named)))


WEIGHED = (
    "select count(*) from metrics where tenant_id = %s and kind = 'request' and endpoint not like '%% /metrics/%%'"
)


@pytest.mark.scenario("scenarios/drift-incident-kept")
@pytest.mark.detects("clock-incident-not-spooled")
def test_an_incident_about_a_clock_waits_for_its_store(
    _smartattend_tenant: Tenant,
    _smartattend_observer: Observer,
    _smartattend_faults: Faults,
    _smartattend_evidence: Evidence,
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    with _smartattend_faults.on("incidents_database", Down(), may_not_fire=True):
        answer = tenant.member.submit(tenant.submission(off=timedelta(minutes=20), device_id="gate"))
        told = (answer.summary, answer.body.get("band"))
        evidence.expect("answer while the store is away", told, ("422 clock_drift_blocked", "critical"))
    # nobody submits again from that device: the platform alone knows of the incident
    opened = "select count(*) from incidents where tenant_id = %s"
    evidence.expect("incidents", _smartattend_observer.counted(opened, tenant.id, least=1, patience=SEEN_WITHIN), 1)
    incident = tenant.staff.incident(answer.body["incident_id"])
    evidence.expect("the incident that was named", incident.status, 200)
    evidence.expect("how it is", (incident.body["severity"], incident.body["status"]), ("critical", "open"))


@pytest.mark.scenario("scenarios/tenant-health")
@pytest.mark.detects(
    "health-never-recovers", "health-counts-newest-only", "metrics-lost-on-errors", "failed-checkins-not-counted"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_tenants_health_follows_what_became_of_its_requests_and_recovers(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    blocked = tenant.submission(off=timedelta(seconds=-400))
    requests = failures = 0

    def add(succeeding: int, failing: int) -> None:
        nonlocal requests, failures
        for _ in range(failing):
            evidence.expect("a submission that fails", tenant.member.submit(blocked).status, 422)
        for _ in range(succeeding):
            evidence.expect("a request that succeeds", tenant.member.call("GET", "/auth/me").status, 200)
        requests, failures = requests + succeeding + failing, failures + failing

    def seen(status: str) -> None:
        _smartattend_observer.counted(WEIGHED, tenant.id, least=requests, patience=SEEN_WITHIN)
        told = tenant.admin.metrics("health-status").must()
        evidence.expect("requests and failures", (told["requests"], told["failures"]), (requests, failures))
        evidence.expect(f"health at {failures} of {requests}", told["status"], status)

    add(succeeding=19, failing=1)
    seen("healthy")  # 5 % is not over 5 %
    add(succeeding=0, failing=1)
    seen("degraded")
    add(succeeding=0, failing=2)
    seen("critical")
    rates = tenant.admin.metrics("failure-rates").must()
    evidence.expect("failed submissions", rates["attendance_failures"], failures)
    add(succeeding=4, failing=0)
    seen("degraded")  # 4 of 27 are 14.8 %
    add(succeeding=60, failing=0)
    seen("healthy")


@pytest.mark.scenario("scenarios/tenant-metrics")
@pytest.mark.detects(
    "mismatches-not-counted",
    "mean-of-means",
    "errors-of-submissions-only",
    "some-failed-submissions-only",
    "failed-checkins-not-counted",
)
@pytest.mark.parametrize("kind", KINDS)
def test_metrics_tell_mismatches_failures_of_every_endpoint_and_a_mean_over_all_requests(
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_observer: Observer,
    _smartattend_faults: Faults,
    _smartattend_evidence: Evidence,
    kind: str,
) -> None:
    tenant, evidence = _smartattend_tenants(kind), _smartattend_evidence
    record = tenant.member.submit(tenant.submission()).must()["id"]
    for state in ("FLAGGED", "REVOKED", "VERIFIED", "MANUAL_OVERRIDE"):
        tenant.staff.change_state(record, state).must()
    for _ in range(15):
        tenant.member.call("GET", "/auth/me").must()
    others = {**tenant.submission(), contract.PERSON[kind]: tenant.roster.other_id}
    evidence.expect("a submission for another", tenant.member.submit(others).status, 403)
    unknown = {"class_session_id": str(uuid4())} if kind == "school" else {"shift_date": contract.WITHOUT_SHIFT}
    nowhere = {**tenant.submission(), **unknown}
    evidence.expect("a submission to no class session or shift", tenant.member.submit(nowhere).status, 404)
    with _smartattend_faults.on("incidents_database", Down(), may_not_fire=True):
        evidence.expect("incidents while their store is away", tenant.staff.incidents().status, 503)
    _smartattend_observer.counted(WEIGHED, tenant.id, least=23, patience=SEEN_WITHIN)
    rates = tenant.admin.metrics("failure-rates").must()
    told = {
        name: rates[name] for name in ("requests", "server_errors", "attendance_failures", "verification_mismatches")
    }
    done = {"requests": 23, "server_errors": 1, "attendance_failures": 2, "verification_mismatches": 2}
    evidence.expect("what the metrics tell", told, done)
    latency = tenant.admin.metrics("api-latency").must()
    taken = sum(each["requests"] * each["mean_ms"] for each in latency["endpoints"])
    evidence.expect("requests by endpoint", sum(each["requests"] for each in latency["endpoints"]), 23)
    health = tenant.admin.metrics("health-status").must()
    for name, mean in (("api-latency", latency["mean_ms"]), ("health-status", health["mean_latency_ms"])):
        wrong = abs(mean - taken / 23)
        evidence.invariant(f"the mean by {name} is over all requests", wrong < 1e-6 * taken, f"{wrong} ms off")
