"""A drill: named steps, each ended by what was seen and by nothing else, and healed whatever happens.

A step says who acts, what is done, and which observation ends it by when. An action that returns is no observation: a
promotion that was asked for is over when a write is accepted. A step whose observation does not come fails the drill,
and what was broken is put right all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from pytest_smartattend.engine.drill_chart import Phase, Picture, chart
from pytest_smartattend.engine.recovery import Recovery
from pytest_smartattend.engine.units import in_words
from pytest_smartattend.errors import FaultNotHealed, StepFailed, UsageError
from pytest_smartattend.evidence import stopwatch

if TYPE_CHECKING:
    from pytest_smartattend.trials.probe import Probe

#: Who acts in a step: the platform by itself, a command of its operators, or this harness.
Actor = Literal["platform", "operator", "harness"]
Facts = Mapping[str, Any]

_LOOK = 0.001  # seconds between two looks
_HEALING = 60.0  # seconds that one healing may take


class Record(Protocol):
    """Takes a line of evidence, as `Evidence.event` does."""

    def __call__(self, kind: str, /, **data: object) -> None:
        """Keep it."""


class Measure(Protocol):
    """Takes a figure, as `Evidence.measure` does."""

    def __call__(
        self, name: str, value: float, unit: str, limit: float | None = None, *, objective: bool = False
    ) -> None:
        """Keep it."""


@dataclass(frozen=True)
class Step:
    """What became of one step.

    Attributes:
        name, actor: as they were declared.
        begin, end: nanoseconds of `stopwatch.monotonic_ns`.
        facts: what was seen: an LSN, a timeline, process ids, a signal, a file and block, a hash.
        problem: why it failed; empty where it did not.
        credited: whether it speaks for the platform. What the harness does for a foreign platform does not.
    """

    name: str
    actor: Actor
    begin: int
    end: int
    facts: Facts = field(default_factory=dict)
    problem: str = ""
    credited: bool = True

    @property
    def seconds(self) -> float:
        """How long it took, until its observation came."""
        return (self.end - self.begin) / 1e9


class Drill:
    """One drill, for the time of a ``with``.

    Args:
        name: of the drill, for messages.
        record: takes each step as evidence; by default nobody does.
        measure: takes each figure; by default nobody does.
        foreign: whether the platform is somebody else's, so that steps of the harness earn it nothing.
        stand_in: whether this harness does what that platform's operators would do.

    Attributes:
        steps: what became of each, in order.
    """

    def __init__(
        self,
        name: str,
        *,
        record: Record | None = None,
        measure: Measure | None = None,
        foreign: bool = False,
        stand_in: bool = False,
    ) -> None:
        self.name = name
        self.steps: list[Step] = []
        self._record = record
        self._measured = measure
        self._foreign = foreign
        self._stand_in = stand_in
        self._healings: list[tuple[str, Callable[[], object]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        unhealed = [text for what, heal in reversed(self._healings) if (text := self._healed(what, heal))]
        if unhealed:
            raise FaultNotHealed(
                f"After the drill {self.name} this could not be put right: {'; '.join(unhealed)}. Look at what is left "
                "before the next drill."
            ) from problem
        if problem is None and not self.steps:
            raise UsageError(f"The drill {self.name} has no step, so it has shown nothing. Give it one.")

    def heal(self, what: str, how: Callable[[], object]) -> None:
        """Have `how` called at the end, whatever happens, the last one first. Declare it before you break `what`."""
        self._healings.append((what, how))

    def step(
        self,
        name: str,
        *,
        actor: Actor,
        until: Callable[[], object],
        within: timedelta,
        action: Callable[[], object] | None = None,
    ) -> Facts:
        """Act, and wait for what must then be seen.

        Args:
            name: of the step.
            actor: who acts.
            until: the observation: a mapping of facts, or anything true, when it is there; anything false while it is not. What it raises is
                no observation and not the end: it is asked again, and the last problem is told.
            within: from the beginning of the action. One that hangs is left hanging, and healing begins.
            action: what is done; what it raises fails the step.

        Returns:
            the facts.

        Raises:
            StepFailed: the action failed, or the observation did not come.
        """
        attempt = _Attempt(action, until, within.total_seconds())
        attempt.run()
        facts = dict(attempt.facts) if isinstance(attempt.facts, Mapping) else {}
        actor = "harness" if actor == "operator" and self._stand_in else actor
        credited = actor != "harness" or not self._foreign
        step = Step(name, actor, attempt.begin, attempt.end, facts, attempt.problem, credited)
        self.steps.append(step)
        told = {"credited": credited, "seconds": step.seconds, "facts": facts, "problem": step.problem}
        self._tell("step", drill=self.name, name=name, actor=actor, **told)
        if attempt.problem:
            raise StepFailed(
                f"The step {name!r} of the drill {self.name}, by the {actor}, failed after {step.seconds:.3f} s of "
                f"{in_words(within)}: {attempt.problem}. See what {actor} did in that time."
            ) from attempt.cause
        return facts

    def cost(
        self,
        probe: Probe,
        stored: Iterable[str],
        fault: int,
        *,
        rto: timedelta | None = None,
        rpo: timedelta | None = None,
        floor: float | None = None,
    ) -> Recovery:
        """Work out what the fault cost, and tell it with the drill's picture.

        Args:
            probe: that wrote through it, and has been left.
            stored: the keys that are stored now, read past the platform.
            fault: when it had come, in nanoseconds of `stopwatch.monotonic_ns`.
            rto: the most that is accepted; weighed as an objective where it is given.
            rpo: likewise, of the time in which what was acknowledged is gone. Where it is zero, so is the number of
                writes: one that is gone takes no time.
            floor: what this machine needed for the bare minimum, in seconds; context, never weighed.

        Raises:
            StepFailed: `rto` is given, and nothing that began after the fault was acknowledged: an outage without an end
                has no length.
        """
        recovery = probe.recovery(stored, fault)
        self._draw(probe, recovery, control=False, rto=rto, rpo=rpo, floor=floor)
        for name, value, limit in (("RTO", recovery.rto_seconds, rto), ("RPO", recovery.lost_seconds, rpo)):
            most = None if limit is None else limit.total_seconds()
            self._measure(f"{name} of {self.name}", value, "s", most, objective=limit is not None)
        none = rpo == timedelta(0)
        self._measure(f"writes lost by {self.name}", recovery.rpo_rows, "writes", 0.0 if none else None, objective=none)
        if rto is not None and not recovery.after:
            raise StepFailed(
                f"The drill {self.name!r} saw no write acknowledged that began after its fault, for "
                f"{recovery.rto_seconds:.3f} s. Recover the platform, and let the probe write until it is acknowledged."
            )
        if floor is not None:
            self._measure(f"floor of {self.name}", floor, "s")
            self._measure(f"RTO of {self.name}, in floors", recovery.rto_seconds / floor, "times")
        return recovery

    def must_lose(self, probe: Probe, stored: Iterable[str], fault: int, at_least: int = 1) -> Recovery:
        """The drill is a control: a way of recovering that loses, and is required to.

        Raises:
            StepFailed: it lost less than `at_least` acknowledged writes, so the probe may be blind to a loss.
        """
        recovery = probe.recovery(stored, fault)
        self._draw(probe, recovery, control=True)
        self.must_count("acknowledged writes lost", recovery.rpo_rows, at_least)
        return recovery

    def must_count(self, what: str, count: int, at_least: int = 1) -> None:
        """Note what a control did wrong, of which `at_least` so many are required.

        Raises:
            StepFailed: there were fewer, so the eyes of this drill may be blind.
        """
        held = count >= at_least
        self._tell("control", drill=self.name, what=what, count=count, at_least=at_least, held=held)
        if not held:
            raise StepFailed(
                f"The control {self.name!r} must show {at_least} or more {what} and showed {count}: eyes that see none "
                "here prove none elsewhere. See to the control."
            )

    def _draw(
        self,
        probe: Probe,
        recovery: Recovery,
        *,
        control: bool,
        rto: timedelta | None = None,
        rpo: timedelta | None = None,
        floor: float | None = None,
    ) -> None:
        phases = [Phase(step.name, step.actor, step.begin, step.end, step.credited) for step in self.steps]
        limits = [None if limit is None else limit.total_seconds() for limit in (rto, rpo)]
        drawn = chart(
            Picture(self.name, phases, control=control, rto_limit=limits[0], rpo_limit=limits[1], floor=floor),
            probe.history,
            recovery,
        )
        self._tell("drill", **drawn)

    def _healed(self, what: str, how: Callable[[], object]) -> str:
        """Heal `what`. Returns what went wrong, empty for nothing."""
        attempt = _Attempt(how, lambda: True, _HEALING)
        attempt.run()
        seconds = (attempt.end - attempt.begin) / 1e9
        self._tell(
            "healed" if not attempt.problem else "not healed",
            drill=self.name,
            what=what,
            seconds=seconds,
            problem=attempt.problem,
        )
        return f"{what}: {attempt.problem}" if attempt.problem else ""

    def _measure(
        self, name: str, value: float, unit: str, limit: float | None = None, *, objective: bool = False
    ) -> None:
        if self._measured is not None:
            self._measured(name, value, unit, limit, objective=objective)

    def _tell(self, kind: str, **data: object) -> None:
        if self._record is not None:
            self._record(kind, **data)


class _Attempt:
    """An action and its observation in a thread of their own, so that neither can hold up the healing."""

    def __init__(self, action: Callable[[], object] | None, until: Callable[[], object], seconds: float) -> None:
        self.facts: object = None
        self.problem = ""
        self.cause: BaseException | None = None
        self.begin = self.end = stopwatch.monotonic_ns()
        self._action = action
        self._until = until
        self._seconds = seconds
        self._over = threading.Event()
        self._acted = action is None
        self._last = ""

    def run(self) -> None:
        thread = threading.Thread(target=self._work, name="drill-step", daemon=True)
        thread.start()
        thread.join(self._seconds)
        self._over.set()
        if thread.is_alive() and not self.facts:
            # It may be between two looks; then it ends by itself.
            thread.join(_LOOK * 100)
        if not self.facts and not self.problem:
            self.end = stopwatch.monotonic_ns()
            waited = "what must be seen did not come" if self._acted else "the action did not end"
            self.problem = f"{waited}{f'; the last look: {self._last}' if self._last else ''}"

    def _work(self) -> None:
        try:
            if self._action is not None:
                self._action()
                self._acted = True
        except BaseException as problem:  # noqa: BLE001 - it is told in the calling thread
            self.end = stopwatch.monotonic_ns()
            self.cause = problem
            self.problem = f"{type(problem).__name__}: {problem}"
            return
        while not self._over.is_set():
            try:
                found = self._until()
            except Exception as problem:  # noqa: BLE001 - a look that fails has seen nothing; the last one is told
                # without what pytest adds to an assertion of how it was worked out
                found, self._last = None, f"{type(problem).__name__}: {problem}".partition("\nassert ")[0]
            if found and not self._over.is_set():
                self.end = stopwatch.monotonic_ns()
                self.facts = found
                return
            self._over.wait(_LOOK)
