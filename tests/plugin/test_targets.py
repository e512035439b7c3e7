"""The suites against a platform that was started by its command, and one that is only a URL: equal, or not run by name."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore  # noqa: F401 - what is first imported within a test of pytester's is forgotten after it
import pytest

from pytest_smartattend.postgres.server import Server
from pytest_smartattend.target.adapter import REFERENCE, read
from pytest_smartattend.target.command_platform import CommandPlatform
from pytest_smartattend.target.reference_schema import ReferenceSchema

COMMAND = f"{sys.executable} -m pytest_smartattend.reference.serve"
SUITES = "pytest_smartattend.suites.scenarios."


def outcomes(
    pytester: pytest.Pytester, *arguments: str, timeout: float = 300
) -> tuple[dict[str, tuple[str, str]], str]:
    """Check → its outcome and why; and what pytest printed."""
    report = pytester.path / "report"
    done = pytester.run(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "--pyargs"),
        *(f"--smartattend-report={report}", *arguments),
        timeout=timeout,
    )
    document = json.loads((report / "readiness.json").read_bytes())
    found = {
        check["id"]: (check["status"], check.get("reason") or "")
        for group in document["groups"]
        for check in group["checks"]
        if check["attempts"]
    }
    return found, done.stdout.str() + done.stderr.str()


def test_the_reference_by_its_command_gives_the_outcomes_of_the_default(pytester: pytest.Pytester) -> None:
    chosen = [SUITES + name for name in ("test_security_breach", "test_health", "test_tokens", "test_attendance")]
    default, _ = outcomes(pytester, *chosen, "--smartattend-target=reference")
    words = ("--smartattend-target=command", f"--smartattend-command={COMMAND}", "--smartattend-adapter=reference")
    command, output = outcomes(pytester, *chosen, *words)
    assert {check: status for check, (status, _) in command.items()} == {
        check: status for check, (status, _) in default.items()
    }, output
    assert {status for status, _ in command.values()} == {"passed"}
    assert len(command) > 50


@pytest.fixture
def url(postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester) -> Iterator[str]:
    """A platform that runs already, a list of its tenants, and an adapter."""
    database = postgres.pool(ReferenceSchema()).take()
    platform = CommandPlatform(COMMAND, read("reference", tmp_path), postgres, database, tmp_path, tmp_path / "scratch")
    listed: list[dict[str, Any]] = []
    for _ in range(24):
        tenant = platform.seed("school", lambda _: None)
        accounts = {
            role: {"user_id": tenant.actor(role).user_id, "token": tenant.actor(role).token}
            for role in ("member", "staff", "admin", "superadmin")
        }
        listed.append({"tenant_id": tenant.id, "kind": "school", "accounts": accounts})
    (pytester.path / "tenants.json").write_text(
        json.dumps(listed).replace(listed[0]["accounts"]["admin"]["token"], "{env:ADMIN}")
    )
    monkeypatch.setenv("ADMIN", listed[0]["accounts"]["admin"]["token"])
    text = REFERENCE.read_text().replace('kind = "jwt"', 'kind = "given"')
    text = text.replace('kind = "reference"', 'kind = "file"\ntenants = "tenants.json"')
    (pytester.path / "adapter.toml").write_text(text + f'[url]\ndisposable = ["{platform.base_url}"]\n')
    yield platform.base_url
    platform.stop()


def test_behind_a_url_runs_what_it_permits_and_the_rest_is_named_as_not_run(
    pytester: pytest.Pytester, url: str
) -> None:
    chosen = [SUITES + name for name in ("test_refusals_and_windows", "test_health", "test_tokens")]
    found, output = outcomes(
        pytester, *chosen, "--smartattend-target=url", f"--smartattend-url={url}", "--smartattend-adapter=adapter.toml"
    )
    counted = Counter(status for status, _ in found.values())
    assert set(counted) == {"passed", "skipped"}, output
    assert counted["passed"] > 12, output
    not_run = {check: why for check, (status, why) in found.items() if status == "skipped"}
    assert all("not run: the target does not offer " in why for why in not_run.values()), not_run
    lacking = {
        "scenarios/health[database-down]": "a path 'database'",
        "scenarios/tokens[expired]": "a token that is expired",
    }
    for check, what in lacking.items():
        assert what in not_run[check], not_run


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_platform_that_does_not_start_is_said_once_a_worker_and_not_for_every_check(
    pytester: pytest.Pytester, workers: str
) -> None:
    words = (f"--smartattend-command={sys.executable} no-such-file", "--smartattend-adapter=reference")
    found, output = outcomes(pytester, SUITES + "test_health", "--smartattend-target=command", *words, f"-n{workers}")
    begun = max(1, int(workers))
    assert [status for status, _ in found.values()] == ["error"] * begun
    errors = output.partition("= smartattend =")[0]  # where CI is set, pytest's own summary repeats them whole
    assert errors.count("No such file or directory\n") == begun
    assert "Traceback" not in output
    assert "the platform does not start; no other check was begun" in output


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_platform_that_does_not_answer_is_a_reason_of_the_verdict_that_names_the_cause(
    pytester: pytest.Pytester, workers: str
) -> None:
    url = "http://127.0.0.1:9"
    (pytester.path / "adapter.toml").write_text(REFERENCE.read_text() + f'[url]\ndisposable = ["{url}"]\n')
    words = ["target=url", f"url={url}", "adapter=adapter.toml", "report=reports"]
    options = [f"--smartattend-{word}" for word in words]
    done = pytester.run(
        sys.executable, "-m", "pytest", "-q", f"-n{workers}", "--pyargs", SUITES + "test_health", *options, timeout=240
    )
    document = json.loads((pytester.path / "reports" / "readiness.json").read_bytes())
    (reason,) = [one["text"] for one in document["status_reasons"] if one["code"] == "run_interrupted"]
    assert "the platform does not answer; no other check was begun: " in reason
    assert "Connection refused" in reason
    assert "Connection refused" in next(line for line in done.outlines if " run_interrupted: " in line)
    assert document["status"] != "ready"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["target=command"], "--smartattend-target=command needs --smartattend-command=… and --smartattend-adapter=…"),
        (["target=url", "url=http://127.0.0.1:1/?x=1"], "Give a base URL"),
        (["target=url", "url=http://127.0.0.1:1", "adapter=reference"], "is not marked as disposable"),
        (["target=command", "command=x", "adapter=a.toml"], "a.toml cannot be read"),
        (["target=command", "command=x", "adapter=reference", "sabotage=heads-not-kept"], "in the reference only"),
    ],
)
def test_a_target_without_what_it_needs_is_refused_before_anything_starts(
    pytester: pytest.Pytester, arguments: list[str], told: str
) -> None:
    words = [f"--smartattend-{argument}" for argument in arguments]
    suite = [SUITES + "test_health", "-n2"]  # what a worker of xdist says before it runs anything is lost
    done = pytester.run(sys.executable, "-m", "pytest", "-q", "--pyargs", *suite, *words, timeout=240)
    assert done.ret == 4, done.stdout.str()
    assert told in done.stderr.str()
