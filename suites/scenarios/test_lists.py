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


@pytest.mark.scenario("scenarios/list-pages")
@pytest.mark.detects("cursor-truncated")
def test_every_incident_is_on_one_page_and_the_newest_comes_first(
    _smartattend_tenant: Tenant, _smartattend_evidence: Evidence
) -> None:
    admin, evidence = _smartattend_tenant.admin, _smartattend_evidence
    made = [admin.report(f"Number {number}").must()["id"] for number in range(2 * PAGE + 1)]
    pages: list[list[str]] = []
    cursor = None
    while len(pages) <= len(made):
        query = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
        page = admin.incidents(**query).must()
        pages.append([item["id"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    evidence.expect("over all pages", [incident for page in pages for incident in page], made[::-1])
    evidence.expect("sizes of the pages", [len(page) for page in pages], [PAGE, PAGE, 1])
    altered = admin.incidents(cursor="A" * 40)
    evidence.expect("a cursor that nobody gave", altered.status, 422)
