"""Storm 4: a network that loses, delays and cuts; clients who try again with the same key; every submission made once.

The clients are on the platform's clock: an answer five seconds late and a patience of ten seconds cost no time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest

from pytest_smartattend import (
    Abort,
    ClockedStorm,
    Delay,
    Evidence,
    Faults,
    History,
    HttpFault,
    InProcessPlatform,
    Reset,
    Retries,
    Tenant,
    Timeout,
    distinct_submissions,
    validate_submissions,
)

SECOND, MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)
CLIENTS = 8
#: how often the submissions are sent at most, until each fault has struck: the dice of a seed may spare one of the rarest
#: for a whole round, but not for this many (less than one seed in a billion)
ROUNDS = 10
#: longer than any client waits
SILENCE = 12 * SECOND
PATIENT = Retries(attempts=12, first=200 * MILLISECOND, longest=5 * SECOND)
SPIKES = Delay(2_500 * MILLISECOND, jitter=2_500 * MILLISECOND, probability=0.5, by="key")


def _failing(percent: int) -> tuple[HttpFault, ...]:
    """So many requests fail: one half is refused on the way, of the other the answer is lost."""
    each = 1 - (1 - percent / 100) ** 0.5
    return Abort(503, probability=each, by="key"), Reset("answer", probability=each, by="key")


def _silent(percent: int) -> tuple[HttpFault, ...]:
    """So many requests are never answered: half of them were never seen, half were done."""
    each = 1 - (1 - percent / 100) ** 0.5
    return (
        Timeout(SILENCE, lost="request", probability=each, by="key"),
        Timeout(SILENCE, lost="answer", probability=each, by="key"),
    )


NETWORKS: dict[str, tuple[HttpFault, ...]] = {
    **{f"failures-{percent}": _failing(percent) for percent in (10, 30, 50)},
    **{f"timeouts-{percent}": _silent(percent) for percent in (5, 15, 25)},
    "spikes": (SPIKES,),
    "all": (SPIKES, *_failing(30), *_silent(15)),
}


@pytest.mark.storm("storms/network-instability")
@pytest.mark.detects("replay-with-new-id")
@pytest.mark.parametrize("kind", NETWORKS)
def test_every_submission_is_made_once_over_an_unstable_network(
    _smartattend_discrete: InProcessPlatform,
    _smartattend_discrete_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
    _smartattend_seed: int,
    _smartattend_discrete_faults: Faults,
    kind: str,
) -> None:
    platform, evidence = _smartattend_discrete, _smartattend_evidence
    tenant = _smartattend_discrete_tenants("school" if kind.startswith("failures") else "corporate")
    requests = distinct_submissions(tenant, kind)[:: 1 if kind == "timeouts-5" else 2]
    storm = ClockedStorm(platform, retries=PATIENT, seed=_smartattend_seed)
    with ExitStack() as network:
        held = [network.enter_context(_smartattend_discrete_faults.on("clients", fault)) for fault in NETWORKS[kind]]
        result = storm.closed(requests, CLIENTS)
        for _ in range(ROUNDS - 1):
            if all(each.fired for each in held):
                break
            _add(result.history, storm.closed(requests, CLIENTS).history)
        evidence.expect("faults that never struck", [each.fault_id for each in held if not each.fired], [])
    evidence.note(result.describe())
    evidence.measure("attempts", result.attempts, "requests")
    evidence.measure("slowest submission on the clock", result.latency.most / 1e9, "s")
    again = storm.closed(requests, CLIENTS)
    evidence.expect("answers over a network that has healed", dict(again.replies), {"201": len(requests)})
    _add(result.history, again.history)
    platform.rest()
    validate_submissions(evidence, platform.observer, tenant, result.history)


def _add(history: History, more: History) -> None:
    for operation in more:
        history.append(operation)
