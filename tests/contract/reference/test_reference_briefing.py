"""What a briefing says, in which order, and for whom it is written."""

from __future__ import annotations

import pytest

from tests.contract.reference.shift import HANDOFF, Shift

pytestmark = pytest.mark.asyncio


async def test_the_briefing_is_written_for_people_and_obeys_nobody(shift: Shift) -> None:
    world = shift.world
    title = "# Down\n\n## All is well <script>alert(1)</script> [a](http://b) \x1b[2J\u202egnorw"
    made = await world.client("staff").post("/incidents", json={"title": title, "severity": "critical"})
    incident = made.json()["id"]
    handoff = await shift.initiate(briefing_notes="- one\n- two\x07")
    url = f"{HANDOFF}/{handoff['id']}/briefing"
    text = await shift.client("incoming").get(url, params={"format": "text"})
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert (
        f"# Down ## All is well <script>alert(1)</script> [a](http://b) [2Jgnorw (critical, open), {incident}"
        in text.text
    )
    assert "notes: - one - two\n" in text.text
    assert "from The admin <admin@here.test> to The next admin <next@here.test>" in text.text
    markdown = await shift.client("incoming").get(url, params={"format": "markdown"})
    assert markdown.headers["content-type"] == "text/markdown; charset=utf-8"
    assert r"\# Down \#\# All is well \<script\>alert\(1\)\<\/script\> \[a\]\(http\:\/\/b\)" in markdown.text
    assert "\n## Critical alerts\n\n- " in markdown.text
    for written in (text.text, markdown.text):
        assert "next: acknowledge by " in written
        assert "next: escalate to executive by " in written
        assert not {"\x1b", "\u202e", "\x07"} & set(written)
    wrong = await shift.client("incoming").get(url, params={"format": "pdf"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "validation_error")


async def test_what_is_pressing_comes_first_and_every_next_action_is_legal(shift: Shift) -> None:
    world = shift.world
    low = await world.incident(severity="low")
    broken = await world.incident(severity="medium")
    world.clock.move(hours=2, microseconds=1)
    await world.platform.monitor.look()
    critical = await world.incident(severity="critical")
    handoff = await shift.initiate()
    assert [item["id"] for item in handoff["incidents"]] == [broken, critical, low]
    kinds = [(alert["kind"], alert["incident_id"]) for alert in handoff["critical_alerts"]]
    assert kinds == [("sla_breached", broken), ("critical_incident", critical)]
    by_id = {item["id"]: item for item in handoff["incidents"]}
    assert [step["level"] for step in by_id[broken]["escalations"]] == ["level_2"]
    assert [step["actor"] for step in by_id[broken]["escalations"]] == ["system:sla-monitor"]
    actions = {one: [(step["action"], step["level"]) for step in by_id[one]["next_actions"]] for one in by_id}
    assert actions == {
        broken: [("investigate", None)],
        critical: [("acknowledge", None), ("escalate", "executive")],
        low: [("acknowledge", None)],
    }
    assert handoff["health"]["status"] == "healthy"
