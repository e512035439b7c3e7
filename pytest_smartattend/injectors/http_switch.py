"""Where faults of requests are laid and taken off; the transport and the middleware ask here what to do.

    faults = HttpFaults(seed=7)
    with faults.fault(Abort(503, match="POST /school/attendance", probability=0.3)) as held:
        ...
    held.fired

Laying and taking off take effect with the next request: there is nothing between us and the request that could lag.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from pytest_smartattend.engine.http_faults import Abort, HttpFault, RateLimit
from pytest_smartattend.engine.http_rules import Hit, HttpEntry, HttpRule
from pytest_smartattend.engine.units import SECOND
from pytest_smartattend.errors import FaultNeverFired


class HeldHttpFault:
    """A fault while it holds, and what is known of it afterwards.

    Attributes:
        fault: the value.
        fault_id: its name in the journal, such as ``http/1:abort``: switch, ordinal, kind.
        seed: the seed that decided.
    """

    def __init__(self, rule: HttpRule) -> None:
        self.fault = rule.fault
        self.fault_id = rule.fault_id
        self.seed = rule.seed
        self._rule = rule

    @property
    def fired(self) -> int:
        """On how many requests it has acted so far."""
        return self._rule.fired

    @property
    def journal(self) -> list[HttpEntry]:
        """What was decided and what fired; the same for the same seed and requests, in whatever order they came."""
        return self._rule.journal()

    @property
    def replayable(self) -> list[HttpEntry]:
        """The journal: it holds no times."""
        return self.journal


class HttpFaults:
    """The faults that hold for the requests of one client or one platform process.

    Args:
        name: how reports call it, such as ``client``.
        seed: the root of every random decision; the same seed decides the same again.
        prefix: of the API; a request's path is matched by what comes behind it.
        now: the clock of `RateLimit`, in seconds.

    Attributes:
        rules: what holds now, in the order in which it was laid; empty when there is nothing to ask.
    """

    carries = HttpFault

    def __init__(
        self, name: str = "http", seed: int = 0, prefix: str = "/api", now: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.seed = seed
        self.rules: tuple[HttpRule, ...] = ()
        self.now = now
        self._prefix = prefix.rstrip("/") + "/"
        self._installed = 0
        self._lock = threading.Lock()

    @contextmanager
    def fault(self, fault: HttpFault, *, may_not_fire: bool = False) -> Iterator[HeldHttpFault]:
        """Hold `fault` for the length of the ``with``.

        Args:
            fault: what shall go wrong.
            may_not_fire: allow that no request was hit.

        Raises:
            FaultNeverFired: it held and never acted.
        """
        with self._lock:
            self._installed += 1
            rule = HttpRule(fault, f"{self.name}/{self._installed}:{fault.kind}", self.seed)
            self.rules = (*self.rules, rule)
        try:
            yield HeldHttpFault(rule)
        finally:
            with self._lock:
                self.rules = tuple(each for each in self.rules if each is not rule)
        if not rule.fired and not may_not_fire:
            raise FaultNeverFired(_never_fired(rule))

    def hits(self, method: str, path: str, idempotency_key: str | None) -> list[Hit]:
        """The faults that hit this request, in the order in which they were laid."""
        if path.startswith(self._prefix):
            path = path[len(self._prefix) - 1 :]
        found = (rule.hit(method, path, idempotency_key) for rule in self.rules)
        return [hit for hit in found if hit is not None]

    def refusal(self, hit: Hit) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body with which this hit refuses the request; None where it lets it go further.

        The body is a problem with the code ``injected_fault``, so that nobody takes it for the platform's own.
        """
        fault = hit.rule.fault
        if isinstance(fault, Abort):
            status, wait = fault.status, None if fault.retry_after is None else fault.retry_after / SECOND
        elif isinstance(fault, RateLimit) and (free_in := hit.rule.wait_at(self.now())) is not None:
            status, wait = HTTPStatus.TOO_MANY_REQUESTS.value, free_in
        else:
            return None
        hit.fired()
        problem = {"type": "about:blank", "title": _phrase(status), "status": status, "code": "injected_fault"}
        body = json.dumps({**problem, "detail": hit.rule.fault_id}).encode()
        headers = {"content-type": "application/problem+json", "content-length": str(len(body))}
        if wait is not None:
            headers["retry-after"] = str(math.ceil(wait))
        return status, headers, body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # a status that no standard names
        return "Injected fault"


def _never_fired(rule: HttpRule) -> str:
    met = len(rule.journal())
    why = (
        f"{met} requests matched, and none was hit. Send more, or raise its probability"
        if met
        else f"no request matched {rule.fault.match!r}. Send one while it holds, or correct the pattern"
    )
    return f"{rule.fault_id} ({rule.fault.describe()}) never fired: {why}, or allow it with may_not_fire=True."
