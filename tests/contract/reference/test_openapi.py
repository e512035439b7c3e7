"""The document is exact: whatever it allows is taken, whatever it forbids is named, and every answer is documented."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import hypothesis
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase

from pytest_smartattend.postgres.server import Server
from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.api.tokens import Tokens
from pytest_smartattend.reference.domain.actors import Role, User
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.reference.store.seed import Account, Tenant, seed
from pytest_smartattend.reference.wall_clock import WallClock, new_id
from pytest_smartattend.target.reference_schema import ReferenceSchema

if TYPE_CHECKING:
    from tests.contract.reference.conftest import Served

#: per endpoint, so that the whole takes some seconds
EXAMPLES = 8

DOCUMENT = create_app(Settings("", "", b"x" * 32)).openapi()
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="module")
def answering(
    postgres: Server, tmp_path_factory: pytest.TempPathFactory, serving: type[Served]
) -> Iterator[tuple[str, str]]:
    """Where a served platform answers, and an admin's token for it."""
    database = postgres.pool(ReferenceSchema()).take()
    clock, school = WallClock(), Tenant(new_id(), "A school", "school")
    admin = User(new_id(), school.id, Role.ADMIN, "admin@school.test", "The admin")
    seed(database.dsn, tenants=[school], accounts=[Account(admin)], at=clock.now())
    with serving(database, tmp_path_factory.mktemp("served"), WORKERS="2") as running:
        yield running.url, Tokens(b"s" * 32, timedelta(hours=1), clock, new_id).issue(admin).text


@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_it_behaves_as_documented(case: schemathesis.Case[Any], answering: tuple[str, str]) -> None:
    url, token = answering
    if case.meta and case.meta.generation.mode.is_positive:
        # No schema can tell which tenants exist, and which cursors were given.
        case.query.pop("cursor", None)
        if isinstance(case.body, dict):
            case.body.pop("tenant_id", None)
            case.body.pop("cursor", None)
    case.call_and_validate(base_url=url.removesuffix("/api"), headers={"Authorization": f"Bearer {token}"})


def test_the_document_is_valid_and_names_every_problem() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                written = {"text/plain", "text/markdown"} if path.endswith("/briefing") else set()
                expected = {"application/json", *written} if int(status) < 400 else {"application/problem+json"}
                assert set(response["content"]) == expected, (method, path, status)
                assert all(content["schema"] for content in response["content"].values()), (method, path, status)
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(DOCUMENT)))
    assert named == set(DOCUMENT["components"]["schemas"])
    for name, component in DOCUMENT["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(component)
        if name.startswith("Problem"):
            assert {"type", "title", "status", "detail", "code"} <= set(component["required"])
