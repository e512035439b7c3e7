"""A platform as an installation of several instances behind one address, on servers that a drill owns.

All instances serve one listening socket, which we open and they inherit. So one of them may end without taking along a
connection that waits, as behind a balancer that knows its trade.
"""

from __future__ import annotations

import contextlib
import os
import resource
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx

from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.errors import NotOffered, TargetFailed
from pytest_smartattend.injectors.processes import children_of
from pytest_smartattend.target.adapter import REFERENCE, Adapter, fill, read
from pytest_smartattend.target.client import TIMEOUT, Operation, trusted
from pytest_smartattend.target.command_process import CommandProcess, handed_on
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.seed import Seeder
from pytest_smartattend.target.tokens import SecretSigner

START_DEADLINE = 60.0
#: seconds that an instance may take to drain
STOP_DEADLINE = 40.0
#: milliseconds for which a database that hangs is believed to be slow
_SILENCE = 500
#: seconds between two looks at whether one has ended
_LOOK = 0.05


@dataclass(frozen=True)
class Startup:
    """How one instance is started.

    Attributes:
        words: the program and its arguments.
        adapter: which has ``[instances]``.
        folder: where it runs.
    """

    words: Sequence[str]
    adapter: Adapter
    folder: Path


def of_the_reference(sabotage: str = "") -> Startup:
    """The reference platform's, with a planted defect or none."""
    module = ["pytest_smartattend.target.sabotaged", sabotage] if sabotage else ["pytest_smartattend.reference.serve"]
    return Startup([sys.executable, "-m", *module], read("reference", REFERENCE.parent), REFERENCE.parent)


class Instance:
    """One instance: a process of its own with its workers, pools and log.

    Attributes:
        name: also the ``application_name`` of its connections.
    """

    def __init__(self, name: str, process: CommandProcess, ready: Path) -> None:
        self.name = name
        self._process = process
        self._ready = ready

    @property
    def pid(self) -> int:
        """Of its master process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.ended()

    @property
    def ready(self) -> bool:
        """Whether it has answered.

        Raises:
            TargetFailed: it ended before; carries the end of its log.
        """
        if not self.running:
            raise TargetFailed(f"{self.name} ended with status {self.status} before it answered.\n{self.log_tail()}")
        return self._ready.exists() and self._ready.read_text().endswith("\n")

    def look(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        self._process.ended(seconds)

    def family(self) -> list[int]:
        """The process ids of its master and workers."""
        return [self.pid, *children_of(self.pid)]

    def accepts(self, listening: int) -> bool:
        """Whether one of its processes still has the socket with this inode open.

        Raises:
            NotOffered: this system does not tell.
        """
        if sys.platform != "linux":
            raise NotOffered("a look at who has a socket open, for which this system is no Linux")
        word = f"socket:[{listening}]"
        for pid in self.family():
            with contextlib.suppress(OSError):  # it has ended
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(descriptor.readlink()) == word:
                            return True
        return False

    def terminate(self) -> None:
        """Ask it to drain and end."""
        if self.running:
            os.kill(self.pid, signal.SIGTERM)

    def await_end(self, patience: float = STOP_DEADLINE) -> int:
        """Its exit status, once it has ended."""
        deadline = time.monotonic() + patience
        while (status := self._process.ended(_LOOK)) is None:
            if time.monotonic() > deadline:
                raise TargetFailed(
                    f"{self.name} was asked to end and did not within {patience:g} s.\n{self.log_tail()}\n"
                    "What does it wait for?"
                )
        return status

    def kill(self) -> list[int]:
        """End it and its workers at once. Returns who they were; harmless where it has ended."""
        family = self.family() if self.running else []
        self._process.kill()
        return family

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Have it stand still for the time of a ``with``."""
        os.killpg(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.pid, signal.SIGCONT)

    def log_tail(self, lines: int = 40) -> str:
        """The end of what it printed."""
        return self._process.output.tail(lines)


class Installation:
    """Several instances of a platform behind one address, for the time of a ``with``.

    Args:
        startup: how one is started.
        database: a libpq URL, as ``smartattend_app``.
        incidents: the same of the incident store.
        owner: the same of the database, as a superuser, to seed by.
        folder: for its files; does not exist yet, and is gone afterwards.
        instances: how many are started.
        webhook: is told of alerts; empty for none.

    Attributes:
        base_url: where it answers, without ``/api``.
        spool: the folder where reports wait.
        instances: all that were started, also those that have ended.
        silence: how long its health check waits for a database that hangs, before it calls it lost.
    """

    silence = _SILENCE * MILLISECOND

    def __init__(
        self,
        startup: Startup,
        database: str,
        incidents: str,
        owner: str,
        folder: Path,
        *,
        instances: int = 2,
        webhook: str = "",
    ) -> None:
        self.instances: list[Instance] = []
        self.spool = folder / "spool"
        self._startup = startup
        self._stores = {"DATABASE_URL": database, "INCIDENTS_DATABASE_URL": incidents}
        self._owner = owner
        self._folder = folder
        self._wanted = instances
        self._webhook = webhook
        self._secret = secrets.token_hex(32)
        self._made = 0
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder.parent.mkdir(exist_ok=True)
            self._folder.mkdir()  # without what lies above: a run that was killed has lost it, and keeps it lost
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1024))
            self.base_url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
            stack.callback(self._end)
            self._http = stack.enter_context(httpx.Client(base_url=self.base_url, timeout=TIMEOUT, verify=trusted()))
            seeder = self._seeder = Seeder(self._owner)
            stack.callback(seeder.close)
            for _ in range(self._wanted):
                self.begin()
            for instance in self.instances:
                self.await_ready(instance)
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    @property
    def listening(self) -> int:
        """The inode of the listening socket, by which it is told whether an instance still accepts."""
        return os.fstat(self._listening.fileno()).st_ino

    def begin(self) -> Instance:
        """Start one more instance, without waiting for it."""
        self._made += 1
        name = f"instance-{self._made}"
        ready = self._folder / f"{name}.ready"
        startup, listening = self._startup, self._listening.fileno()
        process = CommandProcess(startup.words, self._environment(name, ready), startup.folder, [listening])
        made = Instance(name, process, ready)
        self.instances.append(made)
        return made

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """For the time of a ``with`` no file of what runs grows beyond its spool as it is. Linux only."""
        assert sys.platform == "linux"
        pids = [pid for instance in self.instances if instance.running for pid in instance.family()]
        grown = min(path.stat().st_size for path in self.spool.glob("*.spool"))
        before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids}
        try:
            for pid, (_, most) in before.items():
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (grown, most))
            yield
        finally:
            for pid, limits in before.items():
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    def _environment(self, name: str, ready: Path) -> Mapping[str, str]:
        adapter = self._startup.adapter
        assert adapter.instances is not None
        scratch = self._folder / name
        scratch.mkdir()
        urls = {variable: f"{dsn}&application_name={name}" for variable, dsn in self._stores.items()}
        values = {
            "port": "0",
            **{variable.lower(): url for variable, url in urls.items()},
            "secret": self._secret,
            "workers": "1",
            "folder": str(self._startup.folder),
            "scratch": str(scratch),
            "adapter_folder": str(adapter.folder),
            "clock_door": "",
            "export_key": self._secret,
            "listen_fd": str(self._listening.fileno()),
            "ready_file": str(ready),
            "spool": str(self.spool),
            "webhook": self._webhook,
            "silence_ms": str(_SILENCE),
        }
        given = {**adapter.start.environment, **adapter.instances.environment}
        return {
            **handed_on(adapter.start.keep),
            **urls,
            "PORT": "0",
            **{variable: fill(text, values) for variable, text in given.items()},
        }

    def await_ready(self, instance: Instance) -> None:
        """Wait until it answers.

        Raises:
            TargetFailed: it ended, or does not.
        """
        deadline = time.monotonic() + START_DEADLINE
        while not instance.ready:
            if time.monotonic() > deadline:
                raise TargetFailed(
                    f"{instance.name} did not answer within {START_DEADLINE:g} s.\n{instance.log_tail()}"
                )
            instance.look(0.005)

    def seed(self, kind: str, record: Callable[[Operation], None] = lambda _: None) -> Tenant:
        """A new tenant with one person of each role."""
        tenant_id, accounts, roster = self._seeder.tenant(kind)
        tokens = self._startup.adapter.tokens
        secret = fill(tokens.secret, {"secret": self._secret})
        signer = SecretSigner(secret, lambda: datetime.now(UTC), tokens.claims)  # noqa: TID251 - its clock is the wall's
        return Tenant(tenant_id, kind, accounts, roster, signer, self._http, record)

    def _end(self) -> None:
        for instance in self.instances:
            instance.kill()
