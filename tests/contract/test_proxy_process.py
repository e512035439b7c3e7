"""The TCP proxy as a process: it starts alone, says what is wrong with it, and leaves nothing behind."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.engine.faults import Latency, Silence
from pytest_smartattend.engine.units import MILLISECOND, SECOND
from pytest_smartattend.errors import FaultNotHealed, InjectionError
from pytest_smartattend.injectors.tcp_proxy import TcpProxy

Connect = Callable[[TcpProxy], socket.socket]

OWNER = """
import os, signal, sys, time
from pytest_smartattend.injectors.tcp_proxy import TcpProxy

proxy = TcpProxy(("127.0.0.1", int(sys.argv[1])))
proxy.start()
child = 0
if sys.argv[2] == "with a forked child":  # which keeps a copy of every descriptor
    child = os.fork()
    if not child:
        signal.pause()
print(proxy.pid, proxy.address[1], child, flush=True)
signal.pause()
"""


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat").read_text()
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # it has ended since, or there is no /proc
        return not Path("/proc/self").exists()
    return stat.rsplit(")", 1)[1].split()[0] != "Z"  # a zombie that nobody waits for has ended as well


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while _is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.005)
    return not _is_alive(pid)


@pytest.mark.parametrize("company", ["alone", "with a forked child"])
def test_a_killed_owner_leaves_nothing(company: str, upstream_of: Any) -> None:
    if company != "alone" and sys.platform != "linux":
        pytest.skip("only Linux tells a process that another, which is not its child, has ended")
    upstream = upstream_of()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(upstream.address[1]), company], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        proxy_pid, port, child = (int(word) for word in owner.stdout.readline().split())
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
                owner.kill()
                assert _ends(proxy_pid)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(("127.0.0.1", port), timeout=10)
        finally:
            owner.kill()
            if child:
                os.kill(child, signal.SIGKILL)


def test_stopping_ends_the_process_and_its_connections(echo_proxy: TcpProxy, connect: Connect) -> None:
    client, process = connect(echo_proxy), echo_proxy._owner._process
    assert process is not None
    client.sendall(b"x")
    assert client.recv(1) == b"x"
    echo_proxy.stop()
    echo_proxy.stop()
    assert process.returncode == 0, "it had to be killed"
    assert client.recv(1) == b""


def test_a_stopped_proxy_can_be_started_again(upstream_of: Any, connect: Connect) -> None:
    proxy = TcpProxy(upstream_of().address)
    for _ in range(2):
        with proxy:
            client = connect(proxy)
            client.sendall(b"x")
            assert client.recv(1) == b"x"


def test_starting_twice_says_so(echo_proxy: TcpProxy) -> None:
    with pytest.raises(InjectionError, match="runs already"):
        echo_proxy.start()


def test_the_process_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import sys, runpy\n"
        f"start = runpy.run_path({str(Path(sys.modules[TcpProxy.__module__].__file__ or '').with_name('proxy_process.py'))!r})\n"
        "start['_without_the_package_door']()\n"
        "import pytest_smartattend.injectors.wire.control\n"
        "roots = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(roots - set(sys.stdlib_module_names) - {'__main__', 'pytest_smartattend'}))\n"
        "print(getattr(sys.modules['pytest_smartattend'], '__file__', 'no door'))\n"
    )
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == ["[]", "no door"]


def test_ctrl_c_on_the_terminal_does_not_reach_it(echo_proxy: TcpProxy) -> None:
    assert os.getpgid(echo_proxy.pid) != os.getpgrp()


def test_a_proxy_that_was_killed_is_named_and_its_fault_counts_as_not_healed(upstream_of: Any) -> None:
    proxy = TcpProxy(upstream_of().address, name="database")
    proxy.start()
    with (
        pytest.raises(FaultNotHealed, match=r"database/1:silence .*ended with status -9. It said nothing"),
        proxy.fault(Silence()),
    ):
        os.kill(proxy.pid, signal.SIGKILL)
    proxy.stop()


def test_a_proxy_that_was_paused_does_not_hang_its_test(upstream_of: Any) -> None:
    proxy = TcpProxy(upstream_of().address, name="database", patience=5 * SECOND)
    proxy.start()
    try:
        with pytest.raises(FaultNotHealed, match=r"did not answer within 5 s"), proxy.fault(Silence()):
            os.kill(proxy.pid, signal.SIGSTOP)
    finally:
        proxy.stop()


@pytest.mark.parametrize("moment", ["before the question is out", "while the answer is awaited"])
def test_ctrl_c_while_a_fault_is_taken_off_still_takes_it_off(
    moment: str, echo_proxy: TcpProxy, connect: Connect
) -> None:
    early = moment == "before the question is out"
    lock = echo_proxy._owner._lock

    def interrupt(*_: object) -> None:
        if early:
            lock.release()
        else:
            os.kill(echo_proxy.pid, signal.SIGCONT)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        leaving = ExitStack()
        leaving.enter_context(echo_proxy.fault(Silence()))
        if early:
            lock.acquire()
        else:
            os.kill(echo_proxy.pid, signal.SIGSTOP)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            leaving.close()
    finally:
        signal.signal(signal.SIGALRM, before)
    client = connect(echo_proxy)
    client.settimeout(5)
    client.sendall(b"x")
    assert client.recv(1) == b"x", "the fault is still there"


def test_a_program_that_cannot_be_started_leaves_nothing_open(
    upstream_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = TcpProxy(upstream_of().address)
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(FileNotFoundError):
        proxy.start()
    assert not proxy._owner.is_running
    assert proxy._owner._control is None


def test_a_defect_in_the_proxy_is_told_with_its_traceback(upstream_of: Any) -> None:
    proxy = TcpProxy(upstream_of().address)
    proxy.start()
    try:
        assert proxy._owner._control is not None
        proxy._owner._control.sendall(b"this is not JSON\n")
        with pytest.raises(InjectionError, match=r"(?s)ended with status 1.*JSONDecodeError"):
            proxy.connections()
    finally:
        proxy.stop()


@pytest.mark.parametrize("limit", [24, 25])  # a connection takes two: the client's or the upstream's is one too many
def test_running_out_of_descriptors_is_survived_and_said(limit: int, upstream_of: Any, connect: Connect) -> None:
    if not hasattr(resource, "prlimit"):
        pytest.skip("this system cannot limit another process")
    proxy = TcpProxy(upstream_of().address, name="database")
    proxy.start()
    try:
        first = connect(proxy)
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (limit, hard))
        outcomes = [_outcome(connect, proxy) for _ in range(30)]
        assert outcomes.count("answered") >= 3
        assert outcomes.count("reset") >= 10
        first.sendall(b"y")
        assert first.recv(1) == b"y", "an open connection suffered from it"
        resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (256, hard))
        words = r"'database' had trouble of its own: no file descriptor was left .* raise `ulimit -n`"
        with pytest.raises(InjectionError, match=words), proxy.fault(Latency(MILLISECOND)):
            assert _outcome(lambda _: first, proxy) == "answered"
    finally:
        proxy.stop()


def _outcome(connect: Connect, proxy: TcpProxy) -> str:
    try:
        client = connect(proxy)
        client.sendall(b"x")
        return "answered" if client.recv(1) == b"x" else "closed"
    except ConnectionError:
        return "reset"
