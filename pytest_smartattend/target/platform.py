"""What a suite needs of the platform under test, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any, Protocol

from pytest_smartattend.target.client import Operation
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.target.people import Tenant


class SqlSession(Protocol):
    """A connection past the platform, as one of the database's roles."""

    def rows(self, query: str, *parameters: object) -> list[dict[str, Any]]:
        """All rows of `query`."""
        ...

    def refusal_of(self, statement: str, *parameters: object) -> str | None:
        """Try `statement` in a transaction that is rolled back in any case.

        Returns:
            why the database refused it, or None if it would have been done.
        """
        ...

    def past_the_triggers(self, table: str, statement: str, *parameters: object) -> int:
        """Do and commit `statement` with the triggers of `table` disabled; the number of rows that it changed."""
        ...


class Platform(Protocol):
    """A SmartAttend platform.

    Attributes:
        name: how the report calls it.
        base_url: where it answers, without ``/api``.
        clients_url: the same through the path ``clients``, on which faults can be laid.
        connections_at_rest: how many connections to its databases it may keep while nothing goes on; None if unknown.
    """

    name: str
    base_url: str
    clients_url: str
    connections_at_rest: int | None

    @property
    def observer(self) -> Observer:
        """Reads its database past it."""
        ...

    def describe(self) -> Mapping[str, object]:
        """What stands in the report about it."""
        ...

    def seed(self, kind: str, record: Callable[[Operation], None]) -> Tenant:
        """A new tenant of `kind` with one person of each role, whose operations are told to `record`."""
        ...

    def drift_limits(self, tenant_id: str, limits: Mapping[str, timedelta]) -> None:
        """Hold the clocks of a tenant's clients to `limits` of its own: ``accepted``, ``flagged`` and ``blocked``."""
        ...

    def sql_as(self, role: str, tenant_id: str | None) -> AbstractContextManager[SqlSession]:
        """A connection as ``app`` or ``owner``, with `tenant_id` set as the platform sets it for a request."""
        ...

    def path_to(self, store: str) -> str:
        """The name of the proxy between the platform and `store`: ``database`` or ``incidents_database``."""
        ...

    def kill(self) -> None:
        """End all its processes at once, as a crash would; `start` starts them again at the same address."""
        ...

    def start(self) -> None:
        """Start it, and wait until it answers.

        Raises:
            TargetFailed: it did not.
        """
        ...

    def log_tail(self) -> str:
        """The end of what it printed."""
        ...
