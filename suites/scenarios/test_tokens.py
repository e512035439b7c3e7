"""Who may speak at all: only the bearer of a token that the platform signed, and only until it expires."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_smartattend import FORGERIES, Evidence, Tenant, contract


@pytest.mark.scenario("scenarios/tokens")
@pytest.mark.detects("unsigned-token-accepted", "any-signature-accepted", "expired-token-accepted", "token-leeway")
@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_token_that_the_platform_did_not_sign_for_now_opens_nothing(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, forgery: str
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    incident = tenant.admin.report().must()
    header = tenant.forged(forgery)
    headers = {} if header is None else {"authorization": header}
    for method, path, body in (
        ("GET", "/auth/me", None),
        ("GET", f"/incidents/{incident['id']}", None),
        ("POST", f"/incidents/{incident['id']}/acknowledge", {}),
    ):
        answer = tenant.nobody.call(method, path, body, headers=headers)
        evidence.expect(f"{method} {path.rsplit('/', 1)[-1]}", answer.summary, "401 unauthenticated")
    evidence.expect("status afterwards", tenant.admin.incident(incident["id"]).must()["status"], "open")


@pytest.mark.scenario("scenarios/login")
@pytest.mark.detects("any-password-accepted", "superadmin-cannot-log-in", "token-lives-long")
@pytest.mark.parametrize("role", contract.ROLES[1:])
def test_a_person_logs_in_with_their_password_only(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, role: str
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    email, password = tenant.credentials(role)
    for name, words in (
        ("a wrong password", {"email": email, "password": password + "x"}),
        ("an unknown person", {"email": "nobody@" + email.split("@")[1], "password": password}),
    ):
        answer = tenant.nobody.call("POST", "/auth/login", words)
        evidence.expect(f"login with {name}", answer.summary, "401 invalid_credentials")
    login = tenant.nobody.call("POST", "/auth/login", {"email": email, "password": password})
    evidence.expect("login", login.status, 200)
    lives = datetime.fromisoformat(login.body["expires_at"]) - datetime.now(UTC)  # noqa: TID251 - the platform is served
    evidence.measure(
        "a token lives for at most", lives.total_seconds(), "s", limit=contract.SHORT_LIVED.total_seconds()
    )
    bearer = {"authorization": f"Bearer {login.body['access_token']}"}
    me = tenant.nobody.call("GET", "/auth/me", headers=bearer)
    who = (tenant.actor(role).user_id, role, None if role == "superadmin" else tenant.id)
    evidence.expect("who", (me.body["id"], me.body["role"], me.body["tenant_id"]), who)
