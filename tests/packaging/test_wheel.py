"""The wheel, in an environment of its own, without this checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in tracked.split("\0"):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    command = [sys.executable, "-m", "build", "--wheel", "--sdist", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


def test_the_wheel_holds_suites_and_data_inside_the_package_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"pytest_smartattend", next(top for top in tops if top.endswith(".dist-info"))}
    for needed in (
        "pytest_smartattend/py.typed",
        "pytest_smartattend/suites/scenarios/test_transitions.py",
        "pytest_smartattend/readiness/requirements.toml",
        "pytest_smartattend/readiness/templates/readiness.html.jinja",
    ):
        assert needed in names
    assert any(name.startswith("pytest_smartattend/reference/store/") and "migrations" in name for name in names)


def test_a_suite_runs_from_the_wheel_in_a_folder_that_knows_nothing_of_this_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    project = tmp_path / "project"
    project.mkdir()
    command = [
        *(sys.executable, "-P", "-m", "pytest", "--pyargs", "pytest_smartattend.suites.scenarios"),
        *("-k", "security_breach or climbs", "-q", "--smartattend-target=reference", "-p", "no:cacheprovider"),
    ]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(site), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    where = [sys.executable, "-P", "-c", "import pytest_smartattend; print(pytest_smartattend.__file__)"]
    assert str(site) in subprocess.run(where, cwd=project, capture_output=True, text=True, env=environment).stdout
