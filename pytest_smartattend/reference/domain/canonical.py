"""The one spelling of a value that is hashed or sealed."""

from __future__ import annotations

import json

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical(value: object) -> bytes:
    """Canonical JSON as in RFC 8785, for values without fractions and with ASCII names: the standard encoder's own."""
    return _ENCODER.encode(value).encode()
