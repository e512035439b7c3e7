"""The fixture `drill` in a stranger's project, and the shipped drills where there is nothing that they may kill."""

from __future__ import annotations

import sys

import pytest

SHIPPED = ("--pyargs", "pytest_smartattend.suites.drills", "-p", "no:cacheprovider", "-rs")


def test_shipped_drills_need_to_be_told_which_platform(pytester: pytest.Pytester) -> None:
    done = pytester.run(sys.executable, "-m", "pytest", *SHIPPED)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*need a platform to test*--smartattend-target=reference*"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            ["--smartattend-target=command", "--smartattend-command=true", "--smartattend-adapter=adapter.toml"],
            "*instances and servers that a drill may kill*",
        ),
        (
            ["--smartattend-target=reference", "--smartattend-postgres=container"],
            "*programs of PostgreSQL on this machine*",
        ),
    ],
    ids=["another platform", "another's servers"],
)
def test_shipped_drills_are_not_run_by_name_where_there_is_nothing_to_kill(
    pytester: pytest.Pytester, asked: list[str], said: str
) -> None:
    (pytester.path / "adapter.toml").write_text('name = "Acme"\n')
    done = pytester.run(sys.executable, "-m", "pytest", *SHIPPED, *asked)
    done.assert_outcomes(skipped=6)
    done.stdout.fnmatch_lines([f"*not run: the target does not offer {said}"])


def test_shipped_drills_are_not_run_by_name_where_a_container_is_the_last_resort(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        from pytest_smartattend.postgres import choosing

        def probe(provider, wanted):
            yield choosing.Choice("container", "") if provider == "container" else "not here"

        choosing._probe = probe
        """
    )
    done = pytester.run(sys.executable, "-m", "pytest", *SHIPPED, "--smartattend-target=reference")
    done.assert_outcomes(skipped=6)
    done.stdout.fnmatch_lines(["*not run: the target does not offer programs of PostgreSQL on this machine*"])


def test_a_drill_needs_no_target_and_records_its_steps(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from datetime import timedelta
        import pytest

        @pytest.mark.drill("drills/ours")
        def test_ours(drill):
            with drill("ours") as held:
                held.step("looked", actor="operator", until=lambda: {"seen": 1}, within=timedelta(seconds=5))
        """
    )
    done = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--smartattend-report=r")
    done.assert_outcomes(passed=1)
    document = (pytester.path / "r" / "readiness.json").read_text()
    assert '"drills/ours"' in document
    assert '"looked"' in document


def test_a_drill_without_a_step_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_ours(drill):
            with drill("ours"):
                pass
        """
    )
    done = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*The drill ours has no step, so it has shown nothing. Give it one.*"])
