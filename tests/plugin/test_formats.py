"""CTRF and JUnit agree with the document, and CTRF with its published schema."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from pytest_smartattend import cli
from tests.plugin.conftest import Judged, Project

SCHEMA = Path(__file__).parents[1] / "third_party" / "ctrf" / "schema.json"


def _converted(judged: Judged) -> tuple[dict[str, Any], ET.Element]:
    folder = judged.path.parent
    code = cli.main(
        ["convert", str(judged.path), f"--ctrf={folder / 'x' / 'ctrf.json'}", f"--junit={folder / 'junit.xml'}"]
    )
    assert code == 0
    report = json.loads((folder / "x" / "ctrf.json").read_bytes())
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_bytes()), format_checker=jsonschema.FormatChecker()).validate(
        report
    )
    return report, ET.fromstring((folder / "junit.xml").read_bytes())


def _checks(judged: Judged) -> list[dict[str, Any]]:
    return [check for group in judged.document["groups"] for check in group["checks"]]


def test_a_ready_run_is_healthy_in_every_format(honest: Judged) -> None:
    report, xml = _converted(honest)
    assert report["results"]["environment"]["healthy"] is True
    assert report["results"]["summary"]["passed"] == len(_checks(honest)) == int(xml.attrib["tests"])
    assert (xml.attrib["failures"], xml.attrib["errors"], xml.attrib["skipped"]) == ("0", "0", "0")
    names = {one.attrib["name"]: one.attrib["value"] for one in xml.findall("testsuite/properties/property")}
    assert names["smartattend.status"] == "ready"
    assert names["smartattend.sha256"] == honest.document["seal"]["sha256"]


def test_every_count_agrees_where_not_all_is_well(project: Project, bent: Callable[..., Judged]) -> None:
    project.file(
        "test_more.py",
        """
        import os, pytest
        @pytest.mark.scenario("scenarios/hostile")
        def test_hostile(evidence):
            evidence.expect("\\x00<b>&]]>\\ud800", 1, 1)
            assert False, "\\x1b[31m<script>" + chr(0xfffe)
        """,
    )
    judged = bent("1 + 1, 2", "1 + 1, 3", "--deselect", "test_checks.py::test_second[b]")
    report, xml = _converted(judged)
    statuses = Counter(check["status"] for check in _checks(judged))
    assert statuses == {"failed": 2, "passed": 1, "deselected": 1}
    raw = Counter(test["rawStatus"] for test in report["results"]["tests"])
    assert raw == statuses
    summary = report["results"]["summary"]
    assert (summary["tests"], summary["passed"], summary["failed"], summary["other"]) == (4, 1, 2, 1)
    assert report["results"]["environment"]["healthy"] is False
    assert (xml.attrib["tests"], xml.attrib["failures"], xml.attrib["errors"]) == ("4", "2", "1")
    cases = {case.attrib["name"]: case for case in xml.iter("testcase")}
    assert set(cases) == {check["id"] for check in _checks(judged)}
    assert cases["scenarios/second[b]"].find("error") is not None


def test_a_document_that_was_changed_is_not_converted(honest: Judged, capsys: pytest.CaptureFixture[str]) -> None:
    honest.path.write_text(honest.path.read_text().replace('"passed"', '"failed"', 1))
    assert cli.main(["convert", str(honest.path), f"--ctrf={honest.path.parent / 'ctrf.json'}"]) == 1
    assert "changed after it was sealed" in capsys.readouterr().err
    assert cli.main(["convert", str(honest.path)]) == 2
