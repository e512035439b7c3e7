"""Who may speak at all: only the bearer of a token that the platform signed, and only until it expires."""

from __future__ import annotations

import pytest

from pytest_smartattend import FORGERIES, Evidence, Tenant


@pytest.mark.scenario("scenarios/tokens")
@pytest.mark.detects("unsigned-token-accepted", "any-signature-accepted", "expired-token-accepted")
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
@pytest.mark.detects("any-password-accepted")
def test_a_person_logs_in_with_their_password_only(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    email, password = tenant.credentials("staff")
    for name, words in (
        ("a wrong password", {"email": email, "password": password + "x"}),
        ("an unknown person", {"email": "nobody@" + email.split("@")[1], "password": password}),
    ):
        answer = tenant.nobody.call("POST", "/auth/login", words)
        evidence.expect(f"login with {name}", answer.summary, "401 invalid_credentials")
    login = tenant.nobody.call("POST", "/auth/login", {"email": email, "password": password})
    evidence.expect("login", login.status, 200)
    bearer = {"authorization": f"Bearer {login.body['access_token']}"}
    me = tenant.nobody.call("GET", "/auth/me", headers=bearer)
    evidence.expect(
        "who", (me.body["id"], me.body["role"], me.body["tenant_id"]), (tenant.staff.user_id, "staff", tenant.id)
    )
