"""One throwaway cluster: made, started, stopped. Durability is off; see `SETTINGS`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import ServerFailed
from pytest_smartattend.postgres import keeper
from pytest_smartattend.postgres.binaries import Binaries
from pytest_smartattend.postgres.identity import Identity

SUPERUSER = "postgres"
PORT = 5432  # names the socket's file; no TCP port is opened
_DEADLINE = 120.0  # seconds; a start takes some 20 ms, a loaded machine may take a thousand times that

#: What a server needs whose data is thrown away. Medians of each are in the benchmarks; the large ones are the first
#: three (on disk), io_method and a small shared_buffers.
SETTINGS: Mapping[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "8GB",
    "wal_init_zero": "off",
    "checkpoint_timeout": "1d",
    "autovacuum": "off",
    "bgwriter_lru_maxpages": "0",
    "shared_buffers": "32MB",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",  # nothing in /dev/shm, which may be tiny and would keep what a kill leaves
    "max_connections": "300",
    "max_parallel_workers": "0",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
}
#: extensions that work only where the server loaded them when it started
PRELOADED = ("pg_stat_statements",)
_NEWER: Mapping[int, Mapping[str, str]] = {18: {"io_method": "sync"}}


def settings_for(major: int) -> dict[str, str]:
    """Every setting of a throwaway server of this major version."""
    found = dict(SETTINGS)
    for since, more in _NEWER.items():
        if major >= since:
            found.update(more)
    return found


def initdb_words(major: int, locale: str) -> list[str]:
    """How the cluster is made. 1 MB of WAL a segment and no checksums on pages make it small and quick."""
    words = [
        "-U",
        SUPERUSER,
        "-A",
        "trust",
        "-N",
        "--no-instructions",
        f"--locale={locale}",
        "-E",
        "UTF8",
        "--wal-segsize=1",
    ]
    if major < 14:
        words.remove("--no-instructions")
    if major >= 16:  # it starts servers of its own, which a full /dev/shm must not stop
        words += ["-c", "dynamic_shared_memory_type=mmap"]
    return [*words, "--no-data-checksums"] if major >= 18 else words


def environment() -> dict[str, str]:
    """A server's environment: nothing of ours leaks in."""
    return {"LC_ALL": "C", "TZ": "UTC", "PATH": os.environ.get("PATH", os.defpath)}


def tail(log: Path, *, characters: int = 2000) -> str:
    """The end of a log, for messages."""
    with contextlib.suppress(OSError):
        return log.read_text(errors="replace").strip()[-characters:]
    return ""


@dataclass(frozen=True)
class Cluster:
    """A data directory and who serves it.

    Attributes:
        binaries, identity: the programs and as whom they run.
        home: a folder of ours for the data and the log; the server can write to it.
        sockets: another, or the same, for the socket, which bears no long path.
        locale: of a new cluster.
        preloaded: those of `PRELOADED` that are loaded.
    """

    binaries: Binaries
    identity: Identity
    home: Path
    sockets: Path
    locale: str = "C"
    preloaded: tuple[str, ...] = ()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the server wrote to its standard error."""
        return self.home / "log"

    def make_home(self) -> None:
        """Make the folders around the data directory and the socket, the server's own."""
        for folder in {self.home, self.sockets}:
            folder.mkdir(mode=0o700, exist_ok=True)
            if self.identity.is_other_user:
                os.chown(folder, self.identity.uid, self.identity.gid)

    def initdb(self) -> None:
        """Make a new cluster.

        Raises:
            ServerFailed: initdb failed; carries its output.
        """
        words = [self.binaries.program("initdb"), "-D", str(self.data), *initdb_words(self.binaries.major, self.locale)]
        made = subprocess.run(
            self.identity.command(words),
            capture_output=True,
            text=True,
            check=False,
            env=environment(),
            cwd="/",
            stdin=subprocess.DEVNULL,
            **self.identity.process_options(),
        )
        if made.returncode != 0:
            raise ServerFailed(
                f"initdb could not make a cluster in {self.data}:\n{(made.stderr or made.stdout).strip()[-2000:]}\n"
                "Is there room, and may this user run it? --smartattend-postgres takes a server from elsewhere."
            )

    def start(self) -> int:
        """Start the server and wait until it accepts connections.

        Returns:
            its process id. It is in a session of its own and outlives this process.

        Raises:
            ServerFailed: it ended, or did not get ready; carries the end of its log.
        """
        words = [self.binaries.program("postgres"), "-D", str(self.data), "-k", str(self.sockets), "-p", str(PORT)]
        for name, value in settings_for(self.binaries.major).items():
            words += ["-c", f"{name}={value}"]
        if self.preloaded:
            words += ["-c", f"shared_preload_libraries={','.join(self.preloaded)}"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                self.identity.command(words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment(),
                cwd="/",
                start_new_session=True,
                **self.identity.process_options(),
            )
        deadline = time.monotonic() + _DEADLINE
        while not is_ready(self.data, process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop(process.pid)
                raise ServerFailed(
                    f"PostgreSQL {self.binaries.version} ({self.binaries.folder}) did not start in {self.home}. The end of "
                    f"its log:\n{tail(self.log)}\nFree some memory or space, or take another with --smartattend-postgres."
                )
            time.sleep(0.0005)
        process.returncode = 0  # it is nobody's child to wait for from here on; keeps Popen from warning about it
        return process.pid

    def stop(self, pid: int, *, cleanly: bool = False) -> None:
        """End the server and wait: `cleanly` with a checkpoint, so that its files can be copied; else at once."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if cleanly else signal.SIGQUIT)
        deadline = time.monotonic() + _DEADLINE
        while keeper.is_running(pid) and time.monotonic() < deadline:
            time.sleep(0.0005)


def is_ready(data: Path, pid: int) -> bool:
    """Whether the server with this process id says in its data directory that it accepts connections."""
    # It writes its state on the eighth line of this file; looking is cheaper than connecting. The first line is its
    # process id: what a killed server said of itself says nothing of the next one.
    try:
        lines = (data / "postmaster.pid").read_bytes().split(b"\n")
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() == b"ready" and lines[0].strip() == str(pid).encode()
