from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO

import pytest

from pytest_smartattend.evidence import run_directory


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(run_directory, "bases", lambda: (tmp_path,))
    return tmp_path


def test_a_held_folder_is_owned_until_its_file_is_closed(base: Path) -> None:
    folder = run_directory.folder_in(base, "a")
    held = run_directory.hold(folder)
    assert run_directory.is_owned(folder)
    assert list(run_directory.abandoned()) == []
    held.close()
    assert not run_directory.is_owned(folder)
    assert list(run_directory.abandoned()) == [folder]
    run_directory.remove(folder)
    assert list(base.iterdir()) == []


def test_a_folder_is_let_go_when_its_owner_is_killed(base: Path) -> None:
    folder = run_directory.folder_in(base, "a")
    code = "import sys, os; from pathlib import Path; from pytest_smartattend.evidence import run_directory as r;"
    code += "h = r.hold(Path(sys.argv[1])); print(flush=True); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True)
    assert folder.is_dir()
    assert list(run_directory.abandoned()) == [folder]


def test_a_folder_that_another_process_owns_cannot_be_held(base: Path) -> None:
    folder = run_directory.folder_in(base, "a")
    with run_directory.hold(folder), pytest.raises(BlockingIOError):
        run_directory.hold(folder)


def test_a_folder_that_is_being_made_is_nobodys_prey(base: Path) -> None:
    made = run_directory.make_user_folder(base) / ".new-x"
    made.mkdir()
    assert list(run_directory.abandoned()) == []
    with (made / "alive").open("ab") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        os.utime(made, (0, 0))
        assert list(run_directory.abandoned()) == []
    assert list(run_directory.abandoned()) == [made]


def test_somebody_who_looks_at_a_folder_that_is_being_made_does_not_keep_its_maker_from_it(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def looked_at(alive: IO[bytes], operation: int) -> None:
        glance = os.open(alive.name, os.O_RDONLY)
        lock(glance, fcntl.LOCK_SH)
        looking = threading.Timer(0.1, os.close, (glance,))
        looking.start()
        lock(alive, operation)
        looking.join()

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", looked_at)
        held = run_directory.hold(run_directory.folder_in(base, "a"))
    assert run_directory.is_owned(run_directory.folder_in(base, "a"))
    held.close()


@pytest.mark.parametrize("taken", ["link", "open to others", "file"])
def test_a_name_that_somebody_took_is_not_used(taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    name = run_directory.user_folder(tmp_path)
    if taken == "link":
        name.symlink_to(tmp_path)
    elif taken == "file":
        name.touch()
    else:
        name.mkdir()
        name.chmod(0o777)
    assert tmp_path not in run_directory.bases()
    with pytest.raises(OSError, match=r"smartattend-\d+"):
        run_directory.hold(run_directory.folder_in(tmp_path, "a"))


def test_a_long_temporary_folder_has_a_short_one_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert run_directory.bases()[-2:] == (long, Path("/tmp"))
    shutil.rmtree(long)
    assert long not in run_directory.bases()


def test_nobody_but_the_owner_may_look_into_the_users_folder(base: Path) -> None:
    folder = run_directory.make_user_folder(base)
    assert folder.stat().st_mode & 0o066 == 0
    assert folder.stat().st_uid == os.getuid()


def test_a_users_folder_that_another_run_removes_while_it_is_made_is_no_error(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = os.mkdir
    made: list[str] = []

    def taken(path: str, *rest: int) -> None:
        if not made:  # it is there for this call only
            made.append(path)
            raise FileExistsError(path)
        honest(path, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(os, "mkdir", taken)
        with run_directory.hold(run_directory.folder_in(base, "a")):
            assert made
