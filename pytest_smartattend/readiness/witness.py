"""What the journals of a run tell, beside what pytest reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_smartattend.evidence.journal import ReadJournal
from pytest_smartattend.readiness.outcomes import Phases


@dataclass(frozen=True)
class Check:
    """What a test's mark says.

    Attributes:
        id: the check's id; pytest's name of the test where it carries no mark.
        group: the group of the mark; ``tests`` without one.
        shipped: whether its file belongs to the package that the requirements name.
        detects: the planted defects that it promised to catch.
    """

    id: str
    group: str
    shipped: bool
    detects: tuple[str, ...] = ()


@dataclass
class JournaledAttempt:
    """An attempt as its process wrote it down; `began` in nanoseconds of the steady clock that its machine shares."""

    test: str
    worker: str
    number: int
    records: list[dict[str, Any]] = field(default_factory=list)
    head: str = ""
    events: int = 0
    outcome: str = ""
    began: int | None = None

    @property
    def ended(self) -> bool:
        """Whether its last line was written."""
        return bool(self.head)

    def denied(self) -> str:
        """The first expectation or invariant that did not hold; empty where all did."""
        return next((str(record["data"]["name"]) for record in self.records if record["data"].get("held") is False), "")


@dataclass
class Witness:
    """All journals of a run, put together.

    Attributes:
        checks: test → what its mark says, for every collected or deselected test that carries one.
        deselected: tests that were deselected.
        attempts: test → its attempts, worker by worker.
        about: part (``postgres``, ``target``) → its description, as the first worker told it.
        faults: what is wrong with the journals, in words.
        origin: the moment of the first line of all, in nanoseconds of the same clock.
    """

    checks: dict[str, Check] = field(default_factory=dict)
    deselected: set[str] = field(default_factory=set)
    attempts: dict[str, list[JournaledAttempt]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    origin: int = 0


def hear(journals: Sequence[ReadJournal]) -> Witness:
    """Put the journals together."""
    witness = Witness(origin=min((one.records[0]["mono_ns"] for one in journals if one.records), default=0))
    for journal in journals:
        witness.faults += journal.faults
        open_attempts: dict[tuple[str, int], JournaledAttempt] = {}
        for record in journal.records:
            kind, data = record["kind"], record["data"]
            if kind in {"collected", "deselected"}:
                _note_tests(witness, data["tests"], deselected=kind == "deselected")
            elif kind == "about":
                witness.about.setdefault(data["part"], data["description"])
            elif record["test"]:
                _note_attempt(witness, open_attempts, record)
    return witness


def _note_tests(witness: Witness, tests: Sequence[Mapping[str, Any]], *, deselected: bool) -> None:
    for entry in tests:
        test = entry["test"]
        if "id" in entry:
            witness.checks[test] = Check(entry["id"], entry["group"], entry["shipped"], tuple(entry["detects"]))
        if deselected:
            witness.deselected.add(test)


def _note_attempt(
    witness: Witness, open_attempts: dict[tuple[str, int], JournaledAttempt], record: dict[str, Any]
) -> None:
    key = (record["test"], record["attempt"])
    attempt = open_attempts.get(key)
    if attempt is None:
        attempt = open_attempts[key] = JournaledAttempt(record["test"], record["worker"], record["attempt"])
        witness.attempts.setdefault(record["test"], []).append(attempt)
    if record["kind"] == "end":
        data = record["data"]
        attempt.head, attempt.events = record["hash"], data["events"]
        attempt.outcome = Phases(
            data["setup"], data["call"], data["teardown"], expected_to_fail=data["expected_to_fail"]
        ).outcome()
    elif record["kind"] == "start":
        attempt.began = record["mono_ns"]
    else:
        attempt.records.append(record)


def statements(attempts: Sequence[JournaledAttempt], kind: str) -> Iterator[dict[str, Any]]:
    """The content of every line of one kind, in the order in which they were written."""
    for attempt in attempts:
        for record in attempt.records:
            if record["kind"] == kind:
                yield record["data"]
