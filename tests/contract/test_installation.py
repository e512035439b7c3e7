"""What is seen of the processes of an instance, and where nothing can be seen."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.injectors import processes
from pytest_smartattend.target.installation import Installation, Instance, of_the_reference
from pytest_smartattend.trials.drills import Drills

SHIPPED = [
    ("test_incident_store_loss", "test_reports_outlive_their_store_and_come_back_once"),
    ("test_service_restart", "test_every_instance_is_replaced_and_no_request_fails"),
]


@pytest.fixture
def here(tmp_path: Path) -> Instance:
    """This very process, as an instance."""
    return Instance("here", cast("Any", SimpleNamespace(pid=os.getpid())), tmp_path / "ready")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_an_instance_accepts_for_as_long_as_one_of_its_processes_has_the_socket(here: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        inode = os.fstat(listening.fileno()).st_ino
        assert here.accepts(inode)
        words = [sys.executable, "-c", "print('up', flush=True); input()"]
        child = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=[listening.fileno()]
        )  # fmt: skip
        assert child.stdout is not None
        child.stdout.readline()
    assert here.accepts(inode), "a worker has it still"
    child.communicate(b"\n")
    assert not here.accepts(inode)


def test_a_worker_that_outlives_a_killed_run_does_not_make_its_folder_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    installation = Installation(of_the_reference(), "", "", "", run / "drill" / "installation-1")
    with pytest.raises(FileNotFoundError, match="run"), installation:
        pass
    assert not run.exists()


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/nowhere")], ids=["proc", "ps"])
def test_the_family_of_an_instance_is_found_with_and_without_proc(
    here: Instance, monkeypatch: pytest.MonkeyPatch, proc: Path
) -> None:
    monkeypatch.setattr(processes, "_PROC", proc)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert {os.getpid(), child.pid} <= set(here.family())


def test_where_nobody_can_look_or_fill_a_disk_that_is_told_by_name(
    here: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotOffered, match="does not offer a look at who has a socket open, for which this system is no"):
        here.accepts(1)
    with pytest.raises(NotOffered, match="does not offer a disk that can be filled, for which this system is no Linux"):
        Drills.only_linux("a disk that can be filled")
    monkeypatch.setattr(sys, "platform", "linux")
    Drills.only_linux("a disk that can be filled")


@pytest.mark.parametrize(("suite", "check"), SHIPPED)
def test_the_drills_that_need_linux_are_not_run_elsewhere_and_begin_nothing(
    monkeypatch: pytest.MonkeyPatch, suite: str, check: str
) -> None:
    module = importlib.import_module(f"pytest_smartattend.suites.drills.{suite}")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(NotOffered):
        getattr(module, check)(Drills, None)  # no drills are made, so whatever began one would fail otherwise
