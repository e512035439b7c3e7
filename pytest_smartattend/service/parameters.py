"""What may be asked of the validation endpoints, and within which bounds. Names in snake_case or camelCase."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from pytest_smartattend.reference.api.wire import Body

#: slots that a staged tenant has: twenty-eight dates, each with two
SLOTS = 56

Slots = Annotated[int, Field(ge=1, le=SLOTS)]
Seed = Annotated[int, Field(ge=0, lt=2**53)]


class Parameters(Body):
    """What every simulation takes. `seed` decides every random choice; the same seed decides the same again."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)

    seed: Seed = 20260302


class TimeDrift(Parameters):
    """Submissions from clocks that are off by up to `max_drift_ms`, both ways."""

    max_drift_ms: Annotated[int, Field(ge=1, le=3_600_000)] = 900_000
    submissions: Slots = 28


class PartialOutage(Parameters):
    """An endpoint answers 503 to this simulation's requests until the tenant's health has turned, and then recovers.

    `requests` bounds how many are sent in all; `recovery_attempts` how often the endpoint is tried after it healed.
    """

    requests: Annotated[int, Field(ge=10, le=2_000)] = 500
    recovery_attempts: Annotated[int, Field(ge=1, le=20)] = 5


class DuplicateStorm(Parameters):
    """One submission sent `duplicates` times at once."""

    duplicates: Annotated[int, Field(ge=2, le=10_000)] = 50


class NetworkInstability(Parameters):
    """Submissions over a network that loses, delays and falls silent; retried with the same Idempotency-Key."""

    failure_rate: Annotated[float, Field(ge=0.1, le=0.5)] = 0.3
    max_latency_ms: Annotated[int, Field(ge=0, le=5_000)] = 500
    timeout_rate: Annotated[float, Field(ge=0.05, le=0.25)] = 0.1
    submissions: Slots = 28


class All(Parameters):
    """All four, each with its own parameters."""

    time_drift: TimeDrift = TimeDrift()
    partial_outage: PartialOutage = PartialOutage()
    duplicate_storm: DuplicateStorm = DuplicateStorm()
    network_instability: NetworkInstability = NetworkInstability()


class StressTest(All):
    """All four at once, at high intensity."""

    time_drift: TimeDrift = TimeDrift(submissions=SLOTS)
    duplicate_storm: DuplicateStorm = DuplicateStorm(duplicates=200)
    network_instability: NetworkInstability = NetworkInstability(failure_rate=0.5, timeout_rate=0.25, submissions=SLOTS)


class Validation(Parameters):
    """A run of the suites. `subject` is what is validated: a commit or an image."""

    subject: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")] = "the served platform"
