"""Tokens of the reference platform, good and forged: the target starts the platform, so it knows the secret."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import jwt

from pytest_smartattend.target.people import Account

#: how long a token of a check holds; a check takes seconds, a simulation a week of the platform's clock
LIFETIME = timedelta(days=30)


class SecretSigner:
    """Signs as the reference platform does: HS256 over sub, tid, role, iat, exp and jti.

    Args:
        secret: the platform's ``TOKEN_SECRET``.
        now: the platform's clock.
    """

    def __init__(self, secret: str, now: Callable[[], datetime]) -> None:
        self._secret = secret
        self._now = now

    def token(self, account: Account) -> str:
        """A token that the platform accepts."""
        return self._sign(self._claims(account))

    def forged(self, account: Account, kind: str) -> str:
        """A token that it must refuse; see `people.FORGERIES`."""
        claims = self._claims(account)
        if kind == "unsigned":
            return jwt.encode(claims, key="", algorithm="none")
        if kind == "other-secret":
            return self._sign(claims, secret="another secret that is long enough " * 2)
        if kind == "expired":
            return self._sign({**claims, "iat": claims["iat"] - 7200, "exp": claims["iat"] - 60})
        if kind == "unknown-user":
            return self._sign({**claims, "sub": str(uuid.uuid4())})
        raise AssertionError(f"no such forgery: {kind}")

    def _claims(self, account: Account) -> dict[str, Any]:
        now = self._now()
        return {
            "sub": account.user_id,
            "tid": account.tenant_id,
            "role": account.role,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": uuid.uuid4().hex,
        }

    def _sign(self, claims: dict[str, Any], secret: str | None = None) -> str:
        return jwt.encode(claims, secret or self._secret, algorithm="HS256")
