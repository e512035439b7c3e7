"""A throwaway server without pytest: for a command in a shell."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import server, watch
from pytest_smartattend.postgres.choosing import Wanted


@contextlib.contextmanager
def throwaway(wanted: Wanted) -> Iterator[server.Server]:
    """A server for the time of a ``with``; gone afterwards, also when this process is killed.

    Raises:
        ServerError, UsageError, UnsafeTarget: see `server.Server`.
    """
    run_id = uuid.uuid4().hex[:12]
    folders: list[Path] = []
    with contextlib.ExitStack() as stack:
        for base in run_directory.bases():
            folder = run_directory.folder_in(base, run_id)
            with contextlib.suppress(OSError):  # a full base is no base
                stack.callback(run_directory.hold(folder).close)
                stack.callback(run_directory.remove, folder)
                if not folders:
                    watch.over(run_id, folder)
                folders.append(folder)
        stack.callback(server.end, folders, run_id)
        made = server.Server(wanted, run_id=run_id, worker="main", folders=folders)
        stack.callback(made.close)
        yield made
