"""What a failed simulation left becomes a recorded incident, which a mended platform does not repeat."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pytest_smartattend.trials import recorded


def test_a_failed_simulation_becomes_a_recorded_incident(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)

    check, defect = "simulations/sla-breach", "breach-undone"
    suite = ["--pyargs", "pytest_smartattend.suites.simulations", f"--smartattend-checks={check}"]
    target = ["--smartattend-target=reference", f"--smartattend-sabotage={defect}"]
    failed = run("pytest", *suite, *target, "-p", "no:cacheprovider", "-q")
    assert failed.returncode == 1, failed.stdout
    assert f"smartattend db open {check}" in failed.stdout
    promoted = run("pytest_smartattend.cli", "promote", "sla-breach", "--out", "incidents")
    assert promoted.returncode == 0, promoted.stderr
    (made,) = recorded.recordings(tmp_path / "incidents")
    assert [event["kind"] for event in made.read()["record"]["events"]][:3] == [
        "created",
        "sla_at_risk",
        "sla_breached",
    ]
    again = run("pytest_smartattend.cli", "replay", "incidents/heads.json", str(made.path))
    assert again.returncode == 20, again.stderr
    assert "changed: SLA resolve: recorded met, seen breached" in again.stdout
    nothing = run("pytest_smartattend.cli", "promote", "no-such-check", "--out", "incidents")
    assert nothing.returncode == 2
    assert "No database of 'no-such-check' is kept" in nothing.stderr


def test_a_database_of_ones_own_schema_has_nothing_to_promote_and_that_is_said(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    (tmp_path / "pytest.ini").touch()
    (tmp_path / "test_own.py").write_text("def test_own(database): assert database is None")
    words = [["pytest", "-p", "no:cacheprovider"], ["pytest_smartattend.cli", "promote", "test_own", "--out=oo"]]
    for command in words:
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300
        )
    assert done.returncode == 2
    assert "The database of test_own.py::test_own is not one of the reference platform" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "oo").exists()
