"""Two shifts of the reference platform's operators, and what they do with each other."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import httpx

from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.reference.store.seed import Account, seed

if TYPE_CHECKING:
    from tests.contract.reference.conftest import World

HANDOFF = "/validation/handoff"
SAID = "It is the database; the pool is used up."


class Shift:
    """Two admins of one school, and two superadmins."""

    def __init__(self, world: World) -> None:
        self.world = world
        tenant = world.tenants["here"]
        self.people = {
            "outgoing": world.people["here", Role.ADMIN],
            "incoming": User(uuid.uuid4(), tenant, Role.ADMIN, "next@here.test", "The next admin"),
            "third": User(uuid.uuid4(), tenant, Role.ADMIN, "third@here.test", "The third admin"),
            "foreign": world.people["there", Role.ADMIN],
            "staff": world.people["here", Role.STAFF],
            "superadmin": world.people["here", Role.SUPERADMIN],
            "next superadmin": world.people["there", Role.SUPERADMIN],
        }
        seed(
            world.database.dsn,
            accounts=[Account(self.people["incoming"]), Account(self.people["third"])],
            at=world.clock.now(),
        )

    def client(self, who: str) -> httpx.AsyncClient:
        client = self.world.client(None)
        client.headers["Authorization"] = f"Bearer {self.world.platform.tokens.issue(self.people[who]).text}"
        return client

    def id(self, who: str) -> str:
        return str(self.people[who].id)

    async def initiate(self, by: str = "outgoing", to: str = "incoming", **more: str) -> Any:
        body = {"to_user_id": self.id(to), **more}
        answer = await self.client(by).post(f"{HANDOFF}/initiate", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def accept(self, handoff: Any, by: str = "incoming", **said: str) -> httpx.Response:
        read_back = [
            {"incident_id": item["id"], "said": SAID} for item in handoff["incidents"] if item["severity"] == "critical"
        ]
        return await self.client(by).post(f"{HANDOFF}/{handoff['id']}/accept", json={"read_back": read_back, **said})

    def owners(self) -> dict[str, str]:
        rows = self.world.rows("SELECT id, owner_id FROM incidents ORDER BY id")
        return {str(row["id"]): str(row["owner_id"]) for row in rows}
