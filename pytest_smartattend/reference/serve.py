"""``python -m pytest_smartattend.reference.serve``: the platform, served by worker processes.

Configured by the environment: ``settings.Settings`` reads its part; here ``PORT`` (0: the system chooses), ``WORKERS``,
``SMARTATTEND_READY_FILE`` (a file or FIFO that gets one line of JSON, ``{"host", "port", "pid"}``, when the first worker
answers) and ``STOP_WITH_STDIN`` (1: the end of standard input is the end of the platform, so that none outlives whoever
started it). SIGTERM drains: see `Draining`. With ``LISTEN_FD`` it serves on a listening socket that it inherits under that
number, in place of ``PORT``: several instances share one address so, and none of them takes a waiting connection along
when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from fastapi import FastAPI
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from uvicorn import Config, Server
from uvicorn_worker import UvicornWorker

from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.settings import Settings, SettingsError, number

HOST = "127.0.0.1"
#: seconds that requests under way get to finish after SIGTERM
DRAIN_SECONDS = 30
_PR_SET_PDEATHSIG = 1
_ENDINGS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def default_app() -> FastAPI:
    """The platform as the environment configures it."""
    return create_app(Settings.from_environment(os.environ))


def serve(app_factory: Callable[[], Any] = default_app) -> None:
    """Serve until SIGTERM, then leave the process.

    Args:
        app_factory: makes the ASGI application; called once, before the workers are forked.
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(levelname)s %(message)s")
    try:
        server = _Server(app_factory, os.environ)
    except SettingsError as problem:
        sys.exit(f"smartattend: {problem}")
    if os.environ.get("STOP_WITH_STDIN") == "1":
        threading.Thread(target=_stop_with_stdin, name="stdin", daemon=True).start()
    server.run()


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn with its settings from here instead of from its command line."""

    def __init__(self, app_factory: Callable[[], Any], environment: Mapping[str, str]) -> None:
        port = number(environment, "PORT", 8000, least=0, most=65535)
        self._workers = number(environment, "WORKERS", 2, most=64)
        inherited = number(environment, "LISTEN_FD", 0, least=0, most=65535)
        self._bind = f"fd://{inherited}" if inherited else f"{HOST}:{port}"
        self._app_factory = app_factory
        self._ready = _Announcement(environment.get("SMARTATTEND_READY_FILE", ""))
        super().__init__()
        # here, not in the arbiter: a wrong setting is then told in one line, not in a traceback of a worker
        self.callable = app_factory()

    def load_config(self) -> None:
        """Hand our settings to gunicorn."""
        settings: dict[str, Any] = {
            "bind": self._bind,
            "workers": self._workers,
            "worker_class": Worker,
            "preload_app": True,
            "graceful_timeout": DRAIN_SECONDS,
            "keepalive": 5,
            "loglevel": "warning",
            "proc_name": "smartattend",
            "control_socket_disable": True,
            "post_fork": lambda arbiter, _worker: _begin_as_worker(arbiter.pid),
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # control sockets came with gunicorn 25
                self.cfg.set(name, value)
        self.cfg.smartattend_ready = self._ready

    def load(self) -> Any:  # noqa: ANN401 - any ASGI application
        """The application."""
        return self.callable

    def run(self) -> None:
        """Serve until a signal ends it."""
        _Master(self).run()


class _Master(Arbiter):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's master, whose workers hear a signal to end also while they are being made.

    A new process has its master's handlers until it has set its own. They put a signal in a queue that only a master
    reads: the worker would go on, and be waited for until it is killed.
    """

    def spawn_worker(self) -> Any:  # noqa: ANN401
        """Make a worker, which lets the signals come when it has left the master's handlers behind."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDINGS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Draining(Server):
    """uvicorn's server, which ends without cutting anybody off.

    It stops accepting and keeps the connections that it has: uvicorn itself would close those that idle at this moment,
    under the request that is already on its way. Each answer from now on asks its client to close. Who keeps a connection
    without using it is waited for, for `patience`; what is under way after that still finishes.

    Args:
        config: uvicorn's.
        patience: how long idle connections are waited for.
    """

    def __init__(self, config: Config, patience: timedelta) -> None:
        super().__init__(config)
        self._patience = patience.total_seconds()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then end as uvicorn does."""
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        self.server_state.default_headers.append((b"connection", b"close"))
        ends = asyncio.get_running_loop().time() + self._patience
        await asyncio.sleep(0)  # what was accepted just now becomes a connection
        while self.server_state.connections and asyncio.get_running_loop().time() < ends:  # noqa: ASYNC110 - as uvicorn
            await asyncio.sleep(0.005)
        await super().shutdown()


class Worker(UvicornWorker):  # type: ignore[misc] # uvicorn-worker has no types
    """One worker process. uvicorn calls `callback_notify` as soon as it serves, and then every second."""

    CONFIG_KWARGS: dict[str, Any] = {  # noqa: RUF012 - as the class above declares it
        "loop": "uvloop",
        "lifespan": "on",
        "access_log": False,
        "server_header": False,
        "timeout_notify": 1,
    }

    async def _serve(self) -> None:
        self.config.app = self.wsgi
        server = Draining(self.config, self.wsgi.state.platform.drain_idle)
        self._install_sigquit_handler()
        await server.serve(sockets=self.sockets)
        if not server.started:
            sys.exit(Arbiter.WORKER_BOOT_ERROR)

    async def callback_notify(self) -> None:
        """Tell gunicorn that we live, and whoever waits that we serve; go if the master has gone."""
        await super().callback_notify()
        self.cfg.smartattend_ready.make(self.sockets[0].getsockname(), self.ppid)
        if os.getppid() != self.ppid:  # where no signal tells of the master's death
            os.kill(os.getpid(), signal.SIGTERM)


class _Announcement:
    """One line that says where the platform answers, written by whichever worker serves first."""

    def __init__(self, file: str) -> None:
        self._file = file
        # One byte in a pipe that all workers share: who takes it writes the line.
        self._token, give = os.pipe()
        os.set_blocking(self._token, False)
        os.write(give, b"x")
        os.close(give)

    def make(self, address: tuple[str, int], pid: int) -> None:
        if not self._file:
            return
        file, self._file = self._file, ""
        if os.read(self._token, 1):
            line = json.dumps({"host": address[0], "port": address[1], "pid": pid}) + "\n"
            with open(file, "ab", buffering=0) as ready:  # noqa: PTH123 - also a FIFO or /dev/fd/N
                ready.write(line.encode())


def _begin_as_worker(master: int) -> None:
    """What a new worker does first."""
    for ending in _ENDINGS:
        signal.signal(ending, signal.SIG_DFL)  # until uvicorn sets its own there is nothing to finish
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDINGS)
    _die_with_master(master)


def _die_with_master(master: int) -> None:
    """Let the kernel end this worker when the master is killed; Linux only, elsewhere `callback_notify` sees to it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != master:  # it died in between
        os._exit(1)


def _stop_with_stdin() -> None:
    with contextlib.suppress(OSError):  # there is none: that is its end as well
        while os.read(0, 1024):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    serve()
