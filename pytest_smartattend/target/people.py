"""Tenants and the people in them, as the suites meet them: each person is a client that calls as themselves."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

import httpx

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.target.client import Client, Operation
from pytest_smartattend.target.contract import ROLES

FORGERIES = ("none", "garbage", "basic-scheme", "unsigned", "other-secret", "expired", "role-raised", "unknown-user")


@dataclass(frozen=True)
class Account:
    """One user as seeded. `tenant_id` is None for a superadmin."""

    user_id: str
    tenant_id: str | None
    role: str
    email: str
    password: str


@dataclass(frozen=True)
class Roster:
    """What the people of a tenant may attend, as seeded.

    Attributes:
        kind: ``school`` or ``corporate``.
        person_id: the member's id: the student, or the employee.
        other_id: another member's, without a token of their own.
        class_session_ids: a school's; empty for a corporate.
        days: dates on which a submission makes sense.
    """

    kind: str
    person_id: str
    other_id: str
    class_session_ids: tuple[str, ...]
    days: tuple[date, ...]

    def submission(self, client_time: datetime, *, day: int = 0, **changes: object) -> dict[str, object]:
        """A body with which the member's attendance on the `day`-th date is submitted, with `changes`.

        Raises:
            NotOffered: the target has made no class session for us.
        """
        if self.kind == "school" and not self.class_session_ids:
            raise NotOffered("class sessions, which a school's attendance is for")
        when = self.days[day].isoformat()
        body: dict[str, object] = {"client_time": client_time.isoformat()}
        if self.kind == "school":
            body |= {"class_session_id": self.class_session_ids[0], "student_id": self.person_id, "date": when}
        else:
            body |= {"employee_id": self.person_id, "shift_date": when, "direction": "in"}
        return {**body, **changes}


class Signer(Protocol):
    """Makes the platform's bearer tokens, and ones that it must not accept."""

    def token(self, account: Account) -> str:
        """A token that the platform accepts."""
        ...

    def forged(self, account: Account, kind: str) -> str:
        """A token that it must refuse: unsigned, other-secret, expired or unknown-user."""
        ...


class Person(Client):
    """Someone with an account, or, without one, nobody."""

    def __init__(
        self, http: httpx.Client, account: Account | None, token: str | None, record: Callable[[Operation], None]
    ) -> None:
        super().__init__(http, token, record)
        self.account = account

    @property
    def user_id(self) -> str | None:
        """The account's id; None for nobody."""
        return self.account.user_id if self.account else None


class Tenant:
    """A school or a corporate made for one check, with one person of each role, and successors for handoffs.

    Attributes:
        id: the tenant's id.
        kind: ``school`` or ``corporate``.
        roster: what its people may attend.
        nobody: a caller without a token.
    """

    def __init__(
        self,
        tenant_id: str,
        kind: str,
        accounts: dict[str, Account],
        roster: Roster,
        signer: Signer,
        http: httpx.Client,
        record: Callable[[Operation], None],
    ) -> None:
        self.id = tenant_id
        self.kind = kind
        self.roster = roster
        self._accounts = accounts
        self._signer = signer
        self._people = {role: Person(http, one, signer.token(one), record) for role, one in accounts.items()}
        self._people["nobody"] = Person(http, None, None, record)

    def actor(self, role: str) -> Person:
        """The person of `role`; the superadmin is of no tenant and sees all.

        Raises:
            NotOffered: the target has nobody of that role.
        """
        assert role in ROLES, f"{role!r} is none of {', '.join(ROLES)}"
        if role not in self._people:
            raise NotOffered(f"a person of role {role}")
        return self._people[role]

    def successor_of(self, role: str) -> Person:
        """Whoever takes over from the ``admin`` or the ``superadmin`` when their shift ends: another of that role.

        Raises:
            NotOffered: the target has nobody like that.
        """
        if f"next {role}" not in self._people:
            raise NotOffered(f"a second {role}, who could take over from the first")
        return self._people[f"next {role}"]

    @property
    def nobody(self) -> Person:
        """A caller without a token."""
        return self._people["nobody"]

    @property
    def member(self) -> Person:
        """A student or an employee."""
        return self._people["member"]

    @property
    def staff(self) -> Person:
        """Faculty, or a manager."""
        return self._people["staff"]

    @property
    def admin(self) -> Person:
        """The tenant's admin."""
        return self._people["admin"]

    @property
    def superadmin(self) -> Person:
        """The platform's superadmin."""
        return self.actor("superadmin")

    def submission(self, *, off: timedelta = timedelta(), day: int = 0, **changes: object) -> dict[str, object]:
        """A submission of the member's, made now on the platform's clock, by a clock that is `off`."""
        return self.roster.submission(self.nobody.now() + off, day=day, **changes)

    def credentials(self, role: str) -> tuple[str, str]:
        """E-mail and password of the person of `role`.

        Raises:
            NotOffered: the target has nobody of that role, or they are known by their token alone.
        """
        self.actor(role)
        account = self._accounts[role]
        if not (account.email and account.password):
            raise NotOffered(f"the password of a {role}")
        return account.email, account.password

    def forged(self, kind: str) -> str | None:
        """An ``Authorization`` header that the platform must refuse, made to look like the admin's; None for none at all."""
        account = self._accounts["admin"]
        if kind == "none":
            return None
        if kind == "garbage":
            return "Bearer not-a-token"
        if kind == "basic-scheme":
            return "Basic " + base64.b64encode(f"{account.email}:{account.password}".encode()).decode()
        if kind == "role-raised":
            return "Bearer " + _with_claim(self._signer.token(self._accounts["member"]), "role", "admin")
        return "Bearer " + self._signer.forged(account, kind)


def _with_claim(token: str, name: str, value: str) -> str:
    """`token` with one claim changed and its signature kept.

    Raises:
        NotOffered: it is no JWT, so nobody can read claims in it.
    """
    try:
        header, payload, signature = token.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        raise NotOffered(f"a token whose {name} is changed: the platform's are no JWT") from None
    changed = json.dumps({**claims, name: value}).encode()
    return ".".join((header, base64.urlsafe_b64encode(changed).rstrip(b"=").decode(), signature))
