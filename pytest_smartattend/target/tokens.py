"""Bearer tokens, good and forged: signed where the platform's secret is known, else from its login or from a person."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import jwt

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.target.adapter import fill
from pytest_smartattend.target.people import Account

#: how long a token of a check holds; a check takes seconds, a simulation a week of the platform's clock
LIFETIME = timedelta(days=30)


#: the claims of the reference platform's tokens
CLAIMS = {"sub": "{user_id}", "tid": "{tenant_id}", "role": "{role}"}


def values_of(account: Account) -> dict[str, str]:
    """What a template may say of a person; empty where they are of no tenant."""
    return {
        "user_id": account.user_id,
        "tenant_id": account.tenant_id or "",
        "role": account.role,
        "email": account.email,
        "password": account.password,
        "name": f"The {account.role}",
    }


class SecretSigner:
    """Signs as the platform does: HS256 over its claims, and iat, exp and jti.

    Args:
        secret: with which the platform signs.
        now: the platform's clock.
        claims: claim → template over `values_of` a person; a claim that is empty is null.
    """

    def __init__(self, secret: str, now: Callable[[], datetime], claims: Mapping[str, str] = CLAIMS) -> None:
        self._secret = secret
        self._now = now
        self._templates = claims

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
        if kind == "expired":  # just now: the platform gives its tokens itself, so no clock has to be allowed for
            return self._sign({**claims, "iat": claims["iat"] - 7200, "exp": claims["iat"] - 2})
        if kind == "unknown-user":
            return self._sign(self._claims(replace(account, user_id=str(uuid.uuid4()))))
        raise AssertionError(f"no such forgery: {kind}")

    def _claims(self, account: Account) -> dict[str, Any]:
        now = self._now()
        return {
            **{name: fill(text, values_of(account)) or None for name, text in self._templates.items()},
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "jti": uuid.uuid4().hex,
        }

    def _sign(self, claims: dict[str, Any], secret: str | None = None) -> str:
        return jwt.encode(claims, secret or self._secret, algorithm="HS256")


class GivenTokens:
    """Tokens that we cannot make: each is asked for when it is first needed.

    Args:
        ask: the token of a person.
    """

    def __init__(self, ask: Callable[[Account], str]) -> None:
        self._ask = ask

    def token(self, account: Account) -> str:
        """A token that the platform accepts."""
        return self._ask(account)

    def forged(self, account: Account, kind: str) -> str:
        """A token that it must refuse, as far as one can be made without the secret.

        Raises:
            NotOffered: it takes the secret, or a token that is no JWT.
        """
        if kind in {"expired", "unknown-user"}:
            raise NotOffered(f"a token that is {kind}: it takes the secret with which the platform signs")
        try:
            claims = jwt.decode(self._ask(account), options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise NotOffered(f"a token that is {kind}: the platform's are no JWT") from None
        if kind == "unsigned":
            return jwt.encode(claims, key="", algorithm="none")
        return jwt.encode(claims, "another secret that is long enough " * 2, algorithm="HS256")
