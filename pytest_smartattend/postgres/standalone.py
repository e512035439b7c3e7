"""Folders of a run of their own, and a throwaway server in them: for a command in a shell, without pytest."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path

from pytest_smartattend.evidence import run_directory
from pytest_smartattend.postgres import server, watch
from pytest_smartattend.postgres.choosing import Wanted


@contextlib.contextmanager
def own_folders() -> Iterator[tuple[str, list[Path]]]:
    """The id of a run of its own and its folders, the fastest first, for the time of a ``with``.

    What runs in them is ended and they are removed by the keeper where this process is killed. An orderly end removes
    the folders; what runs in them must have been ended before.
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
        yield run_id, folders


@contextlib.contextmanager
def throwaway(wanted: Wanted) -> Iterator[server.Server]:
    """A server for the time of a ``with``; gone afterwards, also when this process is killed.

    Raises:
        ServerError, UsageError, UnsafeTarget: see `server.Server`.
    """
    with own_folders() as (run_id, folders), contextlib.ExitStack() as stack:
        stack.callback(server.end, folders, run_id)
        made = server.Server(wanted, run_id=run_id, worker="main", folders=folders)
        stack.callback(made.close)
        yield made
