"""What a replay showed: the same course, another one, or one that the present rules do not allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pytest_smartattend.engine.incident_steps import Step
from pytest_smartattend.engine.incident_story import Difference, Story, differences

EQUAL, DIFFERENT, NOT_LEGAL = "equal", "different", "not legal"


@dataclass(frozen=True)
class Turn:
    """A step that was answered otherwise than it was recorded.

    Attributes:
        step: as recorded.
        answer: status and code.
        detail: what the platform said; empty where it did what it had refused before.
        leads_astray: whether it was done in place of refused, or refused in place of done: nothing behind it is comparable.
    """

    step: Step
    answer: str
    detail: str = ""
    leads_astray: bool = False

    def __str__(self) -> str:
        step = self.step
        what = f"{step.action} by {step.role} at +{step.after}"
        if step.refused:
            return f"{what}, behind event {step.seq}: was refused as {step.refused}, and is now answered {self.answer}"
        return f"{what}, event {step.seq}: was done, and is now answered {self.answer}: {self.detail}"


@dataclass(frozen=True)
class ReplayReport:
    """The forensic report of one replay.

    Attributes:
        name: of the incident's file.
        verdict: ``equal``, ``different`` or ``not legal``.
        rule: status and code of the refusal that makes it not legal; empty otherwise.
        turns: steps that were answered otherwise.
        differences: what else is not as it was.
        promises: promise → what became of it as recorded, and now.
    """

    name: str
    verdict: str
    rule: str
    turns: Sequence[Turn]
    differences: Sequence[Difference]
    promises: Mapping[str, tuple[object, object]]

    def lines(self) -> list[str]:
        """The report for people."""
        found = [f"{self.name}: {self.verdict}" + (f" under the present rules ({self.rule})" if self.rule else "")]
        found += [f"  {turn}" for turn in self.turns]
        found += [f"  {one}" for one in self.differences]
        return found + [f"  SLA {name}: recorded {was}, now {now}" for name, (was, now) in self.promises.items()]


def judge(
    name: str,
    recorded: Story,
    seen: Story,
    turns: Sequence[Turn],
    *,
    late: timedelta = timedelta(),
    own_late: timedelta = timedelta(),
) -> ReplayReport:
    """The report of a replay.

    Args:
        name: of the incident's file.
        recorded: what was recorded.
        seen: what happened now, as far as it was driven.
        turns: steps that were answered otherwise.
        late: by how much an instant may be off: as the clock moved while requests were under way.
        own_late: by how much what the platform did by itself may be off: a real one notices a little late.
    """
    barred = [turn for turn in turns if not turn.step.refused]
    found = (
        [] if any(turn.leads_astray for turn in turns) else differences(recorded, seen, late=late, own_late=own_late)
    )
    verdict = NOT_LEGAL if barred else DIFFERENT if found or turns else EQUAL
    promises = {
        name.removeprefix("SLA "): (was, seen.outcome.get(name))
        for name, was in recorded.outcome.items()
        if name.startswith("SLA ") and "," not in name
    }
    return ReplayReport(name, verdict, barred[0].answer if barred else "", turns, found, promises)
