"""Each recorded incident, driven again by people of the same roles at the same intervals, takes the same course."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_smartattend import Evidence, Recording, ReplayReport


@pytest.mark.replay("replays/recorded")
@pytest.mark.detects(
    "export-event-missing",
    "export-intervals-rounded",
    "export-by-time",
    "export-roles-dropped",
    "export-refusals-dropped",
    "level-below-severity-accepted",
    "legal-transition-refused",
    "nobody-is-called",
    "breach-undone",
    "breach-noticed-late",
)
def test_a_recorded_incident_takes_the_same_course_again(
    _smartattend_recording: Recording,
    _smartattend_replay: Callable[[Recording], ReplayReport],
    _smartattend_evidence: Evidence,
) -> None:
    recording, evidence = _smartattend_recording, _smartattend_evidence
    report = _smartattend_replay(recording)
    evidence.expect("verdict", (report.verdict, report.rule), (recording.verdict, recording.rule))
    evidence.expect("what differs", [str(one) for one in report.differences], [])
    barred = 1 if recording.rule else 0
    evidence.expect("steps answered otherwise", [str(turn) for turn in report.turns[barred:]], [])
    for name, (was, now) in report.promises.items():
        if not recording.rule:
            evidence.expect(f"SLA {name}", now, was)
