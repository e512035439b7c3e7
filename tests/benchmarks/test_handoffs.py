"""How long a change of shift with a thousand open incidents takes, over HTTP. Printed, never asserted.

The figures go to ``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.client import Answer
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.reference_platform import ReferencePlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema
from pytest_smartattend.trials.handoff import read_back
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.storm import Storm

INCIDENTS, ROUNDS = 1_000, 9
#: milliseconds that are aimed at
AIMS = {"accept": 300, "briefing, JSON": 200, "briefing, Markdown": 200, "briefing, text": 200}


@pytest.fixture
def tenant(postgres: Server, tmp_path: Path) -> Iterator[Tenant]:
    database = postgres.pool(ReferenceSchema()).take()
    platform = ReferencePlatform(postgres, database, tmp_path / "platform", workers=2, seed=0)
    made = platform.seed("school", lambda _operation: None)
    severities = ["low", "medium", "high", "high", "critical"]
    reports = [
        Request("POST", "/incidents", made.staff.token or "", {"title": f"Number {n}", "severity": severities[n % 5]})
        for n in range(INCIDENTS)
    ]
    Storm(platform.base_url).closed(reports, workers=8)
    yield made
    platform.stop()


def test_a_change_of_shift_with_a_thousand_open_incidents(tenant: Tenant, capsys: pytest.CaptureFixture[str]) -> None:
    taken: dict[str, list[float]] = {name: [] for name in ("initiate", *AIMS)}

    def timed(name: str, call: Callable[..., Answer], *given: object) -> Answer:
        begun = stopwatch.monotonic_ns()
        answer = call(*given)
        taken[name].append((stopwatch.monotonic_ns() - begun) / 1e6)
        answer.must()
        return answer

    outgoing, incoming = tenant.admin, tenant.successor_of("admin")
    for _ in range(ROUNDS):
        handoff = timed("initiate", outgoing.hand_over, incoming.user_id).body["id"]
        briefing = timed("briefing, JSON", incoming.briefing, handoff).body
        for name in ("Markdown", "text"):
            timed(f"briefing, {name}", incoming.briefing, handoff, name.lower())
        accepted = timed("accept", incoming.accept_handoff, handoff, read_back(briefing)).body
        assert len(accepted["ended"]["moved"]) == INCIDENTS
        outgoing, incoming = incoming, outgoing
    with capsys.disabled():
        print(f"\nA handoff of {INCIDENTS} open incidents, {ROUNDS} rounds, 2 workers; milliseconds.")
        print("| step | aim | median | least | most |\n| --- | ---: | ---: | ---: | ---: |")
        for name, times in taken.items():
            figures = f"{statistics.median(times):.0f} | {min(times):.0f} | {max(times):.0f}"
            print(f"| {name} | {AIMS.get(name, '')} | {figures} |")
