"""An adapter file is read strictly: whatever it says wrongly is told with its line, and what may have been meant."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from pytest_smartattend.errors import UsageError
from pytest_smartattend.target import contract
from pytest_smartattend.target.adapter import Adapter, fill, read
from pytest_smartattend.target.operations import OPERATIONS, TABLES, operation_of

WHOLE = """\
name = "Acme"

[start.environment]
JWT_KEY = "{secret}"

[api]
prefix = "/v2"
not_offered = ["* /metrics/*"]

[api.paths]
"POST /incidents" = "POST /cases"
"GET /incidents/{id}/sla" = "GET /cases/{id}/promises"

[api.names]
severity = "priority"

[api.codes]
BAD_STATE = "409 invalid_transition"

[seed]
kind = "steps"
tenant = "insert into orgs (id) values (%(tenant_id)s)"
user = { call = "POST /people", body = { name = "{name}" }, id = "data.id" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "adapter.toml"


def test_a_whole_file_is_read(file: Path) -> None:
    file.write_text(WHOLE)
    adapter = read("adapter.toml", file.parent)
    assert adapter.api.paths["POST /incidents"] == "POST /cases"
    assert not adapter.offers("GET /metrics/api-latency")
    assert adapter.offers("GET /incidents")
    assert not adapter.api.is_contract


def test_the_adapter_that_ships_translates_nothing(tmp_path: Path) -> None:
    adapter = read("reference", tmp_path)
    assert adapter.api.is_contract
    assert all(adapter.offers(operation) for operation in OPERATIONS)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ('"POST /incidents" =', '"POST /incident" =', r":11: api.paths: there is no operation 'POST /incident'; did you mean 'POST /incidents'\?"),
        ('severity = "p', 'severety = "p', r":15: api.names: there is no field 'severety'; did you mean 'severity'\?"),
        ("[api.names]", "[api.nmaes]", r":14: api.nmaes: there is no such key; did you mean 'names'\?"),
        ('"409 inv', '"inv', r":18: api.codes: 'BAD_STATE' = 'invalid_transition' is no status and code"),
        ("/cases/{id}/p", "/cases/p", r":12: api.paths: .*both sides need the same \{…\}"),
        ('"POST /cases"', '"/cases"', r":11: api.paths: .*is no 'METHOD /path'"),
        ("{secret}", "{secrte}", r":4: start.environment: \{secrte\} stands for nothing here; there are: .*secret"),
        ("%(tenant_id)s", "%(tenant)s", r":22: seed: there is no parameter 'tenant'; did you mean 'tenant_id'\?"),
        ("* /metrics/*", "* /metric/*", r":8: api.not_offered: '\* /metric/\*' fits no operation"),
        ('kind = "steps"', 'kind = "stops"', r":21: seed.kind: "),
        ('user = {', 'usr = {', r":23: seed.usr: there is no such key; did you mean 'user'\?"),
        ('prefix = "/v2"', "prefix = 2", r":7: api.prefix: .*string"),
        ('prefix = "/v2"', "prefix = /v2", r"at line 7.*Correct the TOML"),
        ('severity = "priority"', 'severity = "n"\ntitle = "n"', r"'title' and 'severity' are both called 'n'"),
    ],
)  # fmt: skip
def test_a_typo_is_told_with_its_place(file: Path, right: str, wrong: str, told: str) -> None:
    assert right in WHOLE
    file.write_text(WHOLE.replace(right, wrong))
    with pytest.raises(UsageError, match=told):
        read("adapter.toml", file.parent)


def test_a_file_that_is_not_there_is_told_with_what_writes_one(file: Path) -> None:
    with pytest.raises(UsageError, match=r"adapter.toml cannot be read.*smartattend init"):
        read("adapter.toml", file.parent)


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "k")
    monkeypatch.delenv("ACME_OTHER", raising=False)
    assert fill("a {env:ACME_KEY} {role}", {"role": "staff"}) == "a k staff"
    with pytest.raises(UsageError, match="needs the environment variable ACME_OTHER, which is not set"):
        fill("{env:ACME_OTHER}", {})


def test_every_endpoint_of_the_contract_is_an_operation() -> None:
    listed = {f"{one.method} {one.path}" for one in contract.LISTED}
    assert listed == set(OPERATIONS) - {"GET /openapi.json"}  # which lists them


def test_a_path_is_known_by_what_it_says_most_plainly() -> None:
    assert operation_of("POST", "/validation/incidents/export") == "POST /validation/incidents/export"
    assert operation_of("GET", "/corrections/history/7") == "GET /corrections/history/{id}"
    assert operation_of("POST", "/incidents/7/open") is None
    assert Adapter(name="x").offers("GET /health")


PAGE = Path(__file__).parents[2] / "docs" / "reference" / "adapter.md"


def test_every_table_of_the_records_stands_on_their_page() -> None:
    (row,) = (line for line in PAGE.read_text().splitlines() if line.startswith("| `records` |"))
    assert set(re.findall(r"`(\w+)`", row.partition("Tables: ")[2])) == TABLES


def test_every_key_stands_on_its_page() -> None:
    page = PAGE.read_text()
    models = [Adapter, *(field.annotation for field in Adapter.model_fields.values())]
    keys = [
        name
        for model in models
        if isinstance(model, type) and issubclass(model, BaseModel)
        for name in model.model_fields
    ]
    assert [key for key in keys if f"`{key}`" not in page and f"`[{key}]`" not in page and key != "folder"] == []
