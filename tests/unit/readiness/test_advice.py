"""What a report says that nobody has seen to fail."""

from __future__ import annotations

from pytest_smartattend.readiness.advice import unproven_checks


def test_a_proof_is_of_a_check_and_of_all_its_cells() -> None:
    passed = [{"id": name, "status": "passed"} for name in ("a/b", "a/b[one]", "a/c[one]")]
    proof = {"checks": [{"id": "a/b", "caught": ["x"]}, {"id": "a/c", "caught": []}]}
    assert unproven_checks({"groups": [{"checks": passed}], "proof": proof}) == ["a/c[one]"]
