"""Figures and texts as people read them."""

from __future__ import annotations

import json
import re

from pytest_smartattend.evidence.harmless import harmless

#: status of a check → (sign, class): never told by colour alone
SIGNS = {"passed": ("✓", "good"), "rerun": ("↻", "risk"), "xpassed": ("?", "risk"), "skipped": ("/", "gap")}
_BAD = {"failed", "error", "xfailed"}

_SIZES = ((1e-6, "µs", 1e6), (1e-3, "ms", 1e3), (1.0, "s", 1.0))


def sign(status: str) -> tuple[str, str]:
    """The sign and the class in which a check's status is shown."""
    return SIGNS.get(status) or (("✗", "bad") if status in _BAD else ("○", "gap"))


def short(value: object, length: int = 300) -> str:
    """`value`, harmless and cut; what is no text as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = harmless(text[: 4 * length])
    return text if len(text) <= length else text[:length] + "…"


def duration(seconds: float) -> str:
    """A duration in the unit that suits it: ``840 µs``, ``12.3 ms``, ``4.20 s``, ``3 min 20 s``, ``4 h 30 min``."""
    if seconds >= 60:
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        pair = ((hours, "h"), (minutes, "min")) if hours else ((minutes, "min"), (rest, "s"))
        return " ".join(f"{number} {unit}" for number, unit in pair if number)
    if seconds <= 0:
        return "0 s"
    _, unit, factor = next((row for row in reversed(_SIZES) if seconds >= row[0] * 0.9995), _SIZES[0])
    return f"{seconds * factor:.3g} {unit}"


def figure(value: float, unit: str) -> str:
    """A measurement with its unit; seconds as a duration."""
    if unit == "s":
        return duration(value)
    if unit == "ms":
        return duration(value / 1000)
    return f"{value:,.6g} {unit}"


def many(number: int, noun: str, plural: str = "") -> str:
    """``1 check``, ``579 checks``, ``2,000 checks``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def anchor(name: str) -> str:
    """A fragment for `name` that no other name shares, whatever is in it."""
    import hashlib

    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    return f"{plain}-{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:6]}"
