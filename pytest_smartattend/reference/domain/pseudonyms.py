"""Names and free text replaced by what tells nothing, and always by the same.

Who compares two exports still sees that one person did both, and a text that was long enough stays long enough.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

from pytest_smartattend.reference.domain.actors import is_person
from pytest_smartattend.reference.domain.incident import LEAST_TEXT

#: members of payloads and records that hold a word of the platform's own; every other text may be a person's
VOCABULARY = frozenset(
    {
        "severity",
        "old",
        "new",
        "level",
        "confidence",
        "promise",
        "due_at",
        "noticed_at",
        "action",
        "code",
        "detail",
        "handoff_id",
    }
)
#: members that name a person; `from` and `to` are those of a handoff
PERSONS = frozenset({"actor", "owner_id", "created_by", "from", "to"})


class Pseudonyms:
    """Replaces by a keyed hash (HMAC-SHA-256, 48 bits of it). Who has not the key can neither undo nor guess it.

    Args:
        key: as long as it stays, so do the pseudonyms; a new one cuts every link to those given before.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def person(self, actor: str) -> str:
        """A person's; the platform's own actors keep their names."""
        return f"person-{self._hash('person', actor)}" if is_person(actor) else actor

    def tenant(self, tenant_id: str) -> str:
        """A tenant's."""
        return f"tenant-{self._hash('tenant', tenant_id)}"

    def text(self, text: str) -> str:
        """A text's: empty, too short to say something, or long enough, as the text was."""
        length = len(text.strip())
        found = self._hash("text", text)
        return f"text-{found}" if length >= LEAST_TEXT else found[:length]

    def said(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """A payload or record with its persons and free texts replaced, however deep they lie."""
        return {name: self._value(name, value) for name, value in values.items()}

    def _value(self, name: str, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
        if isinstance(value, dict):
            return self.said(value)
        if isinstance(value, list):
            return [self._value(name, one) for one in value]
        if not isinstance(value, str) or name in VOCABULARY:
            return value
        return self.person(value) if name in PERSONS else self.text(value)

    def _hash(self, kind: str, text: str) -> str:
        return hmac.digest(self._key, f"{kind} {text}".encode(), "sha256").hex()[:12]
