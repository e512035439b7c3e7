"""Machines that are not as one would like: other users, closed namespaces, small and closed memory file systems.

Each case is a real one: another user id, a system call filter, a mount of its own.
"""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROBE = """
import json
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.schema import EmptySchema
from pytest_smartattend.postgres.standalone import throwaway
with throwaway(Wanted()) as server:
    database = server.pool(EmptySchema()).take()
    with server.connect(database.name) as connection:
        connection.execute("CREATE TABLE t (a int)")
    print(json.dumps(server.describe()))
"""
# Answers unshare(2) with EPERM, as a container engine's default filter does; programs started from here inherit it.
DENY_UNSHARE = """
import ctypes, platform, struct
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
rules = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number, 0x06, 0, 0, 0x00050001, 0x06, 0, 0, 0x7FFF0000)
kept = ctypes.create_string_buffer(rules)
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(kept)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program)) == 0
"""
as_root = pytest.mark.skipif(
    os.geteuid() != 0 or not Path("/proc/self").exists(), reason="only root on Linux can be somebody else"
)


def python_for(uid: int) -> str:
    """An interpreter that another user may run."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        words = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", candidate, "-c"]
        code = f"import sys; sys.path[:0] = {paths()!r}; import pytest_smartattend, psycopg, subprocess; "
        code += "sys.exit(sys.version_info < (3, 11) or subprocess.call([sys.executable, '-c', '']))"
        tried = subprocess.run([*words, code], capture_output=True, cwd="/", env={"PATH": os.environ["PATH"]})
        if tried.returncode == 0:
            return candidate
    pytest.skip("no interpreter here that another user may run, or this checkout is closed to others")


def paths() -> list[str]:
    return [str(ROOT), *site.getsitepackages()]


def probe(words: list[str], environment: dict[str, str], *, before: str = "") -> dict[str, Any]:
    code = f"{before}\nimport sys; sys.path[:0] = {paths()!r}\n{PROBE}"
    base = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*words, "-c", code], capture_output=True, text=True, cwd="/", env={**base, **environment})
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout)
    assert said["provider"] == "embedded"
    return said


def mounted(script: str, *words: str) -> list[str]:
    """`words`, by default this interpreter, in a mount namespace of their own in which `script` was run first."""
    tried = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm"], capture_output=True)
    if tried.returncode != 0:
        pytest.skip(f"mount namespaces are denied here: {tried.stderr.decode().strip()}")
    return ["unshare", "-m", "sh", "-c", f'{script}; exec "$@"', "sh", *(words or (sys.executable,))]


def tmp_of_its_own(options: str = "") -> str:
    """Script that mounts an empty ``/tmp``. This checkout stays where it is, should it lie there."""
    mount = f"mount -t tmpfs {options} none /tmp"
    if not ROOT.is_relative_to("/tmp"):
        return mount
    return f"mount --bind '{ROOT}' /mnt; {mount}; mkdir -p '{ROOT}'; mount --bind /mnt '{ROOT}'"


def somebody(uid: int) -> list[str]:
    """An interpreter run by another user, whose traces vanish with the mount namespace."""
    script = f"mount -t tmpfs none /dev/shm; {tmp_of_its_own()}"
    return mounted(script, "setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", python_for(uid))


@as_root
def test_root_has_a_server_in_a_namespace_and_no_account_is_made(tmp_path: Path) -> None:
    accounts = Path("/etc/passwd").read_bytes()
    said = probe([sys.executable], {"XDG_CACHE_HOME": str(tmp_path)})
    assert "root in a user namespace as " in said["runs"]
    assert Path("/etc/passwd").read_bytes() == accounts


@as_root
def test_root_without_namespaces_has_a_server_as_nobody_from_a_copy_that_nobody_can_read(tmp_path: Path) -> None:
    closed = Path(sys.prefix).stat().st_mode, Path("/root").stat().st_mode
    words = mounted("mount -t tmpfs none /dev/shm")
    said = probe(words, {"XDG_CACHE_HOME": str(tmp_path)}, before=DENY_UNSHARE)
    assert said["runs"].startswith("as nobody: no user namespace (")
    assert any("as nobody" in note for note in said["notes"])
    assert probe(words, {"XDG_CACHE_HOME": str(tmp_path)}, before=DENY_UNSHARE)["cluster"] == "archive"
    assert (Path(sys.prefix).stat().st_mode, Path("/root").stat().st_mode) == closed


@as_root
def test_an_ordinary_user_without_home_has_a_server() -> None:
    uid = 65534
    said = probe(somebody(uid), {"HOME": "/nonexistent"})
    assert said["runs"] == "as this user"


@as_root
def test_a_user_id_without_a_name_has_a_server() -> None:
    uid = 47110
    said = probe(somebody(uid), {})
    assert f"user id {uid}, which has no name, in a user namespace" in said["runs"]


@as_root
def test_a_user_id_without_a_name_and_without_namespaces_is_told_what_to_do() -> None:
    uid = 47110
    with pytest.raises(
        AssertionError, match=r"(?s)embedded: user id 47110 has no entry.*add one for this id to /etc/passwd"
    ):
        probe(somebody(uid), {}, before=DENY_UNSHARE)


@as_root
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("mount -t tmpfs -o size=64m none /dev/shm", "/dev/shm has 6"),
        (
            "mount -t tmpfs -o size=1m none /dev/shm; dd if=/dev/zero of=/dev/shm/full bs=4k 2>/dev/null",
            "/dev/shm has 0 MB free",
        ),
        ("mount -t tmpfs -o ro none /dev/shm", "/dev/shm cannot be written to"),
        ("mount --bind /proc /dev/shm", "/dev/shm"),
    ],
    ids=["64 MB", "full", "read-only", "no file system to write to"],
)
def test_a_memory_file_system_that_does_not_serve_is_passed_over_and_said(
    script: str, said: str, tmp_path: Path
) -> None:
    found = probe(mounted(script), {"TMPDIR": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")})
    assert found["where"].startswith(str(tmp_path))
    assert any(said in note for note in found["notes"]), found["notes"]


@as_root
def test_no_room_anywhere_is_an_error_that_says_what_to_do() -> None:
    script = f"mount -t tmpfs -o size=64m none /dev/shm; {tmp_of_its_own('-o size=30m')}"
    with pytest.raises(AssertionError, match=r"(?s)There is no room for a PostgreSQL server.*set TMPDIR"):
        probe(mounted(script), {"TMPDIR": "/tmp"})


@as_root
def test_a_read_only_home_moves_the_cache(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {"TMPDIR": str(tmp_path), "HOME": str(home)}
    words = mounted(f"mount -t tmpfs none /dev/shm; mount -t tmpfs -o ro none {home}")
    probe(words, environment)
    assert probe(words, environment)["cluster"] == "archive"
