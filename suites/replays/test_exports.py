"""An export holds everything that happened, the same each time, without names, and says where the store was tampered with."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from pytest_smartattend import Evidence, Observer, Platform, Tenant, contract, incident_in, incident_record, record_seal

_OURS = ("after_us",)


def _eventful(tenant: Tenant) -> str:
    """An incident to which everything has happened, and a refusal of each kind."""
    admin = tenant.admin
    incident_id = str(incident_in(admin, "investigating", reporter=tenant.staff, severity="medium")["id"])
    admin.act(incident_id, "close")
    admin.act(incident_id, "severity", {"severity": "high", "reason": "Both wings are down."}).must()
    admin.act(incident_id, "escalate", {"level": "level_1"})
    tenant.superadmin.act(incident_id, "escalate", {"level": "level_3", "note": "Ask Ada Lovelace."}).must()
    admin.act(incident_id, "root-cause", contract.BODIES["root-cause"]).must()
    for action in ("investigate", "mitigate", "resolve", "reopen"):
        admin.act(incident_id, action, contract.BODIES[action]).must()
    admin.act(incident_id, "root-cause", {"root_cause": "short", "confidence": "low"})
    return incident_id


@pytest.mark.replay("replays/export-is-whole")
@pytest.mark.detects(
    "export-event-missing", "export-intervals-rounded", "export-roles-dropped", "export-refusals-dropped"
)
def test_a_verbatim_export_is_what_the_platform_shows_and_the_database_holds(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    incident_id = _eventful(tenant)
    timeline = tenant.admin.part(incident_id, "timeline").must()
    document = tenant.admin.export(incident_id, verbatim=True).must()
    record = incident_record.checked(document)["record"]
    evidence.expect("events", _without(record["events"]), timeline["events"])
    evidence.expect("head", record["source"]["head"], timeline["head"])
    for part in ("escalations", "root-causes", "refusals"):
        shown = tenant.admin.part(incident_id, part).must()["items"]
        evidence.expect(part, _without(record[part.replace("-", "_")]), shown)
    stored = _smartattend_observer.everything_of(incident_id)
    evidence.expect("rows of the timeline", len(record["events"]), len(stored["timeline"]))
    refused = _smartattend_observer.value("select count(*) from refusals where incident_id = %s", incident_id)
    evidence.expect("refusals", (len(record["refusals"]), refused), (3, 3))
    created = datetime.fromisoformat(record["incident"]["created_at"])
    for row in (*record["events"], *record["refusals"]):
        lies = created + timedelta(microseconds=row["after_us"])
        evidence.expect("an interval ends at the event's time", lies, datetime.fromisoformat(row["at"]))
    people = {one["id"]: one["role"] for one in record["people"]}
    roles = {str(tenant.actor(role).user_id): role for role in ("staff", "admin", "superadmin")}
    evidence.expect("who acted in which role", people, roles)
    evidence.expect("faults", record_seal.faults_of(document), [])


def _without(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in _OURS} for row in rows]


@pytest.mark.replay("replays/export-without-names")
@pytest.mark.detects("export-tells-texts", "export-names-anew", "export-seal-with-a-gap", "export-not-kept")
def test_an_export_tells_no_names_is_the_same_each_time_and_it_is_kept_who_took_it(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    incident_id = _eventful(tenant)
    first, second = (incident_record.checked(tenant.admin.export(incident_id).must()) for _ in range(2))
    other = incident_record.checked(tenant.admin.export(_eventful(tenant)).must())
    evidence.expect("faults", record_seal.faults_of(first), [])
    for name in ("format", "schema_version", "record", "digest"):
        evidence.expect(f"{name}, the second time", second[name], first[name])
    evidence.invariant("the header differs", first["header"] != second["header"])
    evidence.expect("people of another incident", other["record"]["people"], first["record"]["people"])
    written = json.dumps(first)
    secrets = [tenant.id, *(str(tenant.actor(role).user_id) for role in ("staff", "admin", "superadmin"))]
    secrets += ["Both wings are down.", "Ada Lovelace", *contract.RESOLUTION.values()]
    evidence.expect("names and texts in it", [text for text in secrets if text in written], [])
    kept = _smartattend_observer.rows(
        "select id::text, actor, digest, verbatim from exports where incident_id = %s order by position", incident_id
    )
    evidence.expect(
        "kept",
        [(row["id"], row["actor"], row["digest"], row["verbatim"]) for row in kept],
        [(one["header"]["export_id"], tenant.admin.user_id, one["digest"], False) for one in (first, second)],
    )


TAMPERINGS = {
    "changed": ("export-chain-trusted", 'update timeline set payload = \'{"note": "all was well"}\'', "seq = 2"),
    "removed": ("export-chain-trusted", "delete from timeline", "seq = 2"),
    "cut-tail": ("export-head-not-compared", "delete from timeline", "seq = 3"),
}


@pytest.mark.replay("replays/export-of-a-tampered-store")
@pytest.mark.parametrize(
    "tampering",
    [pytest.param(name, marks=pytest.mark.detects(caught)) for name, (caught, *_) in TAMPERINGS.items()],
)
def test_an_export_tells_that_its_source_was_tampered_with(
    _smartattend_tenant: Tenant, _smartattend_platform: Platform, _smartattend_evidence: Evidence, tampering: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    incident_id = str(incident_in(admin, "investigating")["id"])
    evidence.expect("faults before", admin.export(incident_id).must()["record"]["source"]["faults"], [])
    _, statement, which = TAMPERINGS[tampering]
    with _smartattend_platform.sql_as("owner", _smartattend_tenant.id) as sql:
        changed = sql.past_the_triggers("timeline", f"{statement} where incident_id = %s and {which}", incident_id)
    evidence.expect("rows tampered with", changed, 1)
    for verbatim in (True, False):
        document = incident_record.checked(admin.export(incident_id, verbatim=verbatim).must())
        told = document["record"]["source"]["faults"]
        evidence.invariant("the platform tells it", bool(told), "; ".join(told) or "chain and head look sound")
        found = record_seal.faults_of(document)
        evidence.invariant("who reads it refuses it", any("in its own store" in fault for fault in found), str(found))


PAGE = 2


@pytest.mark.replay("replays/export-pages")
@pytest.mark.detects("export-skips-between-pages")
def test_every_incident_is_on_one_page_of_an_export_and_the_oldest_comes_first(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    made = [admin.report(f"Number {number}").must()["id"] for number in range(2 * PAGE + 1)]
    pages: list[list[str]] = []
    cursor = None
    while len(pages) <= len(made):
        page = admin.exports(limit=PAGE, **({"cursor": cursor} if cursor else {})).must()
        pages.append([incident_record.checked(item)["record"]["incident"]["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    evidence.expect("over all pages", [incident for page in pages for incident in page], made)
    evidence.expect("sizes of the pages", [len(page) for page in pages], [PAGE, PAGE, 1])
