from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest

from pytest_smartattend.reference.domain.attendance import AttendanceRules, AttendanceState, Direction, Kind, Submission
from pytest_smartattend.reference.domain.corrections import Correction, CorrectionRules, CorrectionType, Revert
from pytest_smartattend.reference.domain.drift import Band, DriftRules, Thresholds, milliseconds
from pytest_smartattend.reference.domain.idempotency import digest
from pytest_smartattend.reference.domain.ports import write_instant
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.domain.tenant_health import HealthRules, HealthStatus, Load

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
#: the table of the specification, by hand
LEGAL = {
    "VERIFIED": {"FLAGGED", "REVOKED", "MANUAL_OVERRIDE"},
    "FLAGGED": {"VERIFIED", "REVOKED", "MANUAL_OVERRIDE"},
    "REVOKED": {"VERIFIED", "MANUAL_OVERRIDE"},
    "MANUAL_OVERRIDE": {"VERIFIED", "FLAGGED", "REVOKED"},
}
SCHOOL = Submission(Kind.SCHOOL, UUID(int=1), date(2026, 3, 2), AT, "gate", class_session_id=UUID(int=2))
CORPORATE = Submission(Kind.CORPORATE, UUID(int=1), date(2026, 3, 2), AT, direction=Direction.OUT)


@pytest.mark.parametrize("before", AttendanceState)
@pytest.mark.parametrize("after", AttendanceState)
def test_of_16_pairs_of_states_11_are_possible(before: AttendanceState, after: AttendanceState) -> None:
    rules = AttendanceRules()
    if after in LEGAL[before]:
        assert rules.change(before, after) is after
    else:
        with pytest.raises(Refusal, match="while the record is") as refused:
            rules.change(before, after)
        assert set(refused.value.extensions["legal"]) == LEGAL[before]  # type: ignore[call-overload]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("micros", "band"),
    [
        (0, Band.ACCEPTED),
        (5_000_000, Band.ACCEPTED),
        (5_000_001, Band.FLAGGED),
        (300_000_000, Band.FLAGGED),
        (300_000_001, Band.BLOCKED),
        (600_000_000, Band.BLOCKED),
        (600_000_001, Band.CRITICAL),
    ],
)
def test_a_limit_itself_belongs_to_the_milder_band(micros: int, band: Band, sign: int) -> None:
    rules = DriftRules()
    drift = rules.drift(AT + sign * timedelta(microseconds=micros), AT)
    assert rules.band(drift, Thresholds()) is band
    assert milliseconds(drift) == sign * micros / 1000


@pytest.mark.parametrize("submission", [SCHOOL, CORPORATE])
def test_values_go_out_and_come_back(submission: Submission) -> None:
    assert submission.with_values(submission.values) == submission


@pytest.mark.parametrize("year", [1, 999, 9999])
def test_an_instant_of_any_year_has_four_digits_for_it(year: int) -> None:
    written = write_instant(datetime(year, 1, 1, tzinfo=UTC))
    assert written == f"{year:04}-01-01T00:00:00.000000Z"
    assert datetime.fromisoformat(written) == datetime(year, 1, 1, tzinfo=UTC)


def correction(day: str, *, reverted: bool = False, **more: str | None) -> Correction:
    revert = Revert(UUID(int=9), UUID(int=8), "it was right", "a", AT) if reverted else None
    kind = CorrectionType.DATA_ENTRY_ERROR
    return Correction(UUID(int=8), UUID(int=7), kind, "r" * 10, {}, {"date": day, **more}, "a", AT, revert)


def test_what_holds_of_each_value_is_the_newest_correction_that_was_not_reverted() -> None:
    rules, submitted = CorrectionRules(), {"date": "1", "device_id": "gate"}
    assert rules.effective(submitted, []) == submitted
    both = [correction("2", device_id=None), correction("3")]
    assert rules.effective(submitted, both) == {"date": "3", "device_id": None}
    assert rules.effective(submitted, [both[0], correction("3", reverted=True)]) == {"date": "2", "device_id": None}
    assert rules.effective(submitted, [correction("2", reverted=True), both[1]]) == {"date": "3", "device_id": "gate"}


@pytest.mark.parametrize("reason", [None, "", " nine cha ", "\t" * 20])
def test_a_reason_has_ten_characters_beside_blanks(reason: str | None) -> None:
    with pytest.raises(Refusal, match="reason: give each at least 10"):
        CorrectionRules().reason(reason)
    assert CorrectionRules().reason(" ten chars. ") == "ten chars."


def test_a_correction_names_values_that_the_record_has() -> None:
    with pytest.raises(Refusal) as refused:
        CorrectionRules().fit(SCHOOL.values, {"date": "2026-03-03", "direction": "in"})
    assert refused.value.extensions["errors"] == [
        {"field": "corrected.direction", "message": "is no value of this record"}
    ]


@pytest.mark.parametrize(
    ("load", "status"),
    [
        (Load(0, 0, 0, 0.0), "healthy"),
        (Load(100, 5, 0, 5000.0), "healthy"),
        (Load(100, 3, 3, 0.0), "degraded"),
        (Load(100, 0, 0, 5000.1), "degraded"),
        (Load(100, 10, 5, 10_000.0), "degraded"),
        (Load(100, 10, 6, 0.0), "critical"),
        (Load(100, 0, 0, 10_000.1), "critical"),
    ],
)
def test_a_limit_of_health_belongs_to_the_milder_status(load: Load, status: str) -> None:
    assert HealthRules().judge(load) is HealthStatus(status)


def test_the_same_body_has_one_digest_however_it_is_written() -> None:
    body = {"a": "1", "b": None}
    assert digest("POST /x", body) == digest("POST /x", dict(reversed(body.items())))
    others = [digest("POST /y", body), digest("POST /x", {"a": "1"}), digest("POST /x", {"a": "2", "b": None})]
    assert len({digest("POST /x", body), *others}) == 4
