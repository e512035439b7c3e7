from __future__ import annotations

import asyncio
import base64
import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx
import jwt
import pytest
from sqlalchemy import true

from pytest_smartattend.reference.api import passwords
from pytest_smartattend.reference.domain.actors import Role

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

pytestmark = pytest.mark.asyncio

SECRET = b"of the tests, 32 bytes and more!"
#: the table of the specification, by hand: method, path, least role
ENDPOINTS = [
    ("GET", "/auth/me", "member"),
    ("POST", "/incidents", "staff"),
    ("GET", "/incidents", "staff"),
    ("GET", "/incidents/{id}", "staff"),
    ("GET", "/incidents/{id}/timeline", "staff"),
    ("GET", "/incidents/{id}/escalations", "staff"),
    ("GET", "/incidents/{id}/root-causes", "staff"),
    ("GET", "/incidents/{id}/refusals", "staff"),
    ("GET", "/incidents/{id}/sla", "staff"),
    ("PATCH", "/incidents/{id}/severity", "admin"),
    ("POST", "/incidents/{id}/acknowledge", "admin"),
    ("POST", "/incidents/{id}/escalate", "admin"),
    ("POST", "/incidents/{id}/investigate", "admin"),
    ("POST", "/incidents/{id}/root-cause", "admin"),
    ("POST", "/incidents/{id}/mitigate", "admin"),
    ("POST", "/incidents/{id}/resolve", "admin"),
    ("POST", "/incidents/{id}/close", "admin"),
    ("POST", "/incidents/{id}/reopen", "admin"),
    ("POST", "/validation/incidents/{id}/export", "admin"),
    ("POST", "/validation/incidents/export", "admin"),
]
#: those of attendance, whose bodies and rows have tests of their own
OF_ATTENDANCE = {
    ("POST", "/school/attendance"): "member",
    ("POST", "/corporate/checkins"): "member",
    ("GET", "/attendance/{id}"): "staff",
    ("GET", "/attendance/{id}/history"): "staff",
    ("POST", "/attendance/{id}/state"): "staff",
    ("GET", "/corrections/history/{id}"): "staff",
    ("POST", "/corrections/{id}"): "staff",
    ("POST", "/corrections/{id}/revert"): "admin",
    ("GET", "/metrics/health-status"): "admin",
    ("GET", "/metrics/failure-rates"): "admin",
    ("GET", "/metrics/api-latency"): "admin",
    ("GET", "/metrics/clock-drift"): "admin",
}
#: those of handoffs, which have tests of their own
OF_HANDOFFS = {
    ("POST", "/validation/handoff/initiate"): "admin",
    ("POST", "/validation/handoff/{id}/accept"): "admin",
    ("POST", "/validation/handoff/{id}/reject"): "admin",
    ("GET", "/validation/handoff/{id}/briefing"): "admin",
}
FOR_ANYONE = {("GET", "/health"), ("POST", "/auth/login"), ("GET", "/time/sync"), ("POST", "/time/validate")}
ROLES = ["member", "staff", "admin", "superadmin"]
VALID: dict[str, dict[str, Any]] = {
    "severity": {"severity": "critical", "reason": "it spreads"},
    "escalate": {"level": "executive"},
    "root-cause": {"root_cause": "the disk was full", "confidence": "low"},
    "resolve": dict.fromkeys(["root_cause", "remediation_steps", "prevention_measures"], "long enough"),
}


async def call(client: httpx.AsyncClient, method: str, path: str, incident: str) -> httpx.Response:
    body = VALID.get(path.rsplit("/", 1)[-1], {}) if method != "GET" else None
    return await client.request(method, path.replace("{id}", incident), json=body)


async def test_the_documented_endpoints_are_those_of_the_specification(world: World) -> None:
    document = (await world.client(None).get("/openapi.json")).json()
    documented = {
        (method.upper(), path.removeprefix("/api")): operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    specified = {(method, path): least for method, path, least in ENDPOINTS} | OF_ATTENDANCE | OF_HANDOFFS
    assert set(documented) == {*specified, *FOR_ANYONE}
    for endpoint, least in specified.items():
        assert documented[endpoint]["description"] == f"Least role: {least}."
        assert documented[endpoint]["security"] == [{"bearer": []}]


@pytest.mark.parametrize(("method", "path", "least"), ENDPOINTS)
async def test_role_is_judged_before_row_and_a_foreign_row_is_not_there(
    world: World, method: str, path: str, least: str
) -> None:
    own, foreign = await world.incident(), await world.incident(tenant="there")
    before = world.rows("SELECT * FROM incidents WHERE id = %s", foreign)
    nobody = await call(world.client(None), method, path, own)
    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"] == "Bearer"
    for role in ROLES:
        unknown = [str(uuid4()), "not-an-id", own.replace("-", ""), "%00"] if role == least else []
        for incident in (own, foreign, *unknown):
            answer = await call(world.client(role), method, path, incident)
            if ROLES.index(role) < ROLES.index(least):
                assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (role, incident)
            elif "{id}" in path and incident != own and not (role == "superadmin" and incident == foreign):
                absent = {"detail": "there is no such incident; see GET /api/incidents", "code": "not_found"}
                assert answer.status_code == 404, (role, incident)
                assert answer.json().items() >= absent.items()
            else:
                assert answer.status_code not in {401, 403, 404}, (role, incident, answer.text)
        if role != "superadmin":
            assert world.rows("SELECT * FROM incidents WHERE id = %s", foreign) == before


async def test_a_list_shows_ones_own_tenant_and_a_superadmin_all(world: World) -> None:
    here, there = await world.incident(), await world.incident(tenant="there")
    for role, tenant, seen in (
        ("staff", "here", {here}),
        ("admin", "there", {there}),
        ("superadmin", "here", {here, there}),
    ):
        items = (await world.client(role, tenant).get("/incidents")).json()["items"]
        assert {item["id"] for item in items} == seen


async def test_either_filter_alone_keeps_tenants_apart(world: World) -> None:
    """The application's filter and row-level security each do it alone; the check sees it when both are off."""
    foreign = await world.incident(tenant="there")
    staff = world.client("staff")

    async def seen() -> int:
        return (await staff.get(f"/incidents/{foreign}")).status_code

    rows = world.platform.desk.rows
    rows.visible = lambda scope: true()  # type: ignore[method-assign]
    assert await seen() == 404
    with world.sql() as connection:
        connection.execute("ALTER TABLE incidents DISABLE ROW LEVEL SECURITY")
        assert await seen() == 200
        del rows.visible
        assert await seen() == 404


@pytest.mark.parametrize("role", [None, "member"])
@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"x" * 2_000_000])
async def test_a_malformed_body_of_somebody_without_the_role_is_not_even_looked_at(
    world: World, role: str | None, content: bytes
) -> None:
    answer = await world.client(role).post("/incidents", content=content, headers={"content-type": "text/odd"})
    assert answer.status_code == (403 if role else 401)


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"level": "level_1", "colour": "red"}'])
async def test_the_body_is_judged_before_the_row(world: World, body: bytes) -> None:
    answer = await world.client().post(
        f"/incidents/{uuid4()}/escalate", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code in {400, 422}


def forged(world: World, kind: str) -> str:
    admin = world.people["here", Role.ADMIN]
    now = int(world.clock.now().timestamp())
    claims: dict[str, Any] = {"sub": str(admin.id), "tid": str(admin.tenant_id), "role": "admin", "iat": now}
    claims |= {"exp": now + 60, "jti": str(uuid4())}
    good = jwt.encode(claims, SECRET)
    match kind:
        case "unsigned":
            return jwt.encode(claims, None, algorithm="none")
        case "unsigned with the good one's signature":
            header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
            return header + good[good.index(".") :]
        case "another secret":
            return jwt.encode(claims, b"another secret of 32 bytes or more")
        case "another algorithm":
            return jwt.encode(claims, SECRET * 4, algorithm="HS512")
        case "expired":
            return jwt.encode({**claims, "exp": now}, SECRET)
        case "without an end":
            return jwt.encode({name: value for name, value in claims.items() if name != "exp"}, SECRET)
        case "an end that is no number":
            return jwt.encode({**claims, "exp": "never"}, SECRET)
        case "unknown user":
            return jwt.encode({**claims, "sub": str(uuid4())}, SECRET)
        case "raised role":
            return jwt.encode({**claims, "role": "superadmin", "tid": None}, SECRET)
        case "another tenant":
            return jwt.encode({**claims, "tid": str(world.tenants["there"])}, SECRET)
        case "a role that does not exist":
            return jwt.encode({**claims, "role": "god"}, SECRET)
        case "claims that are no object":
            return jwt.PyJWS().encode(json.dumps([1]).encode(), SECRET)
        case "cut off":
            return good[:-3]
        case "odd characters":
            return good[:-3] + "é\x7f"
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "unsigned",
        "unsigned with the good one's signature",
        "another secret",
        "another algorithm",
        "expired",
        "without an end",
        "an end that is no number",
        "unknown user",
        "raised role",
        "another tenant",
        "a role that does not exist",
        "claims that are no object",
        "cut off",
        "odd characters",
    ],
)
async def test_a_token_that_does_not_hold_opens_nothing(world: World, kind: str) -> None:
    header = f"Bearer {forged(world, kind)}".encode("latin-1")
    answer = await world.client(None).get("/auth/me", headers={b"authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), answer.text


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "bearer x y", "Bearer\tx", "Token x"])
async def test_a_header_that_carries_no_token_opens_nothing(world: World, header: str) -> None:
    answer = await world.client(None).get("/auth/me", headers={"authorization": header})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_a_token_ends_on_the_platforms_clock(world: World) -> None:
    staff = world.client("staff")
    world.clock.instant += timedelta(days=1, microseconds=-1)
    assert (await staff.get("/auth/me")).status_code == 200
    world.clock.instant += timedelta(microseconds=1)
    assert (await staff.get("/auth/me")).status_code == 401


async def test_who_lost_the_role_or_the_account_is_out_at_once(world: World) -> None:
    staff, admin = world.client("staff"), world.client("admin")
    with world.sql() as connection:
        connection.execute("DELETE FROM users WHERE email = 'staff@here.test'")
        connection.execute("UPDATE users SET role = 'member' WHERE email = 'admin@here.test'")
    assert (await staff.get("/auth/me")).status_code == 401
    assert (await admin.get("/auth/me")).status_code == 401


async def test_login_gives_a_token_that_works_whatever_the_case_of_the_address(world: World) -> None:
    nobody = world.client(None)
    answer = await nobody.post("/auth/login", json={"email": "ADMIN@Here.test", "password": "correct horse"})
    assert answer.status_code == 200
    assert answer.json()["expires_at"] == "2026-03-03T08:00:00.000000Z"
    me = await nobody.get("/auth/me", headers={"authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.json() == answer.json()["user"]
    assert (me.json()["role"], me.json()["tenant_id"]) == ("admin", str(world.tenants["here"]))


@pytest.mark.parametrize(
    ("email", "password"), [("admin@here.test", "wrong"), ("nobody@here.test", "correct horse"), ("' OR 1=1 --", "x")]
)
async def test_a_login_that_fails_does_not_tell_which_part_was_wrong(world: World, email: str, password: str) -> None:
    answer = await world.client(None).post("/auth/login", json={"email": email, "password": password})
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
    assert answer.json()["detail"] == "check the email address and the password"


async def test_an_account_without_a_password_cannot_log_in(world: World) -> None:
    with world.sql() as connection:
        connection.execute("UPDATE users SET password_hash = NULL WHERE email = 'admin@here.test'")
    answer = await world.client(None).post(
        "/auth/login", json={"email": "admin@here.test", "password": "correct horse"}
    )
    assert answer.status_code == 401


async def test_logins_do_not_hold_up_other_requests(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, over = threading.Event(), threading.Event()

    def compared(*_: str) -> bool:
        begun.set()
        # as long as it takes: on a busy machine eight real ones may be done before the database lets the other in
        return over.wait(10)

    monkeypatch.setattr(passwords, "_matches", compared)
    nobody, staff = world.client(None), world.client("staff")
    logins = [
        asyncio.create_task(nobody.post("/auth/login", json={"email": "nobody@here.test", "password": "x"}))
        for _ in range(8)
    ]
    await asyncio.to_thread(begun.wait, 10)
    answered = await staff.get("/auth/me")
    assert answered.status_code == 200
    assert not any(login.done() for login in logins)
    over.set()
    assert {login.status_code for login in await asyncio.gather(*logins)} == {401}
