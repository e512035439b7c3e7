"""The contract in writing: `/api/openapi.json` is there for everybody and leaves no endpoint out."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import Any, cast

import pytest

from pytest_smartattend import Evidence, Platform, Tenant, contract

METHODS = {"get", "post", "put", "patch", "delete"}


def _listed(document: Any) -> set[str]:  # noqa: ANN401
    """``METHOD /path`` of all that `document` has, below ``/api`` and with the contract's name for ids."""
    paths: dict[str, dict[str, object]] = document.get("paths", {}) if isinstance(document, dict) else {}
    return {
        f"{method.upper()} {re.sub(r'{[^}]+}', '{id}', path.removeprefix('/api'))}"
        for path, operations in paths.items()
        for method in METHODS.intersection(operations)
    }


@pytest.mark.scenario("scenarios/openapi")
@pytest.mark.detects("document-missing", "document-lacks-an-endpoint")
def test_the_document_is_there_for_everybody_and_lists_every_endpoint_with_its_method(
    _smartattend_platform: Platform, _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    evidence = _smartattend_evidence
    absent = cast("list[str]", _smartattend_platform.describe().get("not_offered", []))
    offered = {
        operation
        for operation in (f"{endpoint.method} {endpoint.path}" for endpoint in contract.LISTED)
        if not any(fnmatchcase(operation, one) for one in absent)
    }
    for role in contract.ROLES:
        answer = _smartattend_tenant.actor(role).call("GET", "/openapi.json")
        evidence.expect(f"the document, asked for by {role}", answer.status, 200)
        evidence.expect("endpoints that it leaves out", sorted(offered - _listed(answer.body)), [])
