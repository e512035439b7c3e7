"""Probes' writers that go through the platform's API, and know what each of its answers means."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.target.client import Answer, Client, trusted
from pytest_smartattend.target.people import Person
from pytest_smartattend.trials.probe import Refused


class ApiWriter:
    """Reports one incident a write, whose title is the key.

    Args:
        person: who reports; staff or above.
        deadline: after which a request without an answer is given up.
        keep: whether the connection is kept from one write to the next.
    """

    def __init__(self, person: Person, deadline: timedelta = 5 * SECOND, *, keep: bool = True) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
        self._http = httpx.Client(
            base_url=person.base_url, timeout=deadline.total_seconds(), limits=limits, verify=trusted()
        )
        self._client = Client(self._http, person.token, lambda _: None)

    def write(self, key: str) -> dict[str, Any]:
        """Report an incident. Returns its id and the status: 201, or 202 for one that waits in the spool.

        Raises:
            Refused: it certainly does not exist.
            TargetFailed: nobody knows.
        """
        answer = self.send(self._client, key)
        if answer.operation.outcome == "failed":
            raise Refused(answer.summary)
        if not answer.ok:
            raise TargetFailed(f"{answer.summary}. Whether it was done, the store tells.")
        return {"id": (answer.body or {}).get("id"), "status": answer.status}

    def send(self, client: Client, key: str) -> Answer:
        """The request of one write."""
        return client.report(title=key, severity="low")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class SubmissionWriter(ApiWriter):
    """Submits the member's attendance; the same dates come round again, and are answered with their records.

    Args:
        person: who submits; staff or above.
        submissions: bodies, taken in turn.
    """

    def __init__(self, person: Person, submissions: list[dict[str, object]]) -> None:
        super().__init__(person)
        self._submissions = submissions
        self._turn = 0

    def send(self, client: Client, key: str) -> Answer:
        """The request of one write."""
        del key  # what is submitted has a natural key
        self._turn += 1
        return client.submit(self._submissions[self._turn % len(self._submissions)])
