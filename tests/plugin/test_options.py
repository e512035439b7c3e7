"""The table of options: each by command line, environment and ini, in that order; and what a wrong value is told."""

from __future__ import annotations

import pytest

from pytest_smartattend.options import OPTIONS, Option

SHOW = """
    import pytest

    def test_shown(request):
        from pytest_smartattend.wiring import run

        print("settings:", run.of(request.config).settings)
"""
#: option → two values, as text and as they are shown
OTHER: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "platform_workers": (("3", "3"), ("4", "4")),
    "postgres": (("system", "'system'"), ("embedded", "'embedded'")),
    "postgres_version": ((">= 16", "'>=16'"), ("18", "'18'")),
    "postgres_extensions": (("citext, hstore", "('citext', 'hstore')"), ("citext", "('citext',)")),
    "postgres_locale": (("C.UTF-8", "'C.UTF-8'"), ("en_GB.UTF-8", "'en_GB.UTF-8'")),
    "postgres_image": (("postgres:17", "'postgres:17'"), ("postgres:16", "'postgres:16'")),
    "schema": (("a.sql", "'a.sql'"), ("b.sql", "'b.sql'")),
    "keep": (("0", "0"), ("7", "7")),
    "allow_host": (("db.test", "('db.test',)"), ("one.test two.test", "('one.test', 'two.test')")),
    "seed": (("0x10", "16"), ("17", "17")),
    "subject": (("v1.2.3", "'v1.2.3'"), ("v1.2.4", "'v1.2.4'")),
}
PLAIN = [option for option in OPTIONS if option.name in OTHER]


def _shown(done: pytest.RunResult, option: Option) -> str:
    line = next(line for line in done.outlines if "settings: Settings(" in line)
    return line.split(f"{option.name}=", 1)[1]


@pytest.mark.parametrize("option", PLAIN, ids=lambda option: option.name)
def test_an_option_is_read_from_command_line_environment_and_ini_in_that_order(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: Option
) -> None:
    (text, shown), (second_text, second_shown) = OTHER[option.name]
    pytester.makepyfile(SHOW)
    for schema in ("a.sql", "b.sql"):  # one that is missing would end the run at its start
        (pytester.path / schema).touch()
    assert _shown(pytester.runpytest_inprocess("-s"), option).startswith(repr(option.default))
    pytester.makeini(f"[pytest]\n{option.ini} = {text}\n")
    assert _shown(pytester.runpytest_inprocess("-s"), option).startswith(shown)
    monkeypatch.setenv(option.environment, second_text)
    assert _shown(pytester.runpytest_inprocess("-s"), option).startswith(second_shown)
    done = pytester.runpytest_inprocess("-s", f"{option.command_line}={text}")
    assert _shown(done, option).startswith(shown)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("target", "production"),
        ("platform_workers", "0"),
        ("postgres", "mysql"),
        ("postgres_version", "latest"),
        ("keep", "-1"),
        ("seed", "soon"),
        ("strict", "perhaps"),
    ],
)
@pytest.mark.parametrize("source", ["environment", "ini"])
def test_a_value_that_cannot_be_read_is_a_usage_error_naming_its_source(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, name: str, wrong: str, source: str
) -> None:
    option = next(option for option in OPTIONS if option.name == name)
    if source == "environment":
        monkeypatch.setenv(option.environment, wrong)
        said = option.environment
    else:
        pytester.makeini(f"[pytest]\n{option.ini} = {wrong}\n")
        said = f"{option.ini} in *"
    done = pytester.runpytest_inprocess()
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {said}: cannot read *Give *{option.accepts.split(',')[0][:20]}*"])


def test_the_suites_say_that_they_need_a_target(pytester: pytest.Pytester) -> None:
    done = pytester.runpytest_inprocess("--pyargs", "pytest_smartattend.suites")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*need a platform to test*--smartattend-target=reference*"])


def test_under_xdist_it_is_said_once_too(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(platform): pass\ndef test_two(tenant): pass\ndef test_three(): pass")
    done = pytester.runpytest_subprocess("-n2")
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    done.stdout.fnmatch_lines(["2 of the collected tests need a platform to test*--smartattend-target=reference*"])
    done.assert_outcomes(errors=1)


def test_an_unknown_sabotage_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_one(): pass")
    done = pytester.runpytest_inprocess("--smartattend-sabotage=nothing-like-it")
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines(["*there is no 'nothing-like-it'*smartattend prove --list*"])
