"""The four simulations of failure against the served platform. Each sees to its own requests, and looks at the database.

Faults of the network are carried out on the client's side. The outage is the platform's own: it answers 503 to requests
that carry a simulation's header and come from its tenant (`service.gate`), so that its metrics see it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx

from pytest_smartattend.engine.dice import decide
from pytest_smartattend.engine.http_faults import Delay, HttpFault, Reset, Timeout
from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.injectors.http_faults import FaultTransport
from pytest_smartattend.injectors.http_switch import HttpFaults
from pytest_smartattend.service.stage import Stage
from pytest_smartattend.target.contract import drift_band
from pytest_smartattend.target.contract import health as health_of
from pytest_smartattend.target.observer import Observer
from pytest_smartattend.trials.requests import Request
from pytest_smartattend.trials.retries import Retries
from pytest_smartattend.trials.storm import Storm

#: what each simulation that turns a tenant's health says of it
HEALTH = "the tenant's health is that of its failures and its latency"
#: the header by which a request belongs to a simulation, ``JOB abort``: the platform answers it with 503
HEADER = "X-SmartAttend-Simulation"
#: a clock that is off by this much less or more than a limit may fall on either side of it, for a request takes time
MARGIN = timedelta(seconds=3)
#: attempts at a submission before it counts as lost
ATTEMPTS = 12
#: submissions that are sent again at most, until each fault of the network has struck: the rarest spares all of so many
#: with a probability under one in a billion
AGAIN = 600
#: duplicates that are sent with their last bytes held back; of more, so many at a time by workers
AT_ONCE = 200


@dataclass
class Part:
    """One simulation while it goes on: where, by what, and what it has seen.

    Attributes:
        name: the simulation's.
        job: the job's id.
        base_url: the platform's root.
        stage: where it takes place.
        dsn: of the platform's database, read past the platform.
        seed: of every random choice.
        tell: tells progress.
    """

    name: str
    job: str
    base_url: str
    stage: Stage
    dsn: str
    seed: int
    tell: Callable[..., None]
    checks: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def expect(self, name: str, seen: object, expected: object) -> None:
        """Note what was seen beside what must be."""
        held = seen == expected
        self.checks.append({"name": name, "held": held, "seen": seen, "expected": expected})
        self.tell("check", part=self.name, name=name, held=held)

    def http(self, transport: httpx.BaseTransport | None = None) -> httpx.Client:
        """A client as the staged member."""
        headers = {"Authorization": f"Bearer {self.stage.token}"}
        return httpx.Client(base_url=f"{self.base_url}/api", headers=headers, timeout=15, transport=transport)

    def health(self, http: httpx.Client) -> dict[str, Any]:
        """The tenant's health as the platform sees it, with the figures that it follows from."""
        found = http.get("/metrics/health-status", headers={"Authorization": f"Bearer {self.stage.admin_token}"})
        return dict(found.raise_for_status().json())

    def records(self) -> int:
        """How many records the staged person has in the database."""
        observer = Observer(self.dsn)
        try:
            return int(
                observer.value(
                    "select count(*) from attendance where tenant_id = %s and person_id = %s",
                    self.stage.tenant_id,
                    self.stage.person_id,
                )
            )
        finally:
            observer.close()

    def now(self, http: httpx.Client) -> datetime:
        """The platform's time."""
        return datetime.fromisoformat(http.get("/time/sync").raise_for_status().json()["now"])


def health_faults(found: Mapping[str, Any], sent: int, failed: int) -> list[str]:
    """What is wrong with a tenant's health after a simulation sent so many requests of which so many failed.

    Others may be at work in the tenant, so what the simulation counted is the least that its figures must hold.
    """
    requests, failures, rate = found["requests"], found["failures"], found["failure_rate"]
    wrong = []
    if requests < sent or failures < failed:
        wrong.append(f"it tells of {failures} failures in {requests} requests, and {failed} in {sent} were seen")
    true_rate = failures / requests if requests else 0.0
    if abs(rate - true_rate) > 1e-6:
        wrong.append(f"its failure rate is {rate:g}, and its counts make it {true_rate:g}")
    latency = timedelta(milliseconds=found["mean_latency_ms"])
    status = health_of(true_rate, latency)
    if found["status"] != status:
        wrong.append(f"it is {found['status']}, and {true_rate:g} with a mean of {latency} makes it {status}")
    return wrong


def time_drift(part: Part, max_drift_ms: int, submissions: int) -> None:
    """Submit from clocks that are off, and hold each answer to the band of its drift."""
    wrong: list[str] = []
    accepted = 0
    counts = dict.fromkeys(("accepted", "flagged", "blocked", "critical"), 0)
    with part.http() as http:
        for slot in range(submissions):
            off = _drift(part.seed, slot, max_drift_ms)
            body = part.stage.body(slot, (part.now(http) + off).isoformat())
            answer = http.post(part.stage.path, json={**body, "device_id": f"simulation-{part.job[:12]}"})
            allowed = {drift_band(off - MARGIN), drift_band(off), drift_band(off + MARGIN)}
            seen = _band_of(answer)
            counts[seen] = counts.get(seen, 0) + 1
            accepted += answer.status_code == 201
            if seen not in allowed:
                wrong.append(f"{off / MILLISECOND:+.0f} ms: {seen}")
        health = part.health(http)
    part.expect("every answer is that of its drift's band", wrong, [])
    part.expect("exactly the accepted submissions are recorded", part.records(), accepted)
    refused = sum(counts.values()) - accepted
    part.expect(HEALTH, health_faults(health, submissions, refused), [])
    part.figures.update(counts, health=health["status"], failure_rate=health["failure_rate"])


def _drift(seed: int, slot: int, most_ms: int) -> timedelta:
    """Of either sign, and more often small than large, so that every band is met."""
    sign = -1 if decide(seed, "sign", str(slot), 1) < 0.5 else 1
    return timedelta(milliseconds=sign * round(decide(seed, "drift", str(slot), 1) ** 4 * most_ms))


def _band_of(answer: httpx.Response) -> str:
    if answer.status_code == 201:
        return "flagged" if answer.json()["state"] == "FLAGGED" else "accepted"
    if answer.status_code == 422 and answer.json().get("code") == "clock_drift_blocked":
        return str(answer.json()["band"])
    return f"status {answer.status_code}"


def partial_outage(part: Part, requests: int, recovery_attempts: int) -> None:
    """Let the endpoint answer 503 until the tenant is critical, heal it, and see it recover by itself."""
    seen: list[str] = []
    wrong: list[str] = []
    refused: list[int] = []
    sent = 0
    down = {HEADER: f"{part.job} abort"}
    with part.http() as http:
        body = part.stage.body(0, part.now(http).isoformat())

        def look() -> str:
            found = part.health(http)
            wrong.extend(health_faults(found, sent, len(refused)))
            health = str(found["status"])
            if not seen or seen[-1] != health:
                seen.append(health)
                part.tell("health", part=part.name, health=health)
            return health

        look()
        while sent < requests and (not refused or look() != "critical"):
            refused.append(http.post(part.stage.path, json=body, headers=down).status_code)
            sent += 1
        part.expect("the endpoint answered 503 while it was out", sorted(set(refused)), [503])
        part.expect("nothing was recorded while it was out", part.records(), 0)
        # a look would be too late: what else goes on in the tenant may have made it better by then
        part.expect("the tenant became critical", "critical" in seen, expected=True)
        recovered = _recovery(part, http, body, recovery_attempts)
        part.expect("the endpoint recovered", recovered > 0, expected=True)
        part.expect("one record was made after it had recovered", part.records(), 1)
        while sent < requests and look() != "healthy":
            for _ in range(10):
                http.get("/auth/me")
            sent += 10
        part.expect("the tenant is critical no more, by itself", look() == "critical", expected=False)
        part.expect(HEALTH, wrong[:5], [])
    part.figures.update(requests=sent, refused=len(refused), recovery_attempts=recovered, health=seen)


def _recovery(part: Part, http: httpx.Client, body: dict[str, Any], attempts: int) -> int:
    """At which attempt the endpoint did its work again; 0 where it never did."""
    for attempt in range(1, attempts + 1):
        body["client_time"] = part.now(http).isoformat()
        if http.post(part.stage.path, json=body).status_code in {200, 201}:
            return attempt
    return 0


def duplicate_storm(part: Part, duplicates: int) -> None:
    """Send one submission many times at once, half of them with one Idempotency-Key, the others each with its own."""
    with part.http() as http:
        body = part.stage.body(0, part.now(http).isoformat())

    def requests(first: int, count: int) -> Iterator[Request]:
        for number in range(first, first + count):
            key = f"{part.job}-{number}" if number % 2 else f"{part.job}-same"
            yield Request("POST", part.stage.path, part.stage.token, body, key=part.job, idempotency_key=key)

    storm = Storm(part.base_url, retries=Retries(), seed=part.seed)
    together = min(duplicates, AT_ONCE)
    results = [storm.last_byte(list(requests(0, together)))]
    if duplicates > together:
        results.append(storm.closed(requests(together, duplicates - together), workers=AT_ONCE))
    ended = [operation for result in results for operation in result.history]
    ids = {operation.result for operation in ended if operation.outcome == "ok"}
    part.expect("every duplicate was answered", sum(one.outcome == "ok" for one in ended), duplicates)
    part.expect("all answers show one record", len(ids), 1)
    part.expect("one record is in the database", part.records(), 1)
    part.figures.update(storms=[result.to_json() for result in results])


def network_instability(
    part: Part, failure_rate: float, max_latency_ms: int, timeout_rate: float, submissions: int
) -> None:
    """Submit over a network that fails, and retry with the same key until each is known to be recorded."""
    faults = HttpFaults("client", part.seed)
    chosen: list[HttpFault] = [
        Reset(lost="request", probability=failure_rate / 2, match="POST /**"),
        Reset(lost="answer", probability=failure_rate / 2, match="POST /**"),
        Timeout(after=200 * MILLISECOND, lost="answer", probability=timeout_rate, match="POST /**"),
    ]
    if max_latency_ms:
        half = timedelta(milliseconds=max_latency_ms / 2)
        chosen.append(Delay(delay=half, jitter=half, probability=0.1, match="POST /**"))
    lost, attempts = [], 0
    with part.http() as plain, part.http(FaultTransport(httpx.HTTPTransport(), faults)) as http, ExitStack() as held:
        laid = [held.enter_context(faults.fault(fault)) for fault in chosen]
        for slot in range(submissions):
            body = part.stage.body(slot, part.now(plain).isoformat())
            done = _until_recorded(http, part, body, f"{part.job}-network-{slot}")
            attempts += done or ATTEMPTS
            lost += [] if done else [slot]
        for _ in range(AGAIN):  # the dice may spare a few submissions, and then nothing was shown
            if all(one.fired for one in laid):
                break
            attempts += _until_recorded(http, part, body, f"{part.job}-network-{slot}") or ATTEMPTS
        spared = [one.fault.describe() for one in laid if not one.fired]
        part.expect("each fault of the network struck", spared, [])
    part.expect("every submission was recorded in the end", lost, [])
    part.expect("each is recorded once", part.records(), submissions)
    fired = {one.fault.describe(): one.fired for one in laid}
    part.figures.update(attempts=attempts, fired=fired)


def _until_recorded(http: httpx.Client, part: Part, body: dict[str, Any], key: str) -> int:
    """At which attempt the submission was answered; 0 where it never was."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = http.post(part.stage.path, json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            continue
        if answer.status_code in {200, 201}:
            return attempt
    return 0


SIMULATIONS: dict[str, Callable[..., None]] = {
    "time_drift": time_drift,
    "partial_outage": partial_outage,
    "duplicate_storm": duplicate_storm,
    "network_instability": network_instability,
}


def timed(part: Part, parameters: dict[str, Any]) -> dict[str, Any]:
    """Run one simulation and give what came of it; one that breaks has failed."""
    begun = time.monotonic()
    part.tell("part", part=part.name)
    problem = ""
    try:
        SIMULATIONS[part.name](part, **parameters)
    except Exception as error:  # noqa: BLE001 - a simulation that breaks must say so and not pass
        problem = f"{type(error).__name__}: {error}"[:500]
    passed = not problem and bool(part.checks) and all(check["held"] for check in part.checks)
    return {
        "name": part.name,
        "status": "passed" if passed else "failed",
        "problem": problem,
        "seed": part.seed,
        "parameters": parameters,
        "checks": part.checks,
        "figures": part.figures,
        "seconds": round(time.monotonic() - begun, 3),
    }
