"""Text of strangers made harmless for terminals and pages."""

from __future__ import annotations

import re

# Terminal sequences, control characters, and what turns the direction of writing: no text of ours needs them.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """`text` without terminal sequences; other control characters are shown as a replacement character."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _SEQUENCES.sub("", text)) if not text.isprintable() else text
