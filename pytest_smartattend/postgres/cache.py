"""Clusters kept from one run to the next, so that a run starts with its schema already in place.

Two forms. The *archive*, one file for each combination of programs, settings, locale and schema, lies in the user's
cache folder and outlives reboots. The *ready copy* is an archive already unpacked where servers run; a run claims it by
renaming it, and the keeper unpacks the next one after the run. Both appear by rename only, so neither is ever seen half
made, and both are bounded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import keeper

MOST_ARCHIVES = 8
MOST_BYTES = 600 * 2**20
MOST_READY = 2  # copies for different schemas, some 30 to 40 MB each, where servers run
_PATIENCE = 120.0  # seconds to wait for another run that builds the same cluster


def homes() -> Iterator[Path]:
    """Cache folders in order of preference: XDG_CACHE_HOME, ~/.cache, then one in the temporary folder."""
    if named := os.environ.get("XDG_CACHE_HOME"):
        yield Path(named) / "pytest-smartattend"
    else:
        with contextlib.suppress(RuntimeError):  # a user id without a name and no HOME
            yield Path.home() / ".cache" / "pytest-smartattend"
    for base in reversed(run_directory.bases()):
        yield run_directory.user_folder(base) / "cache"


def home() -> Path | None:
    """The first cache folder that can be written to; None where there is none."""
    for folder in homes():
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    return None


class ClusterCache:
    """Archives and ready copies.

    Attributes:
        folder: where archives lie; None when nothing can be written anywhere, then every run makes its cluster.
        ready: where ready copies lie, on the file system of the run's folder.
    """

    def __init__(self, folder: Path | None, ready: Path) -> None:
        self.folder = folder / "clusters" if folder else None
        self.ready = ready

    def archive(self, key: str) -> Path | None:
        """The archive of `key`, whether it exists or not."""
        return self.folder / f"{key}.tar" if self.folder else None

    def claim(self, key: str, into: Path) -> str | None:
        """Put the cluster of `key` at `into`, a path that does not exist.

        Returns:
            ``ready copy`` or ``archive``; None when there is none. A damaged archive is removed.
        """
        with contextlib.suppress(OSError):
            (self.ready / key).rename(into)
            return "ready copy"
        archive = self.archive(key)
        if archive is None or not archive.exists():
            return None
        try:
            if keeper.unpack(str(archive), str(into)):
                os.utime(archive)
                return "archive"
        except OSError:
            shutil.rmtree(into, ignore_errors=True)
        self.discard(key)
        return None

    def discard(self, key: str) -> None:
        """Forget `key`: its cluster is damaged."""
        keeper.drop(str(self.ready / key))
        if archive := self.archive(key):
            with contextlib.suppress(OSError):
                archive.unlink()

    @contextlib.contextmanager
    def building(self, key: str) -> Iterator[None]:
        """Keep other runs from building the same cluster meanwhile; a lock that cannot be had is done without."""
        if self.folder is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):
                self.folder.mkdir(exist_ok=True)
                lock = stack.enter_context((self.folder / f"{key}.lock").open("ab"))
                deadline = time.monotonic() + _PATIENCE
                while time.monotonic() < deadline:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        time.sleep(0.01)
                stack.callback((self.folder / f"{key}.lock").unlink, missing_ok=True)
            yield

    def publish(self, key: str, data: Path) -> None:
        """Keep the stopped cluster at `data` as `key`. A cache that cannot be written to is no error."""
        archive = self.archive(key)
        if archive is None:
            return
        making = archive.with_name(f".{key}.{os.getpid()}")
        try:
            archive.parent.mkdir(exist_ok=True)
            _pack(data, making)
            making.rename(archive)
            self._prune()
        except (OSError, subprocess.SubprocessError):
            with contextlib.suppress(OSError):
                making.unlink()

    def _prune(self) -> None:
        assert self.folder is not None
        for half in self.folder.glob(".*"):
            if time.time() - half.stat().st_mtime > 600:
                half.unlink(missing_ok=True)
        used = 0
        newest_first = sorted(self.folder.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
        for number, path in enumerate(newest_first):
            used += path.stat().st_size
            if number > 0 and (number >= MOST_ARCHIVES or used > MOST_BYTES):
                path.unlink(missing_ok=True)

    def next_copy(self, key: str) -> list[str]:
        """What the keeper must know to unpack the next ready copy when the run is over."""
        archive = self.archive(key)
        return [str(archive), str(self.ready / key), str(MOST_READY)] if archive else []


def _pack(data: Path, archive: Path) -> None:
    if program := shutil.which("tar"):
        words = [program, "--numeric-owner", "-cf", str(archive), "-C", str(data), "."]
        subprocess.run(words, check=True, capture_output=True, env={"LC_ALL": "C"})
        return
    with tarfile.open(archive, "w") as opened:
        opened.add(data, ".")


def clear() -> None:
    """Remove every archive and ready copy of this user."""
    for folder in homes():
        shutil.rmtree(folder / "clusters", ignore_errors=True)
    for base in run_directory.bases():
        shutil.rmtree(run_directory.user_folder(base) / "ready", ignore_errors=True)
        for install in run_directory.user_folder(base).glob("install-*"):
            shutil.rmtree(install, ignore_errors=True)
