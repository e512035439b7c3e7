"""Storm 1: devices whose clocks are wrong, by a millisecond more or less than a limit, and by whatever the dice give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest

from pytest_smartattend import Answer, Drift, Evidence, Faults, InProcessPlatform, Skew, Stream, Tenant, contract

MILLISECOND, SECOND, HOUR = timedelta(milliseconds=1), timedelta(seconds=1), timedelta(hours=1)
LIMITS = {**contract.DRIFT_LIMITS, "beyond": 900 * SECOND}
CELLS = [(limit, sign) for limit in LIMITS for sign in ("ahead", "behind")]
#: the largest of the random drifts
MAX_DRIFT = 900 * SECOND
DEVICES = 40


class Devices:
    """Submits from devices with wrong clocks, each its own day, and keeps what must follow."""

    def __init__(self, platform: InProcessPlatform, tenant: Tenant, evidence: Evidence) -> None:
        self.bands: Counter[str] = Counter()
        self._platform = platform
        self._tenant = tenant
        self._evidence = evidence
        self._submitted = 0

    def submit(self, device: str, off: timedelta) -> None:
        """Submit by the clock of `device`, which is `off`, and compare the answer with the specification's table."""
        # with no timer near, the clock stands still for as long as the platform may take to answer
        self._platform.rest()
        self.submit_now(device, off)

    def submit_now(self, device: str, off: timedelta) -> None:
        """The same at this very moment; for who has waited already."""
        session, day = divmod(self._submitted, len(self._tenant.roster.days))
        self._submitted += 1
        body = self._tenant.roster.submission(
            self._platform.node_clocks.now(device),
            day=day,
            device_id=device,
            class_session_id=self._tenant.roster.class_session_ids[session],
        )
        answer = self._tenant.member.submit(body)
        band = contract.drift_band(off)
        self.bands[band] += 1
        self._evidence.expect(f"drift that is told of {device}", answer.body.get("drift_ms"), off / MILLISECOND)
        self._evidence.expect(f"answer to {device}, off by {off / SECOND:+.3f} s", _summary(answer), _due(band))

    def look_back(self) -> None:
        """Compare records, metrics and incidents with what was submitted."""
        observer, evidence, bands = self._platform.observer, self._evidence, self.bands
        kept = observer.attendance_of(self._tenant.id)["attendance"]
        evidence.expect("records", len(kept), bands["accepted"] + bands["flagged"])
        told = self._tenant.admin.metrics("clock-drift").must()
        evidence.expect("drifts in the metrics", {name: told[name] for name in (*LIMITS, "critical") if name in told},
                        {name: bands[name] for name in (*contract.DRIFT_LIMITS, "critical")})  # fmt: skip
        self._platform.rest()
        incidents = observer.rows("select severity, status from incidents where tenant_id = %s", self._tenant.id)
        evidence.expect("incidents about clocks", len(incidents), bands["critical"])
        evidence.expect(
            "severities", {row["severity"] for row in incidents}, {"critical"} if bands["critical"] else set()
        )
        evidence.expect("locks and transactions left", observer.leftovers(), [])


def _summary(answer: Answer) -> tuple[str, object]:
    named = answer.body.get("incident_id") is not None
    return answer.summary, answer.body.get("state") or (answer.body.get("band"), named)


def _due(band: str) -> tuple[str, object]:
    if band in {"accepted", "flagged"}:
        return "201", "FLAGGED" if band == "flagged" else "VERIFIED"
    return "422 clock_drift_blocked", (band, band == "critical")


@pytest.fixture
def _devices(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
) -> Devices:
    return Devices(_smartattend_discrete, _smartattend_discrete_tenants(), _smartattend_evidence)


@pytest.mark.storm("storms/time-drift")
@pytest.mark.detects("drift-limit-off-by-1ms", "drift-sign-ignored")
@pytest.mark.parametrize(("limit", "sign"), CELLS, ids=["-".join(cell) for cell in CELLS])
def test_a_device_is_judged_to_the_millisecond(
    _devices: Devices, _smartattend_discrete_faults: Faults, limit: str, sign: str
) -> None:
    for step in (-1, 0, 1):
        off = (LIMITS[limit] + step * MILLISECOND) * (1 if sign == "ahead" else -1)
        device = f"device{step:+d}"
        with _smartattend_discrete_faults.on("clocks", Skew(off, node=device)):
            _devices.submit(device, off)
    _devices.look_back()


@pytest.mark.storm("storms/time-drift-gaining")
@pytest.mark.detects("drift-limit-off-by-1ms", "drift-sign-ignored")
@pytest.mark.parametrize("sign", ["ahead", "behind"])
def test_a_device_whose_clock_runs_wrong_passes_every_limit(
    _devices: Devices,
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_faults: Faults,
    sign: str,
) -> None:
    platform, towards = _smartattend_discrete, 1 if sign == "ahead" else -1
    ppm = 800_000  # the largest limit is passed twice within the hour that the metrics look back
    for limit in contract.DRIFT_LIMITS.values():
        for off in (limit, limit + MILLISECOND):
            device = f"device-{off / SECOND:g}"
            with _smartattend_discrete_faults.on("clocks", Drift(towards * ppm, node=device)):
                platform.sleep_until(platform.clock.now() + off * (1_000_000 / ppm))
                _devices.submit_now(device, towards * off)
    _devices.look_back()


@pytest.mark.storm("storms/time-drift-random")
@pytest.mark.detects("drift-sign-ignored", "drift-incident-each-time")
def test_many_devices_are_judged_each_by_its_own_clock(
    _devices: Devices,
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_faults: Faults,
    _smartattend_evidence: Evidence,
    _smartattend_seed: int,
) -> None:
    stream = Stream(_smartattend_seed, "time-drift")
    drawn = [
        timedelta(milliseconds=stream.below(2 * (MAX_DRIFT // MILLISECOND) + 1)) - MAX_DRIFT for _ in range(DEVICES)
    ]
    for number, off in enumerate(drawn):
        with _smartattend_discrete_faults.on("clocks", Skew(off, node=f"device-{number}")):
            _devices.submit(f"device-{number}", off)
    _devices.look_back()
    worst = max(drawn, key=abs)
    with _smartattend_discrete_faults.on("clocks", Skew(MAX_DRIFT, node="twice")):
        for _ in range(2):
            _devices.submit("twice", MAX_DRIFT)
    incidents = _smartattend_discrete.observer.value(
        "select count(distinct incident_id) from drift_alarms where device = 'twice'"
    )
    _smartattend_evidence.expect("incidents of one device within the hour", incidents, 1)
    _smartattend_evidence.measure("largest drift", abs(worst) / SECOND, "s")
