"""A platform that is seeded by requests and whose tokens are given to who logs in, from its adapter to a check's outcome."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pytest_smartattend.errors import ContractBroken, NotOffered, TargetFailed, UsageError
from pytest_smartattend.target.adapter import read
from pytest_smartattend.target.client import Operation
from pytest_smartattend.target.url_platform import UrlPlatform
from tests.contract.small_backend import ADAPTER, KEY, SmallBackend


def ignored(_operation: Operation) -> None:
    pass


@pytest.fixture
def backend() -> Iterator[SmallBackend]:
    made = SmallBackend()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def platform(backend: SmallBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UrlPlatform]:
    monkeypatch.setenv("SEED_KEY", KEY)
    (tmp_path / "adapter.toml").write_text(ADAPTER.replace("@url@", backend.url))
    made = UrlPlatform(backend.url, read("adapter.toml", tmp_path))
    yield made
    made.close()


def test_tenants_are_made_by_requests_with_the_ids_that_the_platform_chose(
    backend: SmallBackend, platform: UrlPlatform
) -> None:
    tenant, other = platform.seed("school", ignored), platform.seed("corporate", ignored)
    kinds = {reference: org["about"]["kind"] for reference, org in backend.orgs.items()}
    # one more than was asked for: with its people the tokens are looked at
    assert sorted(kinds.values()) == ["corporate", "school", "school"]
    assert (kinds[tenant.id], kinds[other.id]) == ("school", "corporate")
    me = tenant.admin.call("GET", "/auth/me").must()
    assert (me["id"], me["role"], me["tenant_id"]) == (tenant.admin.user_id, "admin", tenant.id)
    assert tenant.superadmin.call("GET", "/auth/me").must()["tenant_id"] is None
    incident = tenant.staff.report("By its own words").must()["id"]
    assert tenant.admin.incident(incident).must()["title"] == "By its own words"
    assert other.admin.incident(incident).summary == "404 not_found"


def test_one_more_person_can_be_added_for_a_replay(platform: UrlPlatform) -> None:
    tenant = platform.seed("school", ignored)
    cast = platform.cast(tenant.id, {"the second": "staff", "above all": "superadmin"}, ignored)
    assert cast["the second"].call("GET", "/auth/me").must()["tenant_id"] == tenant.id
    assert cast["above all"].call("GET", "/auth/me").must()["tenant_id"] is None


def test_a_tenant_gets_drift_limits_of_its_own(backend: SmallBackend, platform: UrlPlatform, tmp_path: Path) -> None:
    tenant = platform.seed("school", ignored)
    limits = {"accepted": timedelta(seconds=1), "flagged": timedelta(seconds=2.5), "blocked": timedelta(minutes=1)}
    platform.drift_limits(tenant.id, limits)
    assert backend.orgs[tenant.id]["limits"] == {"ok": 1000, "odd": 2500, "no": "up to 60000"}

    lines = [line for line in (tmp_path / "adapter.toml").read_text().splitlines() if "drift_limits" not in line]
    (tmp_path / "adapter.toml").write_text("\n".join(lines))
    with (
        closing(UrlPlatform(backend.url, read("adapter.toml", tmp_path))) as without,
        pytest.raises(NotOffered, match=r"\[seed\] drift_limits"),
    ):
        without.drift_limits(tenant.id, limits)


def test_a_token_that_nobody_can_read_is_forged_as_far_as_it_goes(platform: UrlPlatform) -> None:
    tenant = platform.seed("school", ignored)
    for kind in ("garbage", "basic-scheme"):
        header = {"authorization": tenant.forged(kind) or ""}
        assert tenant.nobody.call("GET", "/auth/me", headers=header).summary == "401 unauthenticated"
    for kind in ("unsigned", "other-secret", "expired", "unknown-user", "role-raised"):
        with pytest.raises(NotOffered, match="not run: the target does not offer a token"):
            tenant.forged(kind)


def without_the_key(_: SmallBackend, monkeypatch: pytest.MonkeyPatch, __: Path) -> None:
    monkeypatch.delenv("SEED_KEY")


def with_another_key(_: SmallBackend, monkeypatch: pytest.MonkeyPatch, __: Path) -> None:
    monkeypatch.setenv("SEED_KEY", "another")


def with_another_path(_: SmallBackend, __: pytest.MonkeyPatch, adapter: Path) -> None:
    adapter.write_text(adapter.read_text().replace('"data.ref" }\nuser', '"data.id" }\nuser'))


def with_another_password(_: SmallBackend, __: pytest.MonkeyPatch, adapter: Path) -> None:
    adapter.write_text(
        adapter.read_text().replace('word = "{password}", role = "{role}"', 'word = "x", role = "{role}"')
    )


def with_a_nameless_token(backend: SmallBackend, _: pytest.MonkeyPatch, __: Path) -> None:
    backend.token_name = "unnamed"


def when_it_has_gone(backend: SmallBackend, _: pytest.MonkeyPatch, __: Path) -> None:
    backend.shutdown()
    backend.server_close()


@pytest.mark.parametrize(
    ("wrong", "kind", "told"),
    [
        (without_the_key, UsageError, r"environment variable SEED_KEY, which is not set\. Set it"),
        (with_another_key, TargetFailed, r"\[seed\] tenant, POST /seed/orgs, was answered with 403: .*who seeds.*headers"),
        (with_another_path, TargetFailed, r"\[seed\] tenant: the answer has no 'data\.id': .*Correct id"),
        (with_another_password, TargetFailed, r"logging the member in, .*401 invalid_credentials.*\[seed\]"),
        (with_a_nameless_token, ContractBroken, r"/auth/login told no access_token: .*unnamed.*\[api\.names\]"),
        (when_it_has_gone, TargetFailed, r"Looking at the platform, .*ConnectError"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_by_its_step_with_a_remedy(
    backend: SmallBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Callable[[SmallBackend, pytest.MonkeyPatch, Path], None],
    kind: type[Exception],
    told: str,
) -> None:
    monkeypatch.setenv("SEED_KEY", KEY)
    adapter = tmp_path / "adapter.toml"
    adapter.write_text(ADAPTER.replace("@url@", backend.url))
    wrong(backend, monkeypatch, adapter)
    with pytest.raises(kind, match=told):
        seeded(backend.url, tmp_path)


def seeded(url: str, folder: Path) -> None:
    with closing(UrlPlatform(url, read("adapter.toml", folder))) as platform:
        platform.seed("school", ignored)


def test_under_pytest_its_checks_pass_or_are_not_run_by_name(
    backend: SmallBackend, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEED_KEY", KEY)
    (pytester.path / "adapter.toml").write_text(ADAPTER.replace("@url@", backend.url))
    done = pytester.run(
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "pytest_smartattend.suites.scenarios"),
        *("--smartattend-target=url", f"--smartattend-url={backend.url}", "--smartattend-adapter=adapter.toml"),
        *("--smartattend-checks=scenarios/login,scenarios/tokens", "--smartattend-report=report"),
        timeout=180,
    )  # fmt: skip
    text = (pytester.path / "report" / "readiness.json").read_text()
    ran = {
        check["id"]: (check["status"], check["reason"] or "")
        for group in json.loads(text)["groups"]
        for check in group["checks"]
        if check["attempts"]
    }
    passed = {check for check, (status, _) in ran.items() if status == "passed"}
    assert passed == {f"scenarios/login[{role}]" for role in ("member", "staff", "admin", "superadmin")}, done.outlines
    reasons = [why for check, (_, why) in ran.items() if check not in passed]
    assert len(reasons) == 8
    assert all(
        "not run: the target does not offer POST /incidents/{id}/acknowledge" in why or "a token" in why
        for why in reasons
    )
    assert KEY not in text
    assert "of everybody" not in text
