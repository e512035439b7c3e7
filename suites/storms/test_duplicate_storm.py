"""Storm 3: the same submission many times at once, from impatient clients, over broken lines, past dying workers: one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from pytest_smartattend import (
    AckLoss,
    Evidence,
    Fault,
    Faults,
    Kill,
    Latency,
    LimitData,
    Pause,
    Platform,
    Raw,
    Request,
    Restart,
    Retries,
    Storm,
    StormResult,
    Tenant,
    distinct_submissions,
    submission_request,
    validate_submissions,
)

MILLISECOND, SECOND = timedelta(milliseconds=1), timedelta(seconds=1)
#: what answers there must be, by the keys that the duplicates carry: the first is made, the others find or repeat it
KEYS = ("same-key", "own-keys", "no-key")
CELLS = [(count, keys) for count in (50, 200) for keys in KEYS]
MANY, CLIENTS = 10_000, 24
PATIENT = Retries(attempts=12, first=20 * MILLISECOND, longest=1 * SECOND)
#: who waits longer for those before it than the platform lets anybody wait is told to come again; nothing else is retried
QUEUING = Retries(attempts=12, first=100 * MILLISECOND, statuses=frozenset({503}))


class Answers:
    """Reads answers for the history, and counts them: status, and whether it was a replay."""

    def __init__(self) -> None:
        self.counted: Counter[str] = Counter()

    def read(self, raw: Raw) -> object:
        """The id in an answer."""
        replayed = raw.headers.get("idempotency-replayed") == "true"
        self.counted[f"{raw.status}{' replayed' if replayed else ''}"] += 1
        return raw.json.get("id")


def _duplicates(tenant: Tenant, count: int, keys: str) -> list[Request]:
    request = submission_request(tenant.member, tenant.submission(), "the-key" if keys == "same-key" else None)
    if keys != "own-keys":
        return [request] * count
    return [replace(request, idempotency_key=f"key-{number}") for number in range(count)]


def _expect_answers(evidence: Evidence, counted: Counter[str], result: StormResult, keys: str) -> None:
    """One was told that it is new, and all others found or repeated it.

    A busy platform may have told some to come again (503) when what they asked for was done already. With a key they get
    their own first answer again; without one they find the record, and then it may be that nobody was told it is new.
    """
    count = len(result.history)
    retried = result.attempts - count
    new = min(counted["201"], 1) if retried else 1
    again = min(counted["200 replayed"], retried)
    due = {
        "same-key": {"201": new, "201 replayed": count - new},
        "own-keys": {"201": new, "201 replayed": 1 - new, "200": count - 1 - again, "200 replayed": again},
        "no-key": {"201": new, "200": count - new},
    }[keys]
    evidence.expect("answers", dict(counted), {each: number for each, number in due.items() if number})
    evidence.expect("attempts that ended in another way", sorted({*result.replies} - {"200", "201", "503"}), [])


@pytest.mark.storm("storms/duplicate-storm")
@pytest.mark.detects("natural-key-dropped", "select-then-insert", "key-not-held", "key-before-body")
@pytest.mark.parametrize(("count", "keys"), CELLS, ids=[f"{count}-{keys}" for count, keys in CELLS])
def test_of_many_at_once_one_is_recorded(
    _smartattend_platform: Platform,
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_evidence: Evidence,
    count: int,
    keys: str,
) -> None:
    platform, evidence, answers = _smartattend_platform, _smartattend_evidence, Answers()
    tenant = _smartattend_tenants("school" if count == 50 else "corporate")
    storm = Storm(platform.base_url, retries=QUEUING, read=answers.read, timeout=30)
    # whoever has looked for a record before one is there waits at the gate for another: so they meet, however busy the machine
    with ThreadPoolExecutor(1) as pool, platform.observer.gate("attendance") as gathered:
        under_way = pool.submit(storm.last_byte, _duplicates(tenant, count, keys))
        met = gathered(2)
    result = under_way.result()
    evidence.note(f"{result.describe()}; {met} at the gate when it was opened")
    evidence.expect("requests inside at once", result.inside, count)
    _expect_answers(evidence, answers.counted, result, keys)
    validate_submissions(evidence, platform.observer, tenant, result.history, platform.connections_at_rest)


@pytest.mark.storm("storms/duplicate-storm-of-10000")
@pytest.mark.detects("replay-with-new-id")
def test_of_ten_thousand_one_is_recorded(
    _smartattend_platform: Platform, _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    platform, tenant, evidence, answers = _smartattend_platform, _smartattend_tenant, _smartattend_evidence, Answers()
    storm = Storm(platform.base_url, retries=QUEUING, read=answers.read, timeout=30)
    result = storm.closed(_duplicates(tenant, MANY, "same-key"), CLIENTS)
    evidence.note(result.describe())
    _expect_answers(evidence, answers.counted, result, "same-key")
    validate_submissions(evidence, platform.observer, tenant, result.history, platform.connections_at_rest)
    evidence.measure("duration", result.seconds, "s")


#: where answers are lost: PostgreSQL's to the platform after a commit, and the platform's to its clients
LOSSES: dict[str, tuple[str, Fault]] = {
    "commits": ("database", AckLoss(("COMMIT",), probability=0.3)),
    "answers": ("clients", LimitData(100, direction="down", probability=0.5)),
}


@pytest.mark.storm("storms/lost-answers")
@pytest.mark.detects(
    "key-after-commit", "key-before-record", "retry-without-key", "connection-leaked", "replay-with-new-id"
)
@pytest.mark.parametrize("lost", LOSSES)
def test_whoever_lost_an_answer_gets_the_first_one_again(
    _smartattend_platform: Platform,
    _smartattend_tenants: Callable[..., Tenant],
    _smartattend_faults: Faults,
    _smartattend_evidence: Evidence,
    _smartattend_seed: int,
    lost: str,
) -> None:
    platform, evidence, answers = _smartattend_platform, _smartattend_evidence, Answers()
    path, fault = LOSSES[lost]
    tenant = _smartattend_tenants("corporate" if lost == "commits" else "school")
    requests = distinct_submissions(tenant, lost)[::2]
    storm = Storm(platform.clients_url, retries=PATIENT, seed=_smartattend_seed, read=answers.read)
    with _smartattend_faults.on(path, fault):
        result = storm.closed(requests, 16)
    again = storm.closed(requests, 8)
    evidence.note(result.describe())
    evidence.expect("statuses of what was done", {each.split()[0] for each in answers.counted}, {"201"})
    evidence.expect("answers in the end", {each.outcome for each in again.history}, {"ok"})
    for operation in again.history:
        result.history.append(operation)
    validate_submissions(evidence, platform.observer, tenant, result.history, platform.connections_at_rest)


WORKERS = {"killed": Kill(), "paused": Pause(), "restarted": Restart()}
_AT_WORK = (
    "select count(*) from pg_stat_activity where datname = current_database() and xact_start is not null"
    " and application_name <> 'pytest-smartattend'"
)


@pytest.mark.storm("storms/worker-lost")
@pytest.mark.detects("natural-key-dropped")
@pytest.mark.parametrize("how", WORKERS)
def test_a_worker_that_is_lost_in_the_middle_changes_nothing(
    _smartattend_platform: Platform,
    _smartattend_tenant: Tenant,
    _smartattend_faults: Faults,
    _smartattend_evidence: Evidence,
    how: str,
) -> None:
    platform, tenant, evidence, answers = _smartattend_platform, _smartattend_tenant, _smartattend_evidence, Answers()
    storm = Storm(platform.base_url, retries=PATIENT, read=answers.read, timeout=30)
    requests = _duplicates(tenant, 20, "same-key") + _duplicates(tenant, 20, "no-key")
    somebody = Request("GET", "/time/sync")
    with ThreadPoolExecutor(1) as pool, _smartattend_faults.on("database", Latency(40 * MILLISECOND)):
        under_way = pool.submit(storm.last_byte, requests)
        evidence.invariant("it is in the middle", platform.observer.counted(_AT_WORK, least=1, patience=30) > 0)
        with _smartattend_faults.on("workers", WORKERS[how]):
            meanwhile = Storm(platform.base_url, timeout=30).closed([somebody], 1)
            evidence.expect("others meanwhile", dict(meanwhile.replies), {"200": 1})
        result = under_way.result()
    evidence.note(result.describe())
    evidence.expect("what became of them", {each.outcome for each in result.history}, {"ok"})
    evidence.invariant("at most one was told that it is new", answers.counted["201"] <= 1, str(answers.counted))
    validate_submissions(evidence, platform.observer, tenant, result.history, platform.connections_at_rest)
