"""Plans of faults, read from TOML: which faults lie on which paths, phase after phase.

    title = "Answers are lost, and then late"

    [[phases]]
    name = "losing answers"
    [[phases.faults]]
    path = "clients"
    kind = "reset"
    lost = "answer"
    probability = 0.3

A fault has the names of its value's fields; a duration is ``NAME_seconds``. The faults of a phase hold together.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema_rs

from pytest_smartattend.engine.faults import KINDS, Fault, from_json
from pytest_smartattend.engine.http_faults import HTTP_KINDS
from pytest_smartattend.engine.node_faults import NODE_KINDS
from pytest_smartattend.errors import UsageError
from pytest_smartattend.target.paths import Faults, Held

ALL_KINDS: Final = {**KINDS, **HTTP_KINDS, **NODE_KINDS}
_HEADER: Final = re.compile(r"\s*\[\[\s*([\w.]+)\s*\]\]")


@dataclass(frozen=True)
class Phase:
    """Faults that hold together: pairs of path and fault."""

    name: str
    faults: tuple[tuple[str, Fault], ...]

    @contextmanager
    def held(self, faults: Faults, *, may_not_fire: bool = False) -> Iterator[list[Held]]:
        """Lay them all; heal them all.

        Raises:
            UsageError, InjectionError: as `Faults.on`.
        """
        with ExitStack() as laid:
            yield [laid.enter_context(faults.on(path, fault, may_not_fire=may_not_fire)) for path, fault in self.faults]


@dataclass(frozen=True)
class Plan:
    """A plan: its title, and its phases in their order."""

    title: str
    phases: tuple[Phase, ...]


def shipped_plan(name: str) -> Plan:
    """A plan of this package: ``comprehensive`` or ``stress``.

    Raises:
        UsageError: there is no such plan.
    """
    folder = files("pytest_smartattend.fixtures") / "plans"
    file = folder / f"{name}.toml"
    if not file.is_file():
        known = sorted(each.name.removesuffix(".toml") for each in folder.iterdir())
        raise UsageError(f"there is no plan {name!r}. Name one of {', '.join(known)}, or a file of yours.")
    return read_plan(file.read_text("utf-8"), f"{name}.toml")


def load_plan(path: Path | str) -> Plan:
    """The plan in a file of yours.

    Raises:
        UsageError: the file cannot be read, or is no plan; names file, line and what is accepted.
    """
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: the plan cannot be read ({problem}). Give a TOML file in UTF-8.") from None
    return read_plan(text, str(path))


def read_plan(text: str, source: str) -> Plan:
    """The plan that `text` is; `source` names it in messages.

    Raises:
        UsageError: it is no TOML, does not match the schema, or holds a fault that makes no sense.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise UsageError(f"{source}: {problem}. Correct the TOML there.") from None
    wrong = min(_validator().iter_errors(data), key=lambda each: -len(list(each.instance_path)), default=None)
    if wrong is not None:
        place = list(wrong.instance_path)
        raise UsageError(
            f"{source}, line {_line_of(text, place)}: {wrong.message}. See fixtures/schema/plan-1.json for what is accepted."
        )
    return Plan(data["title"], tuple(_phase(text, source, n, phase) for n, phase in enumerate(data["phases"])))


def _phase(text: str, source: str, number: int, phase: dict[str, Any]) -> Phase:
    faults = []
    for place, entry in enumerate(phase["faults"]):
        try:
            fault = from_json({name: value for name, value in entry.items() if name != "path"}, ALL_KINDS)
        except UsageError as problem:
            line = _line_of(text, ["phases", number, "faults", place])
            raise UsageError(f"{source}, line {line}: {problem}") from None
        faults.append((entry["path"], fault))
    return Phase(phase["name"], tuple(faults))


def _line_of(text: str, place: list[Any]) -> int:
    """The line on which the table begins that `place` lies in, or its key stands; 1 where there is none."""
    wanted = {".".join(str(part) for part in place[:size] if isinstance(part, str)): place[size]
              for size in range(1, len(place)) if isinstance(place[size], int)}  # fmt: skip
    seen: dict[str, int] = {}
    found = 1
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None:
            name = header[1]
            seen[name] = seen.get(name, -1) + 1
            for inner in [each for each in seen if each.startswith(f"{name}.")]:
                del seen[inner]
            inside = bool(wanted) and all(seen.get(each) == at for each, at in wanted.items())
            if inside and name == max(wanted, key=len):
                found = number
        elif place and isinstance(place[-1], str) and (inside or not wanted) and re.match(rf"\s*{place[-1]}\s*=", line):
            return number
    return found


@cache
def _validator() -> Any:  # noqa: ANN401
    schema = (files("pytest_smartattend.fixtures") / "schema" / "plan-1.json").read_text("utf-8")
    return jsonschema_rs.validator_for(json.loads(schema))
