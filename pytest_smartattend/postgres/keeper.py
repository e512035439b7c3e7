"""The keeper of a run's servers: a small process that outlives a killed pytest and leaves nothing behind.

It blocks on the lock that the run's owner holds (`evidence.run_directory`). However the owner ends, the kernel releases
that lock; the keeper then ends what still runs in the run's folders, removes them, unpacks the next run's cluster, and
exits. It runs in a session of its own, so that neither Ctrl-C nor a signal to pytest's group reaches it.

This file is both a module of the package and a program (``python -I -S keeper.py FOLDER…``): it imports only what the
interpreter brings and what loads in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time

_GRACE = 8.0  # seconds; PostgreSQL itself kills stuck children 5 s after SIGQUIT
_ROOM = 512 * 2**20  # bytes that must be free before a copy is made ahead
_STALE = 600.0  # seconds after which a half-unpacked copy is nobody's
_PROGRAMS = {b"postgres", b"initdb", b"unshare", b"pg_basebackup", b"pg_receivewal", b"pg_rewind", b"pg_verifybackup"}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib costs this process more than all the rest
            return file.read()
    except OSError:
        return b""


def is_running(pid: int) -> bool:
    """Whether `pid` is a process that has not ended. A zombie has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    said = _read(f"/proc/{pid}/stat")
    if not said:  # it has ended since, or there is no /proc
        return not os.path.isdir("/proc/self")  # noqa: PTH112
    return said.rpartition(b")")[2].split()[:1] != [b"Z"]


def processes_in(folder: str) -> list[int]:
    """Processes that work in `folder`, or were started with a path in it, except this one.

    Found by what the kernel says of each process, not by remembered ids. Where there is no ``/proc`` the files that
    PostgreSQL writes are all there is.
    """
    inside = os.fsencode(folder) + b"/"
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208
            if name.isdigit() and int(name) != os.getpid():
                words = _read(f"/proc/{name}/cmdline").split(b"\0")
                postgres = words[:1] != [b""] and words[0].rpartition(b"/")[2] in _PROGRAMS
                with contextlib.suppress(OSError):
                    where = os.fsencode(os.readlink(f"/proc/{name}/cwd")) + b"/"  # noqa: PTH115
                    if where.startswith(inside) and _is_server(name):
                        found.add(int(name))
                if postgres and any(word.startswith(inside) for word in words[1:]):
                    found.add(int(name))
    if not os.path.isdir("/proc/self"):  # noqa: PTH112
        found.update(pid for pid in map(postmaster, data_folders(folder)) if pid and is_running(pid))
    return sorted(pid for pid in found if is_running(pid))


def _is_server(pid: str) -> bool:
    # A person's shell may stand in the folder too; it is not ours to end.
    return _read(f"/proc/{pid}/comm").strip() in {b"postgres", b"initdb"}


def data_folders(folder: str) -> list[str]:
    """Data directories below a run's folder."""
    inside = os.path.join(folder, "pg")  # noqa: PTH118
    try:
        return [os.path.join(inside, name) for name in sorted(os.listdir(inside)) if name.startswith("data")]  # noqa: PTH118, PTH208
    except OSError:
        return []


def postmaster(data: str) -> int | None:
    """The server's process id as its own file says; None where there is none."""
    first = _read(f"{data}/postmaster.pid").split(b"\n")[0].strip()
    return int(first) if first.isdigit() else None


def release_memory(data: str) -> None:
    """Remove the System V segment of a few bytes that a killed server leaves."""
    # Its id is on the seventh line of the server's file.
    lines = _read(f"{data}/postmaster.pid").split(b"\n")
    words = lines[6].split() if len(lines) > 6 else []
    if len(words) == 2 and words[1].isdigit():
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).shmctl(int(words[1]), 0, None)  # IPC_RMID


def end_servers(folder: str) -> None:
    """End every server below a run's folder at once and wait for it. Its data is thrown away, so nothing is saved."""
    deadline = time.monotonic() + _GRACE
    asked: set[int] = set()
    while left := processes_in(folder):
        number = signal.SIGQUIT if time.monotonic() < deadline else signal.SIGKILL
        for pid in left:
            if number == signal.SIGKILL or pid not in asked:
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
                    os.kill(pid, signal.SIGCONT)  # one that a drill has stopped does not hear the first
                asked.add(pid)
        time.sleep(0.002)
        if time.monotonic() > deadline + _GRACE:
            break
    for data in data_folders(folder):
        release_memory(data)


def ask_engine(host: str, request: str) -> bytes:
    """Send one request to a container engine's API: a plain socket is all it takes.

    Args:
        host: as in ``DOCKER_HOST``: ``unix:///path`` or ``tcp://host:port``.
        request: method and path.

    Raises:
        OSError, ValueError: nothing answers there.
    """
    import socket

    with socket.socket(socket.AF_UNIX if host.startswith("unix://") else socket.AF_INET) as engine:
        engine.settimeout(30)
        address, _, port = host.partition("://")[2].partition(":")
        engine.connect(host[len("unix://") :] if host.startswith("unix://") else (address, int(port or 2375)))
        engine.sendall(f"{request} HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
        answer = b""
        while part := engine.recv(4096):
            answer += part
    return answer


def end_container(folder: str) -> None:
    """Remove the container that the run wrote down."""
    lines = _read(f"{folder}/container").decode().split()
    if len(lines) == 2:
        with contextlib.suppress(OSError, ValueError):
            ask_engine(lines[0], f"DELETE /containers/{lines[1]}?force=1&v=1")


def remove(folder: str) -> None:
    """End what runs in a run's folder and remove it; orphaned workers may write to it for a moment longer."""
    import shutil

    end_container(folder)
    for _ in range(200):
        end_servers(folder)
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            break
        time.sleep(0.05)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(folder))  # noqa: PTH106, PTH120


def unpack(archive: str, into: str) -> bool:
    """Unpack a cluster into the new folder `into`. False, and nothing left, when the archive is not whole."""
    os.mkdir(into, 0o700)  # noqa: PTH102
    for program in ("/usr/bin/tar", "/bin/tar"):
        if os.access(program, os.X_OK):
            quiet = [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
            words = [program, "--numeric-owner", "-xpf", archive, "-C", into]
            child = os.posix_spawn(program, words, {"LC_ALL": "C"}, file_actions=quiet)
            whole = os.waitpid(child, 0)[1] == 0
            break
    else:
        import tarfile

        try:
            with tarfile.open(archive) as opened:
                # we packed it; Python before 3.11.4 knows no such argument, and has no other way
                opened.extraction_filter = lambda member, _: member
                opened.extractall(into, numeric_owner=True)  # noqa: S202
            whole = True
        except (OSError, tarfile.TarError):
            whole = False
    if not (whole and os.path.exists(f"{into}/PG_VERSION")):  # noqa: PTH110
        import shutil

        shutil.rmtree(into, ignore_errors=True)
        return False
    return True


def _prepare(archive: str, ready: str, most: int) -> None:
    """Unpack the next run's cluster, and drop the oldest so that at most `most` lie about."""
    import shutil

    home = os.path.dirname(ready)  # noqa: PTH120
    for folder in (os.path.dirname(home), home):  # noqa: PTH120
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o711 if os.getuid() == 0 else 0o700)  # noqa: PTH102
    making = os.path.join(home, f".making-{os.getpid()}")  # noqa: PTH118
    space = os.statvfs(home)
    wanted = os.path.exists(archive) and not os.path.exists(ready)  # noqa: PTH110
    if wanted and space.f_bavail * space.f_frsize > _ROOM and unpack(archive, making):
        try:
            os.rename(making, ready)  # noqa: PTH104
        except OSError:  # another run's keeper was first
            shutil.rmtree(making, ignore_errors=True)
    aged = []
    for name in os.listdir(home):  # noqa: PTH208
        with contextlib.suppress(OSError):
            aged.append((os.stat(f"{home}/{name}").st_ctime, name))  # noqa: PTH116
    copies = sorted((age, name) for age, name in aged if not name.startswith("."))
    for _, name in copies[: max(0, len(copies) - most)]:
        drop(f"{home}/{name}")
    for name in [name for age, name in aged if name.startswith(".") and time.time() - age > _STALE]:
        shutil.rmtree(f"{home}/{name}", ignore_errors=True)


def drop(copy: str) -> None:
    """Remove a ready copy, from its name first: a run that claimed it just then would have a server without some files."""
    import shutil

    home, name = os.path.split(copy)
    dropped = os.path.join(home, f".dropped-{os.getpid()}-{name}")  # noqa: PTH118
    with contextlib.suppress(OSError):  # a run has claimed it, or there is none
        os.rename(copy, dropped)  # noqa: PTH104
        shutil.rmtree(dropped, ignore_errors=True)


def following(folders: list[str]) -> list[str]:
    """What the run's server left to be unpacked for the next run: the words for `prepare`; empty for nothing."""
    for folder in folders:
        words = _read(f"{folder}/next").decode().split("\n")
        if len(words) == 3:
            return words
    return []


def main(words: list[str]) -> int:
    """Remove dead runs' folders, wait for the owner of this run, remove its folders, unpack the next run's cluster.

    Args:
        words: this run's folders, of which the first exists, ``--``, and dead runs' folders. Or ``prepare``, the
            archive, the name of the ready copy, and how many copies may lie beside it.
    """
    with contextlib.suppress(OSError):
        os.nice(10)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if words[0] == "prepare":
        coming = words[1:]
    else:
        cut = words.index("--")
        for folder in words[cut + 1 :]:
            remove(folder)
        coming = _keep(words[:cut])
    if coming:
        with contextlib.suppress(OSError):
            _prepare(coming[0], coming[1], int(coming[2]))
    return 0


def _keep(folders: list[str]) -> list[str]:
    with contextlib.suppress(FileNotFoundError), open(f"{folders[0]}/alive", "rb") as alive:  # noqa: PTH123
        fcntl.flock(alive, fcntl.LOCK_SH)
    coming = following(folders)
    for folder in folders:
        remove(folder)
    return coming


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
