"""Who may do what: the token, then the role, before anything else of a request is looked at."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from pytest_smartattend.reference.api.bodies import read_json
from pytest_smartattend.reference.api.endpoints import LEAST_ROLE
from pytest_smartattend.reference.api.passwords import Passwords
from pytest_smartattend.reference.api.problems import Problem, unauthenticated
from pytest_smartattend.reference.api.tokens import Token, Tokens
from pytest_smartattend.reference.domain.actors import Role, Scope, User
from pytest_smartattend.reference.store.accounts import Accounts, login_scope
from pytest_smartattend.reference.store.sessions import Store

if TYPE_CHECKING:
    from pytest_smartattend.reference.api.platform import Platform


@dataclass(frozen=True, slots=True)
class Caller:
    """The person behind a request, and what the request's statements may touch."""

    user: User
    scope: Scope


class Access:
    """Judges tokens and roles.

    Attributes:
        least_role: endpoint → least role.
    """

    def __init__(self, store: Store, accounts: Accounts, tokens: Tokens, passwords: Passwords) -> None:
        self.least_role = dict(LEAST_ROLE)
        self._store = store
        self._accounts = accounts
        self._tokens = tokens
        self._passwords = passwords

    async def admit(self, endpoint: str, authorization: str | None) -> Caller | None:
        """The caller of `endpoint`, or None where anyone may call.

        Raises:
            Problem: unauthenticated or forbidden.
        """
        least = self.least_role[endpoint]
        if least is None:
            return None
        user = await self.authenticate(authorization)
        if not user.role.reaches(least):
            raise Problem("forbidden", f"{endpoint} needs the role {least} or above; yours is {user.role}")
        return Caller(user, self.scope(endpoint, user))

    async def authenticate(self, authorization: str | None) -> User:
        """The user whom the token names, as the database knows the user now.

        Raises:
            Problem: unauthenticated; also when the account is gone or has another role or tenant by now.
        """
        claims = self._tokens.read(authorization)
        scope = Scope(tenant_id=claims.tenant_id, everywhere=claims.role is Role.SUPERADMIN)
        user = await self._accounts.within(self._store, scope, claims.user_id)
        if user is None or (user.tenant_id, user.role) != (claims.tenant_id, claims.role):
            raise unauthenticated("the account that the token names does not exist any more, or has changed")
        return user

    def claimed_tenant(self, authorization: str | None) -> UUID | None:
        """The tenant that a well-signed token names, for the record only; None where there is none."""
        try:
            return self._tokens.read(authorization).tenant_id
        except Problem:
            return None

    def scope(self, endpoint: str, user: User) -> Scope:
        """What the statements of this request may touch."""
        return user.scope

    async def log_in(self, email: str, password: str) -> tuple[User, Token]:
        """A token for whoever knows the password.

        Raises:
            Problem: invalid_credentials; it does not tell which of the two was wrong.
        """
        email = email.lower()
        async with self._store.transaction(login_scope(email)) as transaction:
            found = await self._accounts.by_email(transaction, email)
        user, stored = found or (None, None)
        if not await self._passwords.matches(password, stored) or user is None:
            raise Problem("invalid_credentials", "check the email address and the password")
        return user, self._tokens.issue(user)


def platform_of(request: Request) -> Platform:
    """The services behind the application."""
    platform: Platform = request.app.state.platform
    return platform


def caller_of(request: Request) -> Caller:
    """Who called; only for endpoints that have a least role."""
    caller: Caller = request.state.caller
    return caller


class GuardedRoute(APIRoute):
    """Judges in the order of the contract: token, role, body; FastAPI alone would parse the body first."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        handle = super().get_route_handler()
        (method,) = self.methods or {"GET"}
        endpoint = f"{method} {self.path_format.removeprefix('/api')}"
        takes_body = self.body_field is not None

        async def guarded(request: Request) -> Response:
            request.state.endpoint = endpoint
            request.state.caller = await platform_of(request).access.admit(
                endpoint, request.headers.get("authorization")
            )
            return await handle(await read_json(request) if takes_body else request)

        return guarded
