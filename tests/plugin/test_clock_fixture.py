"""The fixture `clock` in a stranger's project."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from pytest_smartattend.engine.clock import EPOCH
from pytest_smartattend.options import OPTIONS
from pytest_smartattend.postgres import given
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.standalone import throwaway
from pytest_smartattend.wiring.clock import make

OPTION = next(option for option in OPTIONS if option.name == "clock")
ONE_HOUR = """
    import asyncio
    from datetime import timedelta

    import pytest

    @pytest.mark.asyncio
    async def test_an_hour(clock):
        await asyncio.sleep(3600)
        assert clock.elapsed >= timedelta(hours=1)
"""


@pytest.fixture(autouse=True)
def _strict_project(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n")


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)


def test_an_async_test_runs_on_the_clock_and_keeps_its_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE_HOUR)
    done = run(pytester, "-v")
    done.assert_outcomes(passed=1)
    done.stdout.fnmatch_lines(["*::test_an_hour PASSED*"])


def test_it_holds_under_xdist_in_auto_mode_and_with_asyncios_debugging(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE_HOUR)
    run(pytester, "-n", "1", "--asyncio-mode=auto", "--asyncio-debug").assert_outcomes(passed=1)


def test_tests_that_do_not_ask_for_the_clock_are_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_on_its_own_loop(request):
            assert "smartattend" not in type(asyncio.get_running_loop()).__module__
            assert not hasattr(request.node, "callspec")
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_users_own_loops_stay_with_the_users_other_tests(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import asyncio

        class Mine(asyncio.SelectorEventLoop):
            pass

        def pytest_asyncio_loop_factories(config, item):
            return {"mine": Mine, "plain": asyncio.SelectorEventLoop}
        """
    )
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_mine():
            await asyncio.sleep(0)

        @pytest.mark.asyncio
        async def test_on_the_clock(clock):
            await asyncio.sleep(3600)
        """
    )
    done = run(pytester, "-v")
    done.assert_outcomes(passed=3)
    done.stdout.fnmatch_lines(["*test_mine?mine? PASSED*", "*test_mine?plain? PASSED*", "*test_on_the_clock PASSED*"])


def test_each_test_has_a_clock_of_its_own_also_when_it_is_run_again(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from datetime import timedelta
        import pytest

        runs = []

        @pytest.mark.asyncio
        @pytest.mark.parametrize("cell", ["a", "b"])
        async def test_afresh(clock, cell):
            assert clock.elapsed == timedelta(0)
            await asyncio.sleep(60)
            runs.append(cell)
            assert len(runs) != 1
        """
    )
    done = run(pytester, "--reruns=1", "-v")
    done.assert_outcomes(passed=2)
    done.stdout.fnmatch_lines(["*test_afresh?a? RERUN*", "*test_afresh?a? PASSED*", "*test_afresh?b? PASSED*"])


def test_async_fixtures_run_on_the_clock_whatever_their_order(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from datetime import timedelta
        import pytest
        import pytest_asyncio

        @pytest_asyncio.fixture
        async def warm():
            await asyncio.sleep(3600)
            yield asyncio.get_running_loop()
            await asyncio.sleep(3600)

        @pytest.mark.asyncio
        async def test_warm(warm, clock):
            assert clock.elapsed == timedelta(hours=1)
            assert asyncio.get_running_loop() is warm
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_plain_test_moves_the_clock_by_hand(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from datetime import datetime, timedelta, UTC

        def test_by_hand(clock):
            with clock.wall():
                clock.advance(timedelta(days=1))
                assert datetime.now(UTC) == clock.start + timedelta(days=1)
            clock.run(asyncio.sleep(60))
            assert clock.elapsed == timedelta(days=1, minutes=1)

        def test_asked_for_late(request):
            assert request.getfixturevalue("clock").elapsed == timedelta(0)
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_a_same_named_fixture_of_the_users_does_not_reach_ours(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.fixture
        def clock():
            return "on the wall"

        @pytest.mark.asyncio
        async def test_both(clock, _smartattend_clock):
            await asyncio.sleep(3600)
            assert clock == "on the wall"
            assert _smartattend_clock.elapsed.total_seconds() == 3600
        """
    )
    run(pytester).assert_outcomes(passed=1)


def test_a_loop_that_outlives_the_test_is_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ONE_HOUR.replace("mark.asyncio", 'mark.asyncio(loop_scope="module")'))
    done = run(pytester)
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*Leave loop_scope out of its mark*"])


def test_a_check_on_the_clock_keeps_its_id(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        from pytest_smartattend import marks

        @pytest.mark.simulation("simulations/mine")
        @pytest.mark.asyncio
        async def test_mine(clock, request):
            assert marks.check_of(request.node) == ("simulations", "simulations/mine")

        @pytest.mark.simulation("simulations/ours")
        @pytest.mark.asyncio
        @pytest.mark.parametrize("cell", ["low"])
        async def test_ours(clock, request, cell):
            assert marks.check_of(request.node) == ("simulations", "simulations/ours[low]")
        """
    )
    run(pytester).assert_outcomes(passed=2)


def test_the_option_chooses_how_time_passes(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        import pytest

        @pytest.mark.asyncio
        async def test_mode(clock):
            assert (clock.mode, clock.factor) == ("scaled", 2.5)
            await asyncio.sleep(0.1)
        """
    )
    run(pytester, "--smartattend-clock=2.5x").assert_outcomes(passed=1)


def test_a_factor_that_does_not_move_time_forward_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    done = run(pytester, "--smartattend-clock=0x")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*--smartattend-clock: cannot read '0x'*60x*"])


@pytest.mark.parametrize("said", ["0x", "0.0x", "-60x", "fast", "60", "x", "1e3x", "infx", "nanx"])
def test_no_other_word_is_taken_for_a_factor(said: str) -> None:
    with pytest.raises(ValueError, match="60x"):
        OPTION.parse(said)


@pytest.mark.parametrize(
    ("said", "mode", "factor"),
    [("Discrete", "discrete", 1), ("real", "real", 1), ("60x", "scaled", 60), ("0.5x", "scaled", 0.5)],
)
def test_each_word_makes_its_clock(said: str, mode: str, factor: float) -> None:
    made = make(OPTION.parse(said), seed=7)
    assert (made.mode, made.factor, made.seed) == (mode, factor, 7)
    assert (made.start == EPOCH) == (mode != "real")


NOW = """
    import psycopg
    from datetime import timedelta

    def test_now(clock, database, database_clock):
        clock.advance(timedelta(days=1))
        with psycopg.connect(database.dsn) as connection:
            assert connection.execute("select now()").fetchone() == (clock.start + timedelta(days=1),)
            connection.execute("create view today as select current_date")
"""


def test_the_databases_clock_follows_and_what_cannot_is_told_by_name(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(NOW)
    done = run(pytester, "-W", "default")
    done.assert_outcomes(passed=1, warnings=1)
    done.stdout.fnmatch_lines(["*PytestWarning: does not follow the database's clock: view today: CURRENT_DATE*"])


def test_where_we_are_no_superuser_a_test_that_needs_the_databases_clock_is_not_run_and_says_so(
    pytester: pytest.Pytester,
) -> None:
    with throwaway(Wanted()) as server, server.connect() as connection:
        connection.execute("create database marked")
        connection.execute(f"comment on database marked is '{given.MARK}'; create role maker login createdb")
        address = Path(str(server.address)).parent
        pytester.makepyfile(NOW)
        url = f"postgresql://maker@{quote(str(address), safe='')}:5432/marked"
        done = run(pytester, "-rs", f"--smartattend-postgres={url}")
    done.assert_outcomes(skipped=1)
    done.stdout.fnmatch_lines(["SKIPPED*test_now: only a superuser can replace the database's clock*"])
