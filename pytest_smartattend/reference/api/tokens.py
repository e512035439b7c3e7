"""Bearer tokens: short-lived, signed with HS256, judged on the platform's clock; and cursors, signed likewise."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt

from pytest_smartattend.reference.api.problems import Problem, invalid, unauthenticated
from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.reference.domain.ports import Clock, NewId

ALGORITHM = "HS256"

_CURSOR_MAC_BYTES = 16


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token that holds says of its bearer."""

    user_id: UUID
    tenant_id: UUID | None
    role: Role


@dataclass(frozen=True, slots=True)
class Token:
    """A token and when it ends."""

    text: str
    expires_at: datetime


class Tokens:
    """Issues and reads bearer tokens."""

    def __init__(self, secret: bytes, ttl: timedelta, clock: Clock, new_id: NewId) -> None:
        self._secret = secret
        self._ttl = ttl
        self._clock = clock
        self._new_id = new_id

    def issue(self, user: User) -> Token:
        """A token for `user`, good from now on. Times in tokens are whole seconds."""
        now = self._clock.now()
        expires_at = (now + self._ttl).replace(microsecond=0)
        claims = {
            "sub": str(user.id),
            "tid": str(user.tenant_id) if user.tenant_id else None,
            "role": user.role.value,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": str(self._new_id()),
        }
        return Token(jwt.encode(claims, self._secret, algorithm=ALGORITHM), expires_at)

    def read(self, authorization: str | None) -> Claims:
        """What the header's token says.

        Raises:
            Problem: unauthenticated.
        """
        scheme, _, text = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise unauthenticated("send the header Authorization: Bearer …")
        try:
            payload = self.verify(text.strip())
            expired = self.expired(payload)
            claims = _claims(payload)
        except (jwt.InvalidTokenError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise unauthenticated("the token is malformed or not signed by this platform") from None
        if expired:
            raise unauthenticated("the token has expired")
        return claims

    def verify(self, text: str) -> Mapping[str, Any]:
        """The claims of a token that this platform has signed; the time is not judged here.

        Raises:
            jwt.InvalidTokenError: it was not, or is no token.
        """
        options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "require": ["sub", "exp"]}
        return jwt.decode(text, self._secret, algorithms=[ALGORITHM], options=options)

    def expired(self, payload: Mapping[str, Any]) -> bool:
        """Whether the token has ended on the platform's clock."""
        return bool(self._clock.now().timestamp() >= payload["exp"])


def _claims(payload: Mapping[str, Any]) -> Claims:
    tenant = payload["tid"]
    return Claims(UUID(payload["sub"]), UUID(tenant) if tenant is not None else None, Role(payload["role"]))


class Cursors:
    """Where a list goes on, opaque to the client and refused if it was altered."""

    def __init__(self, secret: bytes) -> None:
        # A key of its own, so that a cursor is good for nothing else.
        self._key = hmac.digest(secret, b"smartattend cursor", "sha256")

    def write(self, created_at: datetime, incident_id: UUID) -> str:
        """A cursor after the incident that was created then and has this id."""
        content = f"{created_at.astimezone(UTC).isoformat()}|{incident_id}".encode()
        return base64.urlsafe_b64encode(self._mac(content) + content).decode().rstrip("=")

    def read(self, cursor: str) -> tuple[datetime, UUID]:
        """What `write` was given.

        Raises:
            Problem: validation_error.
        """
        try:
            packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise _no_cursor() from None
        mac, content = packed[:_CURSOR_MAC_BYTES], packed[_CURSOR_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(content)):
            raise _no_cursor()
        instant, _, incident_id = content.decode().partition("|")
        return datetime.fromisoformat(instant), UUID(incident_id)

    def _mac(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, hashlib.sha256)[:_CURSOR_MAC_BYTES]


def _no_cursor() -> Problem:
    return invalid([{"field": "cursor", "message": "is not one that this platform gave; start without a cursor"}])
