"""The locustfile of `locust_storm`: the master hands out the plan, workers send it and tell what became of it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter, deque
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import gevent
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from pytest_smartattend.engine.history import Outcome
from pytest_smartattend.trials.answers import Raw
from pytest_smartattend.trials.locust_master import OPERATIONS, PLAN
from pytest_smartattend.trials.operations import id_in
from pytest_smartattend.trials.retries import Retries
from pytest_smartattend.trials.wire import Reply, outcome_of_reply

#: requests in one message
_BATCH = 200
#: a worker's processes are numbered from its own thousand
_USERS = 1_000


class _Share:
    """What falls to this worker, and what it has done of it."""

    def __init__(self) -> None:
        self.queue: deque[dict[str, Any]] = deque()
        self.retries = Retries()
        self.seed = 0
        self.left = 0
        self.told: list[dict[str, Any]] = []
        self.runner: WorkerRunner | None = None
        self.users = count()
        # one steady clock, laid on the wall's so that workers' moments can be compared
        self.anchor = time.time_ns() - time.perf_counter_ns()

    def take(self, environment: Environment, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's names
        """Take in a part of the plan."""
        rules = msg.data["retries"]
        self.seed = rules["seed"]
        self.retries = Retries(
            rules["attempts"],
            timedelta(seconds=rules["first"]),
            timedelta(seconds=rules["longest"]),
            frozenset(rules["statuses"]),
        )
        self.queue.extend(msg.data["requests"])
        self.left = msg.data["share"]  # all parts come before the users do

    def now(self) -> int:
        """Nanoseconds."""
        return time.perf_counter_ns() + self.anchor

    def tell(self, entry: dict[str, Any]) -> None:
        """Keep what became of an operation, and send it with others."""
        self.told.append(entry)
        self.left -= 1
        if self.runner is not None and (len(self.told) >= _BATCH or not self.left):
            batch, self.told = self.told, []
            self.runner.send_message("smartattend-operations", {"operations": batch, "left": self.left})


SHARE = _Share()


@events.init.add_listener
def _begin(environment: Environment, **_: object) -> None:
    runner = environment.runner
    if isinstance(runner, WorkerRunner):
        SHARE.runner = runner
        runner.register_message("smartattend-plan", SHARE.take)
    elif isinstance(runner, MasterRunner):
        _Master(runner)


class _Master:
    """Hands out the plan when the test begins, and ends it when all have told everything."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._waited_for: set[str] = set()
        self._file = Path(os.environ[OPERATIONS])
        runner.register_message("smartattend-operations", self._take)
        runner.environment.events.test_start.add_listener(self._hand_out)

    def _hand_out(self, **_: object) -> None:
        plan = json.loads(Path(os.environ[PLAN]).read_text())
        requests = [{**request, "place": place} for place, request in enumerate(plan["requests"])]
        clients = [client.id for client in self._runner.clients.ready]
        for number, client in enumerate(clients):
            share = requests[number :: len(clients)]
            if share:
                self._waited_for.add(client)
            for first in range(0, len(share), _BATCH):
                part = {
                    "retries": plan["retries"],
                    "share": len(share),
                    "requests": share[first : first + _BATCH],
                }
                self._runner.send_message("smartattend-plan", part, client_id=client)

    def _take(self, environment: Environment, msg: Any, **_: object) -> None:  # noqa: ANN401 - Locust's names
        with self._file.open("a") as file:
            file.writelines(json.dumps(entry) + "\n" for entry in msg.data["operations"])
        if not msg.data["left"]:
            self._waited_for.discard(msg.node_id)
            if not self._waited_for:
                gevent.spawn(self._runner.quit)


class Sender(FastHttpUser):
    """Sends one request after the other until none is left."""

    wait_time = constant(0)
    connection_timeout = network_timeout = 15.0

    def on_start(self) -> None:
        """Take a number."""
        index = SHARE.runner.worker_index if SHARE.runner is not None else 0
        self.process = index * _USERS + next(SHARE.users)

    @task
    def send(self) -> None:
        """Carry one operation through all its retries."""
        if not SHARE.queue:
            raise StopUser
        request = SHARE.queue.popleft()
        key = request["key"] or request["path"]
        replies: Counter[str] = Counter()
        begin, attempt, outcome, result = SHARE.now(), 1, "failed", None
        while True:
            reply = self._attempt(request)
            replies[reply.fate if reply.raw is None else str(reply.raw.status)] += 1
            seen: Outcome = outcome_of_reply(request["method"], reply)
            if seen == "ok" and reply.raw is not None:
                outcome, result = "ok", id_in(reply.raw)
                break
            # once an attempt is in doubt, no later refusal can say that nothing was done
            outcome = "unknown" if "unknown" in {outcome, seen} else "failed"
            if not SHARE.retries.again(attempt, reply):
                break
            gevent.sleep(SHARE.retries.pause(SHARE.seed, f"{key} {request['place']}", attempt, reply))
            attempt += 1
        SHARE.tell(
            {
                "place": request["place"],
                "process": self.process,
                "outcome": outcome,
                "result": result,
                "begin": begin,
                "end": SHARE.now(),
                "replies": dict(replies),
            }
        )

    def _attempt(self, request: dict[str, Any]) -> Reply:
        headers = dict(request["headers"])
        if request["token"]:
            headers["Authorization"] = f"Bearer {request['token']}"
        if request["idempotency_key"] is not None:
            headers["Idempotency-Key"] = request["idempotency_key"]
        body = None
        if request["body"] is not None:
            body = json.dumps(request["body"]).encode()
            headers["Content-Type"] = "application/json"
        with self.client.request(
            request["method"],
            f"/api{request['path']}",
            data=body,
            headers=headers,
            name=f"{request['method']} {request['path']}",
            allow_redirects=False,
            catch_response=True,
        ) as answer:
            if not answer.status_code:
                return Reply("unsent" if isinstance(answer.error, ConnectionRefusedError) else "lost")
            content = answer.content or b""
            lines = [f"HTTP/1.1 {answer.status_code}", *(f"{name}: {value}" for name, value in answer.headers.items())]
            if answer.status_code < 500:  # a refusal is an answer; the checkers say what it is worth
                answer.success()
            return Reply("answered", Raw(answer.status_code, "\r\n".join(lines).encode("latin-1"), content, keeps=True))
