"""What changed between two documents, and whether it became worse. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_smartattend.readiness.reasons import STATUSES
from pytest_smartattend.readiness.verdict import all_checks

#: from best to worst; what cannot be trusted is worse than anything that was seen
_ORDER = (*reversed(STATUSES), "untrustworthy")
#: how a check that is fine is called
_GOOD = "passed"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Change:
    """One line of what changed: ``failing``, ``mended``, ``new``, ``gone``, ``objective``, ``reason`` or ``about``."""

    kind: str
    text: str


@dataclass(frozen=True)
class Changes:
    """Everything that changed since an earlier document.

    Attributes:
        before, after: the two statuses.
        changes: line by line, what became worse first.
    """

    before: str
    after: str
    changes: tuple[Change, ...]

    @property
    def worsened(self) -> bool:
        """Whether the status became worse."""
        return _ORDER.index(self.after) > _ORDER.index(self.before)


def compare(before: Document, after: Document, status: str) -> Changes:
    """What changed from `before` to `after`.

    Args:
        before: the earlier document.
        after: the later one, about the same target.
        status: what the gate says of `after`, whatever it says of itself.
    """
    found = (*_checks(before, after), *_objectives(before, after), *_reasons(before, after), *_about(before, after))
    return Changes(str(before["status"]), status, tuple(sorted(found, key=lambda one: _KINDS.index(one.kind))))


_KINDS = ("failing", "gone", "objective", "reason", "about", "new", "mended")


def _checks(before: Document, after: Document) -> Iterator[Change]:
    old = {check["id"]: check for check in all_checks(before)}
    new = {check["id"]: check for check in all_checks(after)}
    for name, check in new.items():
        status, was = check["status"], old[name]["status"] if name in old else ""
        if not was:
            yield Change("new", f"{name}: {status}")
        elif was == _GOOD != status:
            yield Change("failing", f"{name}: {was} → {status}")
        elif was != _GOOD == status:
            yield Change("mended", f"{name}: {was} → {status}")
    for name, check in old.items():
        if check["required"] and not new.get(name, {"required": False})["required"]:
            yield Change("gone", f"{name} was required and is not any more")


def _objectives(before: Document, after: Document) -> Iterator[Change]:
    old = {(one["check"], one["name"]): one for one in before["objectives"]}
    for one in after["objectives"]:
        was = old.get((one["check"], one["name"]))
        if was is not None and (was["status"], was["limit"]) != (one["status"], one["limit"]):
            yield Change("objective", f"{_figure(one)}, was {_figure(was)} ({one['check']})")


def _figure(one: Mapping[str, Any]) -> str:
    return f"{one['name']} {one['observed']:g} of {one['limit']:g} {one['unit']}"


def _reasons(before: Document, after: Document) -> Iterator[Change]:
    old, new = ({reason["code"]: reason for reason in one["status_reasons"]} for one in (before, after))
    for code in new.keys() - old.keys():
        yield Change("reason", f"{code}: {new[code]['text']}")
    for code in old.keys() - new.keys():
        yield Change("mended", f"no longer: {old[code]['text']}")


def _about(before: Document, after: Document) -> Iterator[Change]:
    for what, old, new in (
        ("subject", before["subject"]["name"], after["subject"]["name"]),
        ("scope", before["scope"]["text"], after["scope"]["text"]),
        ("requirements", before["scope"]["requirements"]["version"], after["scope"]["requirements"]["version"]),
        ("readiness.toml", before["scope"]["digest"][:12], after["scope"]["digest"][:12]),
        ("PostgreSQL", before["versions"]["postgres_major"], after["versions"]["postgres_major"]),
        ("pytest-smartattend", before["versions"]["pytest-smartattend"], after["versions"]["pytest-smartattend"]),
    ):
        if old != new:
            yield Change("about", f"{what}: {old or 'none'} → {new or 'none'}")
