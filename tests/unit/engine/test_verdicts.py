"""False is worse than unknown, unknown is worse than true, and nothing judged is not true."""

from __future__ import annotations

from itertools import product

from pytest_smartattend.engine.history import Operation
from pytest_smartattend.engine.verdicts import KEPT, Findings, Verdict, worst


def test_the_worst_verdict_wins() -> None:
    for pair in product(Verdict, repeat=2):
        assert worst(pair) == (
            Verdict.FALSE if Verdict.FALSE in pair else Verdict.UNKNOWN if Verdict.UNKNOWN in pair else Verdict.TRUE
        )


def test_the_worst_of_nothing_is_unknown() -> None:
    assert worst([]) is Verdict.UNKNOWN


def test_nothing_judged_does_not_hold() -> None:
    judged = Findings("p").judgement(0)
    assert judged.verdict is Verdict.UNKNOWN
    assert not judged.holds


def test_a_false_finding_is_shown_behind_any_crowd_of_unknown_ones() -> None:
    findings = Findings("p")
    for n in range(KEPT + 5):
        findings.add(f"perhaps {n}", verdict=Verdict.UNKNOWN)
    findings.add("certainly", Operation(7, "submit", "k", None, "ok", "id", 0, 2_000_000))
    judged = findings.judgement(30)
    assert judged.verdict is Verdict.FALSE
    assert len(judged.findings) == KEPT
    assert str(judged).splitlines()[1] == "  certainly — submit of 'k' by process 7: ok 'id' (2.000 ms)"
    assert str(judged).endswith("and 6 more")


def test_a_later_doubt_does_not_soften_what_is_false() -> None:
    findings = Findings("p")
    findings.add("certainly")
    findings.add("perhaps", verdict=Verdict.UNKNOWN)
    assert findings.judgement(2).verdict is Verdict.FALSE
