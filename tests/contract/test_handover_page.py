"""The page on handing a shift over does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.reference_platform import ReferencePlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "hand-over-a-shift.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here: apt-get install curl")
def test_a_shift_is_handed_over_as_the_page_says(postgres: Server, tmp_path: Path) -> None:
    database = postgres.pool(ReferenceSchema()).take()
    platform = ReferencePlatform(postgres, database, tmp_path / "platform", workers=1, seed=1)
    try:
        tenant = platform.seed("school", lambda _: None)
        tenant.staff.report("The north wing is down", "critical").must()
        tenant.staff.report("A door is slow", "low").must()
        incoming = tenant.successor_of("admin")
        people = {"OUTGOING": tenant.admin.token or "", "INCOMING": incoming.token or "", "TO": incoming.user_id or ""}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        (test,) = blocks("python")
        (tmp_path / "test_shift.py").write_text(test)
        said = []
        for command in blocks("sh"):
            done = subprocess.run(
                ["sh", "-euc", command],
                cwd=tmp_path,
                env={**os.environ, **people, "URL": platform.base_url, "PATH": path, "HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            said.append(done.stdout)
    finally:
        platform.stop()
    assert "The north wing is down" in (tmp_path / "briefing.md").read_text()
    assert said[3] == "accepted 2 moved, 0 opened since\n"
    assert "1 passed" in said[4]
