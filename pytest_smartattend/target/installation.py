"""The reference platform as an installation of several instances behind one address, on servers that a drill owns.

All instances serve one listening socket, which we open and they inherit. So one of them may end without taking along a
connection that waits, as behind a balancer that knows its trade.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import httpx

from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.errors import TargetFailed
from pytest_smartattend.target.client import TIMEOUT, Operation, trusted
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.target.seed import Seeder
from pytest_smartattend.target.tokens import SecretSigner

START_DEADLINE = 60.0
#: seconds that an instance may take to drain
STOP_DEADLINE = 40.0
#: short enough that a drill need not wait for what it does not look at
_PACE = {"DB_DEADLINE_MS": "5000", "DRAIN_IDLE_MS": "3000", "DB_POOL_SIZE": "4"}
#: milliseconds for which a database that hangs is believed to be slow
_SILENCE = 500


class Instance:
    """One instance: a process of its own with its workers, pools and log.

    Attributes:
        name: also the ``application_name`` of its connections.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.name = name
        self._process = process
        self._folder = folder

    @property
    def pid(self) -> int:
        """Of its master process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self._process.poll()

    @property
    def ready(self) -> bool:
        """Whether it has answered.

        Raises:
            TargetFailed: it ended before; carries the end of its log.
        """
        if not self.running:
            raise TargetFailed(f"{self.name} ended with status {self.status} before it answered.\n{self.log_tail()}")
        ready = self._folder / f"{self.name}.ready"
        return ready.exists() and ready.read_text().endswith("\n")

    def look(self, seconds: float) -> None:
        """Wait for its end, at most so long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def family(self) -> list[int]:
        """The process ids of its master and workers."""
        with contextlib.suppress(OSError):
            told = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
            return [self.pid, *map(int, told.split())]
        return [self.pid]

    def accepts(self, listening: int) -> bool:
        """Whether one of its processes still has the socket with this inode open."""
        word = f"socket:[{listening}]"
        for pid in self.family():
            with contextlib.suppress(OSError):
                for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if str(descriptor.readlink()) == word:
                            return True
        return False

    def terminate(self) -> None:
        """Ask it to drain and end."""
        self._process.terminate()

    def await_end(self, patience: float = STOP_DEADLINE) -> int:
        """Its exit status, once it has ended."""
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired as problem:
            raise TargetFailed(
                f"{self.name} was asked to end and did not within {patience:g} s.\n{self.log_tail()}\n"
                "What does it wait for?"
            ) from problem

    def kill(self) -> list[int]:
        """End it and its workers at once. Returns who they were; harmless where it has ended."""
        family = self.family() if self.running else []
        if family:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
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
        log = self._folder / f"{self.name}.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(it printed nothing)"


class Installation:
    """Several instances of the reference platform behind one address, for the time of a ``with``.

    Args:
        database: a libpq URL, as ``smartattend_app``.
        incidents: the same of the incident store.
        owner: the same of the database, as a superuser, to seed by.
        folder: for its files; does not exist yet, and is gone afterwards.
        instances: how many are started.
        workers: processes of each.
        webhook: is told of alerts; empty for none.
        sabotage: the name of a planted defect, or empty.

    Attributes:
        base_url: where it answers, without ``/api``.
        spool: the folder where reports wait.
        instances: all that were started, also those that have ended.
        silence: how long its health check waits for a database that hangs, before it calls it lost.
    """

    silence = _SILENCE * MILLISECOND

    def __init__(
        self,
        database: str,
        incidents: str,
        owner: str,
        folder: Path,
        *,
        instances: int = 2,
        workers: int = 1,
        webhook: str = "",
        sabotage: str = "",
    ) -> None:
        self.instances: list[Instance] = []
        self.spool = folder / "spool"
        self._stores = {"DATABASE_URL": database, "INCIDENTS_DATABASE_URL": incidents}
        self._owner = owner
        self._folder = folder
        self._wanted = instances
        self._given = {"WORKERS": str(workers), "SPOOL_FOLDER": str(self.spool), "ALERT_WEBHOOK_URL": webhook, **_PACE}
        self._given["HEALTH_DEADLINE_MS"] = str(_SILENCE)
        self._sabotage = sabotage
        self._secret = secrets.token_hex(32)
        self._made = 0
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder.mkdir(parents=True)
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
        module = (
            ["pytest_smartattend.target.sabotaged", self._sabotage]
            if self._sabotage
            else ["pytest_smartattend.reference.serve"]
        )
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                env=self._environment(name),
                stdin=subprocess.PIPE,  # its end is the instance's end, however we end
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[self._listening.fileno()],
            )
        made = Instance(name, process, self._folder)
        self.instances.append(made)
        return made

    def _environment(self, name: str) -> Mapping[str, str]:
        kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV")
        return {
            **{variable: os.environ[variable] for variable in kept if variable in os.environ},
            **{variable: f"{dsn}&application_name={name}" for variable, dsn in self._stores.items()},
            **self._given,
            "LISTEN_FD": str(self._listening.fileno()),
            "TOKEN_SECRET": self._secret,
            "SMARTATTEND_READY_FILE": str(self._folder / f"{name}.ready"),
            "STOP_WITH_STDIN": "1",
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
        signer = SecretSigner(self._secret, lambda: datetime.now(UTC))  # noqa: TID251 - served: its clock is the wall's
        return Tenant(tenant_id, kind, accounts, roster, signer, self._http, record)

    def _end(self) -> None:
        for instance in self.instances:
            instance.kill()
