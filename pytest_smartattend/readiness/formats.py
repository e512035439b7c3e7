"""A document in other people's formats: CTRF (one JSON file of checks) and JUnit's XML. Both agree with it in every count."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree as ET

from pytest_smartattend.readiness.verdict import all_checks

#: of the CTRF format that is written
CTRF_VERSION = "0.0.0"
#: status of a check → CTRF's; what is not here was not shown, which CTRF calls other
_CTRF = {
    "passed": "passed",
    "rerun": "passed",
    "xpassed": "passed",
    "skipped": "skipped",
    **dict.fromkeys(("failed", "error", "xfailed", "crashed", "impostor"), "failed"),
}
Document = Mapping[str, Any]


def ctrf(document: Document) -> dict[str, Any]:
    """The document as a CTRF report. Each check is a test; its own status stands in ``rawStatus``."""
    checks = [(group["name"], check) for group in document["groups"] for check in group["checks"]]
    tests = [_ctrf_test(group, check) for group, check in checks]
    counts = Counter(test["status"] for test in tests)
    start, stop = (
        _milliseconds(document["run"][name] or document["run"]["started"]) for name in ("started", "finished")
    )
    verdict = {name: document[name] for name in ("status", "status_reasons", "target", "scope", "objectives")}
    environment: dict[str, Any] = {
        "appName": document["target"]["name"],
        "appVersion": document["subject"]["name"],
        "osPlatform": str(document["versions"].get("platform", "unknown")),
        "healthy": document["status"] == "ready",
    }
    if document["subject"]["commit"]:
        environment["commit"] = document["subject"]["commit"]
    return {
        "reportFormat": "CTRF",
        "specVersion": CTRF_VERSION,
        "reportId": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:pytest-smartattend:{document['seal']['sha256']}")),
        "runId": document["run"]["id"],
        "timestamp": document["run"]["finished"] or document["run"]["started"],
        "generatedBy": f"pytest-smartattend {document['versions']['pytest-smartattend']}",
        "results": {
            "tool": {"name": "pytest-smartattend", "version": str(document["versions"]["pytest-smartattend"])},
            "summary": {
                "tests": len(tests),
                **{name: counts[name] for name in ("passed", "failed", "skipped", "pending", "other")},
                "flaky": sum(test["flaky"] for test in tests),
                "suites": len(document["groups"]),
                "start": start,
                "stop": stop,
            },
            "tests": tests,
            "environment": environment,
            "extra": {"smartattend": verdict},
        },
    }


def _ctrf_test(group: str, check: Mapping[str, Any]) -> dict[str, Any]:
    attempts = check["attempts"]
    test: dict[str, Any] = {
        "name": check["id"],
        "status": _CTRF.get(check["status"], "other"),
        "rawStatus": check["status"],
        "duration": round(sum(attempt["seconds"] for attempt in attempts) * 1000),
        "suite": [group],
        "retries": max(len(attempts) - 1, 0),
        "flaky": check["status"] == "rerun",
        "tags": [group, "required" if check["required"] else "not required"],
        "extra": {"measurements": check["measurements"], "counts": check["counts"], "detects": check["detects"]},
    }
    if attempts and attempts[-1]["worker"]:
        test["threadId"] = attempts[-1]["worker"]
    if check["status"] != "passed":
        test["message"] = check["reason"] or check["status"]
    return test


def _milliseconds(moment: str) -> int:
    return round(dt.datetime.fromisoformat(moment).timestamp() * 1000)


def junit(document: Document) -> bytes:
    """The document as JUnit XML: a suite for each group, with what the verdict says as properties.

    A required check that was not shown is an error there, for a reader of JUnit knows no other word for it.
    """
    root = ET.Element("testsuites", {"name": "pytest-smartattend", **_totals(all_checks(document))})
    for group in document["groups"]:
        suite = ET.SubElement(root, "testsuite", {"name": _text(group["name"]), **_totals(group["checks"])})
        suite.set("timestamp", document["run"]["started"])
        about = {
            "smartattend.status": document["status"],
            "smartattend.group_status": group["status"],
            "smartattend.target": document["target"]["name"],
            "smartattend.subject": document["subject"]["name"],
            "smartattend.scope": document["scope"]["text"],
            "smartattend.sha256": document["seal"]["sha256"],
        }
        _properties(suite, about)
        for check in group["checks"]:
            _case(suite, group["name"], check)
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _case(suite: ET.Element, group: str, check: Mapping[str, Any]) -> None:
    seconds = sum(attempt["seconds"] for attempt in check["attempts"])
    case = ET.SubElement(
        suite, "testcase", {"classname": _text(group), "name": _text(check["id"]), "time": f"{seconds:.3f}"}
    )
    told = {"smartattend.status": check["status"], "smartattend.required": str(check["required"]).lower()}
    for one in check["measurements"]:
        told[f"smartattend.measured.{one['name']}"] = f"{one['value']:g} {one['unit']}"
    _properties(case, told)
    kind = _kind(check)
    if kind:
        reason = _text(check["reason"] or check["status"])
        ET.SubElement(case, kind, {"message": f"{check['status']}: {reason}"[:500]}).text = reason


def _kind(check: Mapping[str, Any]) -> str:
    """The element that says why it did not pass; empty where it did."""
    word = _CTRF.get(check["status"], "other")
    if word == "passed":
        return ""
    if word == "skipped" or (word == "other" and not check["required"]):
        return "skipped"
    return "failure" if check["status"] == "failed" else "error"


def _totals(checks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    kinds = Counter(_kind(check) for check in checks)
    named = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(kinds.total()), **{name: str(kinds[kind]) for name, kind in named.items()}}


def _properties(parent: ET.Element, told: Mapping[str, str]) -> None:
    properties = ET.SubElement(parent, "properties")
    for name, value in told.items():
        ET.SubElement(properties, "property", {"name": _text(name), "value": _text(str(value))})


def _text(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(
        sign if sign in "\t\n" or (sign >= " " and sign not in "\ufffe\uffff") else "\ufffd" for sign in text
    )
