"""Every way to hand the gate another document than the run wrote, or the right one at the wrong place."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_smartattend.readiness import requirements, sealing
from pytest_smartattend.readiness.gate import Answer, Question, ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.plugin.conftest import Judged, Project


KEY = b"a key of sufficient length"


@pytest.fixture
def gate(project: Project, honest: Judged) -> Callable[..., Answer]:
    """Ask the gate about the honest document, bent by a function; sealed anew where `reseal` says with which key."""

    def asked(bend: Callable[[dict[str, Any]], None], *, reseal: bytes | None = None, **question: Any) -> Answer:
        document = json.loads(json.dumps(honest.document))
        bend(document)
        if reseal is not None:
            document["seal"] = sealing.seal(document, reseal)
        path = Path(project.pytester.path / "bent.json")
        path.write_text(json.dumps(document), "utf-8")
        needed = requirements.load(project.requirements)
        options: dict[str, Any] = {"at": dt.datetime.now(dt.UTC), "max_age": dt.timedelta(days=8), **question}
        return ask(path, Question(needed, **options))

    return asked


def _nothing(document: dict[str, Any]) -> None:
    pass


def _first(document: dict[str, Any]) -> dict[str, Any]:
    check: dict[str, Any] = document["groups"][0]["checks"][0]
    return check


def test_the_untouched_document_passes(gate: Callable[..., Answer]) -> None:
    assert gate(_nothing).exit_code == 0


def _status(document: dict[str, Any]) -> None:
    document["status"] = "at_risk"


def _attempt(document: dict[str, Any]) -> None:
    _first(document)["attempts"][0]["outcome"] = "failed"


def _one_event_less(document: dict[str, Any]) -> None:
    _first(document)["attempts"][0]["events"] = 0


def _drop_check(document: dict[str, Any]) -> None:
    del document["groups"][0]["checks"][0]


def _sabotage(document: dict[str, Any]) -> None:
    document["target"]["sabotage"] = "rls-off"


def _unfinished(document: dict[str, Any]) -> None:
    document["run"]["finished"] = None


def _broken_invariant(document: dict[str, Any]) -> None:
    _first(document)["counts"]["invariants_broken"] = ["it holds"]


def _missed_objective(document: dict[str, Any]) -> None:
    document["objectives"].append(
        {"name": "rto", "unit": "s", "limit": 1, "observed": 2, "status": "met", "check": "scenarios/first"}
    )


def _worker(document: dict[str, Any]) -> None:
    document["integrity"]["workers_lost"] = ["gw0: gone"]


BENDS = [
    _status, _attempt, _one_event_less, _drop_check, _sabotage, _unfinished, _broken_invariant, _missed_objective, _worker,
]  # fmt: skip


@pytest.mark.parametrize("bend", BENDS)
def test_a_document_edited_by_hand_is_not_trusted(gate: Callable[..., Answer], bend: Callable[..., None]) -> None:
    answer = gate(bend)
    assert (answer.exit_code, answer.faults) == (40, ("its content was changed after it was sealed",))


@pytest.mark.parametrize("bend", BENDS)
def test_a_document_edited_and_sealed_anew_contradicts_itself(
    gate: Callable[..., Answer], bend: Callable[..., None]
) -> None:
    assert gate(bend, reseal=b"").exit_code == 40


def test_a_document_about_another_target_subject_or_scope_is_incomplete(gate: Callable[..., Answer]) -> None:
    assert [reason.code for reason in gate(_nothing, target="reference").reasons] == ["other_target"]
    assert [reason.code for reason in gate(_nothing, subject="a" * 40).reasons] == ["other_subject"]
    assert [reason.code for reason in gate(_nothing, scope="a" * 64).reasons] == ["other_scope"]
    assert gate(_nothing, subject="a" * 40).exit_code == 30


def test_a_document_of_another_process_is_incomplete(gate: Callable[..., Answer]) -> None:
    assert [reason.code for reason in gate(_nothing, run=1).reasons] == ["unfinished"]


@pytest.mark.parametrize(("days", "code"), [(9, "too_old"), (-1, "from_the_future")])
def test_an_old_document_and_one_from_the_future_are_incomplete(
    gate: Callable[..., Answer], days: int, code: str
) -> None:
    answer = gate(_nothing, at=dt.datetime.now(dt.UTC) + dt.timedelta(days=days))
    assert (answer.exit_code, [reason.code for reason in answer.reasons]) == (30, [code])


def test_a_signature_cannot_be_taken_off_or_made_with_another_key(gate: Callable[..., Answer]) -> None:
    assert gate(_nothing, reseal=KEY, key=KEY).exit_code == 0
    assert gate(_nothing, reseal=KEY).exit_code == 0, "without the key it is integrity only"
    assert gate(_nothing, reseal=b"", key=KEY).exit_code == 40
    assert gate(_nothing, reseal=b"another key of some length", key=KEY).exit_code == 40
    assert gate(_nothing, reseal=KEY, must_be_signed=True).exit_code == 40


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"status": "ready"}',
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_document_is_not_trusted(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "readiness.json"
    path.write_bytes(content)
    needed = requirements.load()
    assert ask(path, Question(needed, dt.datetime.now(dt.UTC), dt.timedelta(days=8))).exit_code == 40
    assert (
        ask(tmp_path / "absent.json", Question(needed, dt.datetime.now(dt.UTC), dt.timedelta(days=8))).exit_code == 40
    )


@pytest.mark.parametrize("value", [2**60, "\ud800"])
def test_a_document_that_has_no_canonical_form_is_not_trusted(gate: Callable[..., Answer], value: object) -> None:
    def bend(document: dict[str, Any]) -> None:
        document["target"]["description"] = value

    assert gate(bend).exit_code == 40


def test_half_a_document_is_not_trusted(project: Project, honest: Judged) -> None:
    content = honest.path.read_bytes()
    honest.path.write_bytes(content[: len(content) // 2])
    assert project.gate()[0] == 40


def test_a_signed_run_passes_with_its_key_only(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMARTATTEND_SEAL_KEY", KEY.decode())
    assert project.run().document["seal"]["says"] == "signed"
    assert project.gate("--require-signature")[0] == 0
    monkeypatch.setenv("SMARTATTEND_SEAL_KEY", "0" * 32)
    assert project.gate()[0] == 40
    monkeypatch.setenv("SMARTATTEND_SEAL_KEY", "short")
    assert project.gate()[0] == 2
