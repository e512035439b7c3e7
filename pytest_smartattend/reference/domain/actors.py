"""Who acts: roles and their order, the person behind a request, and what that person's statements may touch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import NAMESPACE_URL, UUID, uuid5


class Role(StrEnum):
    """What a person may do; each role may do all that the roles before it may."""

    MEMBER = "member"
    STAFF = "staff"
    ADMIN = "admin"
    SUPERADMIN = "superadmin"

    def reaches(self, least: Role) -> bool:
        """Whether this role is `least` or stands above it."""
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose rows a transaction may see and write.

    The same value feeds the application's own filter and the database's row-level security.

    Attributes:
        tenant_id: the one tenant; None together with ``everywhere=False`` means no tenant's rows at all.
        everywhere: all tenants, for a superadmin.
        login_email: beside the above, the one account that is trying to log in; nothing else is known of it yet.
    """

    tenant_id: UUID | None = None
    everywhere: bool = False
    login_email: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person with an account. `tenant_id` is None for a superadmin and for nobody else."""

    id: UUID
    tenant_id: UUID | None
    role: Role
    email: str
    name: str

    @property
    def scope(self) -> Scope:
        """What this person's statements may touch."""
        return Scope(tenant_id=self.tenant_id, everywhere=self.role is Role.SUPERADMIN)


def is_person(actor: str) -> bool:
    """Whether an actor's name stands for a person; the platform's own begin with ``system:``."""
    return not actor.startswith("system:")


def system_id(actor: str) -> UUID:
    """The identifier under which one of the platform's own actors owns what it makes; the same everywhere."""
    return uuid5(NAMESPACE_URL, f"urn:smartattend:{actor}")
