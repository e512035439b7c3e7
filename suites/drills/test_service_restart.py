"""Drill 2: every instance is replaced under load, and no request fails, whatever state its connection was in."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest

from pytest_smartattend import Drill, Drills, Evidence, Installation, Instance, Node, Probe, Tenant

LONG = timedelta(seconds=30)
DATABASE = "smartattend"
ASK = b"GET /api/time/sync HTTP/1.1\r\nHost: drill\r\n\r\n"
BODY = b'{"client_time": "2026-03-02T08:00:00+00:00"}'
#: connections in each state, all to the instance that is about to be replaced
EACH = 3
#: seconds that a long request takes to finish after its instance was asked to end: longer than idle connections are waited for
LASTING = 7.0


class Held:
    """Connections to one instance: kept after an answer, accepted and not yet used, in the middle of a request."""

    def __init__(self, installation: Installation, instance: Instance, stack: ExitStack) -> None:
        address = urlsplit(installation.base_url)
        assert address.hostname is not None
        assert address.port is not None
        self._address = (address.hostname, address.port)
        with ExitStack() as paused:
            for other in installation.instances:
                if other is not instance and other.running:
                    paused.enter_context(other.paused())  # so that it is this one that accepts
            self.kept, self.fresh, self.begun = (
                [stack.enter_context(socket.create_connection(self._address, 30)) for _ in range(EACH)]
                for _ in range(3)
            )
            self.long = stack.enter_context(socket.create_connection(self._address, 30))
            for connection in self.kept:
                connection.sendall(ASK)
                assert answer_on(connection).startswith(b"HTTP/1.1 200")
            for connection in [*self.begun, self.long]:
                head = "POST /api/time/validate HTTP/1.1\r\nHost: drill\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\n\r\n".encode())
                assert connection.recv(64).startswith(b"HTTP/1.1 100")

    def finish(self) -> dict[str, int]:
        """Finish what was begun. Returns how many were answered."""
        for connection in self.begun:
            connection.sendall(BODY)
        return {"in flight": sum(answer_on(one).startswith(b"HTTP/1.1 200") for one in self.begun)}

    def finish_long(self, at: float) -> dict[str, str] | None:
        """Finish the request that takes its time, once it is `at` by `time.monotonic`. Returns how it was answered."""
        if time.monotonic() < at:
            return None
        self.long.sendall(BODY)
        answer = answer_on(self.long)
        return {"answer": answer[:12].decode()} if answer.startswith(b"HTTP/1.1 200") else None

    def use(self) -> dict[str, int]:
        """Send a request on each of the others. Returns how many were answered, and asked to close."""
        found = {}
        for name, connections in (("accepted, unread", self.fresh), ("kept alive", self.kept)):
            answers = [ask(connection) for connection in connections]
            found[name] = sum(answer.startswith(b"HTTP/1.1 200") for answer in answers)
            found[f"{name}, asked to close"] = sum(b"\r\nconnection: close" in answer.lower() for answer in answers)
        return found


def ask(connection: socket.socket) -> bytes:
    try:
        connection.sendall(ASK)
        return answer_on(connection)
    except OSError:
        return b""


def answer_on(connection: socket.socket) -> bytes:
    """One whole answer; empty where the connection was closed on us."""
    said = b""
    try:
        while b"\r\n\r\n" not in said:
            if not (part := connection.recv(4096)):
                return b""
            said += part
        head, _, body = said.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        while len(body) < length and (part := connection.recv(4096)):
            body += part
    except OSError:
        return b""
    return head


class Restart:
    """One drill: replaces the instances of an installation, one after the other."""

    def __init__(self, installation: Installation, tenant: Tenant, node: Node, drill: Drill, probe: Probe) -> None:
        self.installation = installation
        self.tenant = tenant
        self.node = node
        self.drill = drill
        self.probe = probe

    def replace(self, old: Instance, lasting: float = 0.0) -> None:
        """Steps 2 to 7 for one instance, which has a request in flight that takes `lasting` seconds to finish."""
        new = self.installation.begin()
        self.step("replacement ready", "harness", lambda: {"pid": new.pid, "name": new.name} if new.ready else None)
        with ExitStack() as stack:
            held = Held(self.installation, old, stack)
            old.terminate()
            ends = time.monotonic() + lasting
            self.step("old instance stopped accepting", "platform", lambda: self.closed(old))
            answered: dict[str, int] = {}
            self.drill.step(
                "requests in flight and accepted finished",
                actor="platform",
                action=lambda: answered.update(held.finish()),
                until=lambda: answered if answered["in flight"] == EACH else None,
                within=LONG,
            )
            self.drill.step(
                "kept-alive connections drained",
                actor="platform",
                action=lambda: answered.update(held.use()),
                until=lambda: answered if set(answered.values()) == {EACH} else None,
                within=timedelta(seconds=5),
            )
            self.step("long request finished", "platform", lambda: held.finish_long(ends))
        self.step("pools closed", "platform", lambda: self.gone(old))

    def step(
        self, what: str, actor: Literal["platform", "harness"], until: Callable[[], dict[str, Any] | None]
    ) -> None:
        """One step that only waits."""
        self.drill.step(what, actor=actor, until=until, within=LONG)

    def closed(self, old: Instance) -> dict[str, Any] | None:
        """Whether none of its processes has the listening socket any more."""
        accepting = old.accepts(self.installation.listening)
        return None if accepting else {"pid": old.pid, "name": old.name}

    def gone(self, old: Instance) -> dict[str, Any] | None:
        """Whether the old one has ended, well, and left no connection to the database."""
        left = self.node.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [old.name])[0][0]
        if old.running or left:
            return None
        return {"exit status": old.status, "connections": left} if old.status == 0 else None


def a_platform(drills: Drills, stack: ExitStack, *, instances: int, sabotage: str = "") -> tuple[Node, Installation]:
    site = drills.site()
    node = drills.primary(site)
    app, owner = (site.dsn(DATABASE, user=user) for user in ("smartattend_app", "postgres"))
    return node, stack.enter_context(drills.serve(app, owner, instances=instances, sabotage=sabotage))


@pytest.mark.drill("drills/service-restart")
@pytest.mark.detects(
    "kept-connections-dropped", "long-requests-cut", "nobody-asked-to-close", "sessions-of-the-instance"
)
def test_every_instance_is_replaced_and_no_request_fails(
    _smartattend_reference_drill: Drills, _smartattend_evidence: Evidence
) -> None:
    drills = _smartattend_reference_drill
    drills.only_linux("a look at who has a socket open")
    with ExitStack() as stack:
        node, installation = a_platform(drills, stack, instances=2)
        tenant = installation.seed("school")
        before = {pid for instance in installation.instances for pid in instance.family()}
        accepting = [instance.accepts(installation.listening) for instance in installation.instances]
        _smartattend_evidence.expect("instances that are seen to accept", accepting, [True, True])
        drill = stack.enter_context(drills("service-restart"))
        kept = stack.enter_context(drills.over_the_api(tenant, name="kept-"))
        new = stack.enter_context(drills.over_the_api(tenant, keep=False, name="new-"))

        def write(count: int) -> None:
            for probe in (kept, new):
                probe.await_acknowledged(count)

        drill.step("baseline", actor="harness", action=lambda: write(30), until=lambda: {"pids": sorted(before)}, within=LONG)  # fmt: skip
        restart = Restart(installation, tenant, node, drill, kept)
        begun = drill.steps[-1].end
        first, second = installation.instances
        restart.replace(first, LASTING)
        restart.replace(second)
        write(30)

        def every_one_new() -> dict[str, Any] | None:
            now = {pid for instance in installation.instances if instance.running for pid in instance.family()}
            valid = tenant.staff.call("GET", "/auth/me").ok
            return {"pids": sorted(now)} if valid and not before & now else None

        drill.step("every instance new, sessions valid", actor="platform", until=every_one_new, within=timedelta(seconds=5))  # fmt: skip
        kept.end()
        new.end()
        drills.settle(drill, node, tenant, kept, new)
        stored = drills.reported(node, tenant)
        recovery = drill.cost(kept, stored, begun)
        all_served(_smartattend_evidence, kept, new)
        _smartattend_evidence.expect(
            "acknowledged and gone", (recovery.lost, new.recovery(stored, begun).lost), ((), ())
        )
    stock_server(drills)


def all_served(evidence: Evidence, kept: Probe, new: Probe) -> None:
    """No request of either probe failed, and none was left without an answer."""
    outcomes = [operation.outcome for probe in (kept, new) for operation in probe.history]
    failed = len(outcomes) - outcomes.count("ok")
    evidence.note(f"The probes met: {kept.notes | new.notes or 'nothing but answers'}")
    evidence.measure("requests during service-restart", len(outcomes), "requests")
    evidence.measure("failed requests of service-restart", failed, "requests", 0, objective=True)
    evidence.expect("requests that failed", failed, 0)


def stock_server(drills: Drills) -> None:
    """A control: a server that stops as it comes out of the box closes what idles."""
    with ExitStack() as stack:
        control = stack.enter_context(drills("control: stock server without drain"))
        _, installation = a_platform(drills, stack, instances=1, sabotage="kept-connections-dropped")
        (instance,) = installation.instances
        held = Held(installation, instance, stack)
        instance.terminate()
        control.step(
            "instance stopped accepting",
            actor="harness",
            until=lambda: None if instance.accepts(installation.listening) else {"pid": instance.pid},
            within=LONG,
        )
        # what is in flight holds up the end; what idles was closed before it
        control.step("request in flight finished", actor="platform", until=held.finish, within=LONG)
        control.must_count("requests on kept connections failed", EACH - held.use()["kept alive"], 1)
