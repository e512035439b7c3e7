"""Idempotency keys: what is kept of the first answer, and what makes a request the same request (SPEC 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785


@dataclass(frozen=True, slots=True)
class Key:
    """A request's key and what it asked for.

    Attributes:
        text: the header as it came.
        digest: of endpoint and body.
    """

    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given under a key. `body` is JSON."""

    digest: str
    status: int
    body: Mapping[str, Any]


def digest(endpoint: str, body: Any) -> str:  # noqa: ANN401 - JSON is anything
    """SHA-256 over endpoint and canonical body (RFC 8785), hexadecimal: order and blanks do not make another body."""
    return hashlib.sha256(rfc8785.dumps([endpoint, body])).hexdigest()


class IdempotencyRules:
    """When a key may be answered from what was kept."""

    def same(self, kept: Kept, key: Key) -> bool:
        """Whether the request is the one that was answered."""
        return kept.digest == key.digest
