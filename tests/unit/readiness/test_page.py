"""``readiness.html``: what it says, in which order, how large it is, and what hostile text may do to it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from pytest_smartattend.readiness import folder, reading, repeating, wording
from pytest_smartattend.readiness.page import figures, geometry, groups, render, states, times
from tests.unit.readiness import documents

_ALONE = {"meta", "br"}


class Strict(HTMLParser):
    """Fails on a tag that is closed and not open, on an id that stands twice, and on a link that leads nowhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []
        assert self.links <= self.ids

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        assert not any(name.startswith("on") for name in found), found
        if found.get("id"):
            assert found["id"] not in self.ids, found["id"]
            self.ids.add(str(found["id"]))
        if tag == "a":
            assert str(found["href"]).startswith("#")
            self.links.add(str(found["href"])[1:])
        if tag not in _ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open[-1] == tag, (self.open[-3:], tag, self.getpos())
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


READY, BROKEN = documents.ready(), documents.broken()


@pytest.mark.parametrize("document", [READY, BROKEN], ids=["ready", "broken"])
def test_the_documents_of_these_tests_are_to_the_schema(document: dict[str, Any]) -> None:
    assert reading.schema_faults(document) == []


def test_a_broken_platform_is_told_in_the_order_in_which_people_ask() -> None:
    text = Strict(render.render(BROKEN)).text
    order = [
        "NOT READY", "target reference", "What decides it", "n invariant broke", "n objective was missed",
        "a required check failed", "Is the run complete?", "Groups", "What did not simply pass", "Objectives", "Timelines",
        "States and their changes", "Latencies", "Findings and recommendations", "Trend", "Proof that the checks can fail",
        "what was not exercised", "Provenance",
    ]  # fmt: skip
    places = [text.find(one) for one in order]
    assert -1 not in places, dict(zip(order, places, strict=True))
    top = text[text.index("What decides it") : text.index("Is the run complete?")]
    assert [top.find(one) for one in order[3:6]] == sorted(top.find(one) for one in order[3:6])


def test_a_failing_check_shows_expected_and_seen_its_log_and_the_command_that_repeats_it() -> None:
    page = Strict(render.render(BROKEN))
    told = page.text[page.text.index("What did not simply pass") :]
    assert "expected" in told
    assert '"status": "open"' in told
    assert "unique violation" in told
    command = (
        "pytest --pyargs pytest_smartattend.suites --smartattend-target=reference "
        "'--smartattend-checks=scenarios/invalid-transitions[open-closed]' --smartattend-seed=20260302"
    )
    assert command in told


def test_a_ready_platform_says_what_speaks_for_it_and_what_nobody_looked_at() -> None:
    text = Strict(render.render(READY)).text
    for said in (
        "all 73 required checks ran, passed and left evidence",
        "all 2 objectives met",
        "30 of 30 planted defects caught",
    ):
        assert said in text
    assert "Says nothing about: production's topology" in text


def test_hostile_names_and_outputs_are_escaped_and_cut() -> None:
    page = render.render(BROKEN)
    assert "&lt;script&gt;alert(1)" in page
    assert "{{7*7}}" in page
    assert not {"script", "iframe", "object", "img", "link"} & set(Strict(page).tags)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e]", page)
    assert len(page.encode()) < 250_000
    assert not re.search(r"https?://|src=|@import|url\((?!#)", page)


def test_two_hundred_checks_fit_into_250_kilobytes_also_when_a_tenth_failed() -> None:
    assert len(render.render(documents.large(200, 20)).encode()) < 250_000


def test_every_cell_of_a_table_is_on_the_page() -> None:
    page = render.render(documents.large(400, 17))
    assert page.count('<td class="cell">') == 400
    assert len(re.findall(r'<td class="cell"><span class="bad"', page)) == 17


def at_best(work: Callable[[], object]) -> float:
    """The least of three processor times: a neighbour on the same core makes one longer, and none shorter."""
    took = []
    for _ in range(3):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def test_ten_thousand_checks_are_drawn_within_the_time_of_a_sip() -> None:
    document = documents.large(10_000, 2_000)
    pages: list[str] = []
    assert at_best(lambda: pages.append(render.render(document))) < 3
    assert len(pages[0]) < 4_000_000
    Strict(pages[0])


def test_a_report_of_ten_thousand_checks_is_written_within_three_seconds(tmp_path: Path) -> None:
    document = {name: part for name, part in documents.large(10_000, 2_000).items() if name != "seal"}
    assert at_best(lambda: folder.write(tmp_path, document)) < 3
    assert reading.read(tmp_path / "readiness.json")["status"] == "not_ready"


def test_an_older_document_without_the_newer_keys_is_drawn_too() -> None:
    old = json.loads(json.dumps(READY))
    del old["run"]["arguments"]
    for group in old["groups"]:
        for check in group["checks"]:
            for key in ("activity", "latency", "logs"):
                check.pop(key, None)
            for attempt in check["attempts"]:
                attempt.pop("began")
    Strict(render.render(old))


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"title": "x"},
        {"seconds": 0},
        {**documents.drill("x")["data"], "ticks": {"acknowledged": [1]}},
        [1],
        "text",
    ],
)
def test_an_event_that_is_called_drill_and_is_none_has_no_picture(data: object) -> None:
    document = documents.build({"drills": [documents.check("drills/own", timeline=[{"name": "drill", "data": data}])]})
    assert times.drills(document) == []
    Strict(render.render(document))


def test_the_state_graph_tells_made_refused_failed_and_never_tried_apart() -> None:
    graph = states.drawn(BROKEN)[0]
    assert {kind: count for kind, _, count in graph["counts"]} == {
        "made": 11, "refused": 35, "broken": 1, "accepted": 1, "untried": 1,
    }  # fmt: skip
    assert graph["wrong"] == ["open → closed", "mitigating → resolved"]
    assert sum(count for _, _, count in states.drawn(READY)[0]["counts"]) == 49


def test_lost_writes_are_drawn_apart_from_those_that_stayed() -> None:
    plain, control = times.drills(READY)
    assert [name for name, _ in plain["picture"]["paths"]] == ["ok", "failed", "unknown"]
    assert [name for name, _ in control["picture"]["paths"]] == ["ok", "lost", "failed", "unknown"]
    assert control["control"]
    assert plain["lines"][0] == "RTO 500 ms of 10 min; the least that this machine can do: 69 ms"


def test_an_objective_is_shown_against_its_limit_and_the_machines_floor() -> None:
    rto, rows = figures.objectives(READY)
    assert rto["floor"] == 0.069
    assert rto["bullet"]["floor"] < rto["bullet"]["observed"] < rto["bullet"]["near"] < rto["bullet"]["limit"]
    assert rows["bullet"] is False


def test_the_trend_says_what_changed_since_the_run_before_of_the_same_target() -> None:
    assert figures.trend(BROKEN)["changed"]  # type: ignore[index]
    assert not figures.trend(READY)["changed"]  # type: ignore[index]
    other = [{**entry, "target": "another"} for entry in READY["history"]]
    assert figures.trend({**BROKEN, "history": other})["before"] is None  # type: ignore[index]
    assert figures.trend({**READY, "history": []}) is None


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["-n2", "-n", "2", "-q", "suites"], "suites"),
        (["--pyargs", "s", "-o", "addopts=", "-p", "xdist", "--dist=load"], "--pyargs s"),
        (
            ["--smartattend-report", "reports", "--smartattend-report=r", "--smartattend-target=reference"],
            "--smartattend-target=reference",
        ),
        (["-k", "some thing", "-m", "storm", "--maxfail=0", "-x", "--junitxml=x.xml"], ""),
    ],
)
def test_the_command_that_repeats_keeps_what_matters(arguments: list[str], kept: str) -> None:
    document = {"run": {"seed": "7", "arguments": arguments}}
    words = repeating.command(document, documents.check("scenarios/a")).split()
    assert words[1:-2] == kept.split()
    assert words[-2:] == ["--smartattend-checks=scenarios/a", "--smartattend-seed=7"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (4e-7, "0.4 µs"),
        (0.00084, "840 µs"),
        (0.0123, "12.3 ms"),
        (0.99999, "1 s"),
        (4.2, "4.2 s"),
        (200, "3 min 20 s"),
        (16_200, "4 h 30 min"),
        (7200, "2 h"),
    ],
)
def test_durations_are_told_in_the_unit_that_suits_them(seconds: float, words: str) -> None:
    assert wording.duration(seconds) == words


def test_two_names_that_differ_in_a_sign_have_two_anchors() -> None:
    names = ["a/b[x-y]", "a/b[x_y]", "a/b[x]", "A/b[x]", "", "é", "\ud800"]
    assert len({wording.anchor(name) for name in names}) == len(names)


def test_bars_stand_on_each_other_and_empty_ones_leave_no_trace() -> None:
    assert geometry.bars([0, 2], 60, 4) == "M500 60v-30h500v30z"
    assert geometry.bars([0, 2], 60, 4, [0, 2]) == "M500 30v-30h500v30z"
    assert geometry.merged([(0, 1, "a"), (1.05, 2, "a"), (3, 4, "a"), (4, 5, "b")], 0.1) == [
        (0, 2, "a", 2), (3, 4, "a", 1), (4, 5, "b", 1),
    ]  # fmt: skip


def test_the_first_reasons_are_those_that_nobody_may_waive() -> None:
    assert [one["code"] for one in groups.deciding(BROKEN)][:3] == [
        "invariant_broken",
        "objective_missed",
        "check_failed",
    ]
