"""Tenants and people in somebody's platform: made by their SQL or their API, or taken from a list of theirs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx
import psycopg

from pytest_smartattend.errors import NotOffered, TargetFailed, UsageError
from pytest_smartattend.target.adapter import STEPS, Adapter, Call, Making, fill
from pytest_smartattend.target.people import Account, Roster
from pytest_smartattend.target.seed import DAYS, SEEDED_AT, in_milliseconds
from pytest_smartattend.target.tokens import values_of

#: what is a number in a request's body, where it stands alone
_NUMBERS = frozenset(("{accepted_ms}", "{flagged_ms}", "{blocked_ms}"))
#: seconds for one request that makes something
PATIENCE = 30.0


class Seeding(Protocol):
    """Makes tenants, one for each check."""

    def tenant(self, kind: str) -> tuple[str, dict[str, Account], Roster]:
        """A new tenant of `kind`: its id, role → account, and what its people may attend.

        Also ``next admin`` and ``next superadmin``, who take over from the others in handoffs, where they can be made.
        """
        ...

    def person(self, role: str, tenant_id: str) -> Account:
        """One more person of a tenant's in `role`; a superadmin is of none."""
        ...

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """Hold the clocks of a tenant's clients to limits of its own.

        Args:
            tenant_id: whose.
            limits: by what becomes of a submission within them: ``accepted``, ``flagged``, ``blocked``.
        """
        ...

    def close(self) -> None:
        """End what it holds."""
        ...


class StepSeeder:
    """Makes each thing by the adapter's SQL or request.

    Args:
        adapter: whose ``[seed]`` says how.
        dsn: of the platform's database; None where it cannot be reached.
        base_url: the platform's own root.
        secret: what ``{secret}`` stands for.

    Raises:
        UsageError: SQL without a database.
        TargetFailed: the database cannot be reached.
    """

    def __init__(self, adapter: Adapter, dsn: str | None, base_url: str, secret: str) -> None:
        self._seed = adapter.seed
        self._secret = secret
        self._http = httpx.Client(
            base_url=base_url,
            headers={name: fill(value, {"secret": secret}) for name, value in adapter.seed.headers.items()},
            timeout=PATIENCE,
            trust_env=False,
        )
        steps = (getattr(self._seed, name) for name in STEPS)
        self._connection: psycopg.Connection | None = None
        if any(isinstance(step, str) and step for step in steps):
            if dsn is None:
                raise UsageError("The adapter seeds by SQL, and there is no database to reach. Seed by requests.")
            try:
                self._connection = psycopg.connect(dsn, autocommit=True, connect_timeout=10)
            except psycopg.Error as why:
                raise TargetFailed(f"Seeding: the adapter's database cannot be reached: {why}. Is it up?") from None
        self._superadmins: dict[str, Account] = {}

    def tenant(self, kind: str) -> tuple[str, dict[str, Account], Roster]:
        """See `Seeding`.

        Raises:
            TargetFailed: a step was refused; names the step and the words of the refusal.
        """
        tenant_id = str(uuid.uuid4())
        about = {"tenant_id": tenant_id, "kind": kind, "name": f"A {kind} {tenant_id[:8]}", **self._base()}
        tenant_id = self._make("tenant", self._seed.tenant, about) or tenant_id
        roles = ("member", "staff", "admin", "next admin")
        accounts = {role: self._account(role.removeprefix("next "), tenant_id) for role in roles}
        other = self._account("member", tenant_id)
        if self._seed.superadmin and not self._superadmins:
            both = ("superadmin", "next superadmin")
            self._superadmins = {role: self._account("superadmin", None) for role in both}
        accounts |= self._superadmins
        sessions = []
        if kind == "school" and self._seed.class_session:
            for _ in range(2):
                session = str(uuid.uuid4())
                values = {
                    "tenant_id": tenant_id,
                    "class_session_id": session,
                    "name": f"Class {session[:8]}",
                    **self._base(),
                }
                sessions.append(self._make("class_session", self._seed.class_session, values) or session)
        if kind == "corporate" and self._seed.shift:
            for employee in (accounts["member"].user_id, other.user_id):
                for day in DAYS:
                    values = {"tenant_id": tenant_id, "employee_id": employee, "shift_id": str(uuid.uuid4())}
                    days = {"day": day.isoformat(), "shift_date": day.isoformat()}
                    self._make("shift", self._seed.shift, values | days | self._base())
        roster = Roster(kind, accounts["member"].user_id, other.user_id, tuple(sessions), DAYS)
        return tenant_id, accounts, roster

    def person(self, role: str, tenant_id: str) -> Account:
        """See `Seeding`.

        Raises:
            NotOffered: the adapter makes no superadmins.
            TargetFailed: as `tenant`.
        """
        if role == "superadmin" and not self._seed.superadmin:
            raise NotOffered("a person of role superadmin")
        return self._account(role, None if role == "superadmin" else tenant_id)

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """See `Seeding`.

        Raises:
            NotOffered: the adapter has no step for it.
            TargetFailed: as `tenant`.
        """
        if not self._seed.drift_limits:
            raise NotOffered("drift limits of a tenant's own (the adapter has no [seed] drift_limits)")
        values = {name: str(value) for name, value in in_milliseconds(limits).items()}
        self._make("drift_limits", self._seed.drift_limits, {"tenant_id": tenant_id, **values, **self._base()})

    def close(self) -> None:
        """End the connections."""
        self._http.close()
        if self._connection is not None:
            self._connection.close()

    def _base(self) -> dict[str, str]:
        return {"secret": self._secret, "created_at": SEEDED_AT.isoformat()}

    def _account(self, role: str, tenant_id: str | None) -> Account:
        user_id = str(uuid.uuid4())
        account = Account(user_id, tenant_id, role, f"{role}-{user_id[:8]}@example.test", self._seed.password)
        step = self._seed.superadmin if role == "superadmin" else self._seed.user
        made = self._make("user", step, {**values_of(account), **self._base()})
        return Account(made, tenant_id, role, account.email, account.password) if made else account

    def _make(self, name: str, step: Making, values: Mapping[str, str]) -> str | None:
        """Do one step; the id that the platform chose, where it chooses."""
        if isinstance(step, Call):
            return self._asked(name, step, values)
        assert self._connection is not None
        parameters = {key: value or None for key, value in values.items()}
        try:
            with self._connection.transaction():
                for statement in filter(None, (part.strip() for part in step.split(";\n"))):
                    self._connection.execute(statement, parameters)
        except psycopg.Error as why:
            raise TargetFailed(f"Seeding: the step [seed] {name} was refused: {why}. Correct its SQL.") from None
        return None

    def _asked(self, name: str, step: Call, values: Mapping[str, str]) -> str | None:
        method, _, path = step.call.partition(" ")
        try:
            response = self._http.request(method, fill(path, values), json=_filled(step.body, values))
        except httpx.HTTPError as why:
            raise TargetFailed(
                f"Seeding: [seed] {name}, {step.call}, got no answer: {why}. Is the platform up?"
            ) from None
        if not response.is_success:
            raise TargetFailed(
                f"Seeding: [seed] {name}, {step.call}, was answered with {response.status_code}: {response.text[:500]}. "
                "Correct its body or the headers of [seed]."
            )
        if not step.id:
            return None
        found: Any = response.json()
        for part in step.id.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, str | int):
            raise TargetFailed(
                f"Seeding: [seed] {name}: the answer has no {step.id!r}: {response.text[:500]}. Correct id."
            )
        return str(found)


def _filled(value: Any, values: Mapping[str, str]) -> Any:  # noqa: ANN401
    if isinstance(value, str):
        return int(values[value[1:-1]]) if value in _NUMBERS else fill(value, values)
    if isinstance(value, dict):
        return {key: _filled(inner, values) for key, inner in value.items()}
    return [_filled(inner, values) for inner in value] if isinstance(value, list) else value


class FileSeeder:
    """Hands out tenants that somebody has made: each once, for a check must find its tenant untouched.

    Args:
        path: JSON: a list of ``{"tenant_id", "kind", "accounts": {role: {"user_id", "email", "password", "token"}},
            "other_id", "class_session_ids", "days"}``; ``{env:NAME}`` in a text is a variable of the environment.

    Raises:
        UsageError: it is not such a list.
    """

    def __init__(self, path: Path) -> None:
        try:
            listed = _filled(json.loads(path.read_text("utf-8")), {})
            self._left = {
                kind: [one for one in reversed(listed) if one["kind"] == kind] for kind in ("school", "corporate")
            }
            self.tokens: dict[str, str] = {
                account["user_id"]: account["token"]
                for one in listed
                for account in one["accounts"].values()
                if "token" in account
            }
        except (OSError, ValueError, KeyError, TypeError) as why:
            raise UsageError(
                f"[seed] tenants: {path} is no list of tenants: {type(why).__name__}: {why}. docs/reference/adapter.md shows one."
            ) from None

    def tenant(self, kind: str) -> tuple[str, dict[str, Account], Roster]:
        """See `Seeding`.

        Raises:
            NotOffered: none of that kind is left.
        """
        if not self._left[kind]:
            raise NotOffered(f"another {kind} that no check has used; list more of them for [seed] tenants")
        one = self._left[kind].pop()
        accounts = {
            role: Account(
                said["user_id"],
                None if role == "superadmin" else one["tenant_id"],
                role,
                said.get("email", ""),
                said.get("password", ""),
            )
            for role, said in one["accounts"].items()
        }
        days = tuple(date.fromisoformat(day) for day in one.get("days", ())) or DAYS
        other = one.get("other_id", "")
        return one["tenant_id"], accounts, Roster(
            kind, accounts["member"].user_id, other, tuple(one.get("class_session_ids", ())), days
        )  # fmt: skip

    def person(self, role: str, tenant_id: str) -> Account:
        """See `Seeding`.

        Raises:
            NotOffered: always; the list is all there is.
        """
        raise NotOffered(f"one more {role}, who could be added to a tenant")

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """See `Seeding`.

        Raises:
            NotOffered: always; the list is all there is.
        """
        raise NotOffered("drift limits of a tenant's own")

    def close(self) -> None:
        """Nothing is held."""
