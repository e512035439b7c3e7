"""Lists of incidents: each filter alone and with the other, newest first, and every row once over all pages."""

from __future__ import annotations

import pytest

from pytest_smartattend import Evidence, Tenant

PAGE = 2


@pytest.mark.scenario("scenarios/lists")
@pytest.mark.detects("severity-filter-ignored")
@pytest.mark.parametrize("severity", ["any", "low", "high"])
@pytest.mark.parametrize("status", ["any", "open", "acknowledged"])
def test_a_list_holds_what_its_filters_ask_for(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence, status: str, severity: str
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    made: dict[tuple[str, str], str] = {}
    for each in ("low", "high"):
        made["open", each] = admin.report(severity=each).must()["id"]
        made["acknowledged", each] = admin.report(severity=each).must()["id"]
        admin.act(made["acknowledged", each], "acknowledge").must()
    query = {name: value for name, value in (("status", status), ("severity", severity)) if value != "any"}
    listed = sorted(item["id"] for item in admin.incidents(**query).must()["items"])
    wanted = sorted(
        incident_id
        for (its_status, its_severity), incident_id in made.items()
        if status in {"any", its_status} and severity in {"any", its_severity}
    )
    evidence.expect("listed", listed, wanted)


def _pages(tenant: Tenant, most: int, **query: str) -> list[list[str]]:
    """The ids on every page that the cursors lead to; of more than `most` pages no more is read."""
    pages: list[list[str]] = []
    cursor = None
    while len(pages) <= most:
        page = tenant.admin.incidents(limit=PAGE, **query, **({"cursor": cursor} if cursor else {})).must()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return pages


def _cut(incidents: list[str]) -> list[list[str]]:
    return [incidents[first : first + PAGE] for first in range(0, len(incidents), PAGE)]


@pytest.mark.scenario("scenarios/list-pages")
@pytest.mark.detects("cursor-truncated", "further-pages-unfiltered")
def test_every_incident_is_on_one_page_and_the_newest_comes_first(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    tenant, admin, evidence = _smartattend_tenant, _smartattend_tenant.admin, _smartattend_evidence
    made = [admin.report(f"Number {number}").must()["id"] for number in range(2 * PAGE + 1)]
    evidence.expect("pages", _pages(tenant, len(made)), _cut(made[::-1]))
    # each filter fits every other one only, so that a page that forgets it shows others too
    for incident in made[::2]:
        admin.act(incident, "acknowledge").must()
    for incident in made[1::2]:
        admin.act(incident, "severity", {"severity": "low", "reason": "It was judged wrongly."}).must()
    for query, fitting in (
        ({"status": "acknowledged"}, made[::2]),
        ({"severity": "high"}, made[::2]),
        ({"status": "acknowledged", "severity": "high"}, made[::2]),
    ):
        evidence.expect(f"pages of {query}", _pages(tenant, len(made), **query), _cut(fitting[::-1]))
    altered = admin.incidents(cursor="A" * 40)
    evidence.expect("a cursor that nobody gave", altered.status, 422)
