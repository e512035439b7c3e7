"""Documents for the page and its lane: to the schema, as large, as broken and as hostile as is asked."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from pytest_smartattend.readiness import advice, document, sealing, verdict
from pytest_smartattend.readiness.outcomes import status_of
from pytest_smartattend.readiness.reasons import status_from
from pytest_smartattend.readiness.requirements import Requirements

MOMENT = "2026-11-22T06:16:31.394286Z"
STATES = ("open", "acknowledged", "escalated", "investigating", "mitigating", "resolved", "closed")
LEGAL = (
    ("open", "acknowledged"), ("open", "escalated"), ("acknowledged", "escalated"), ("acknowledged", "investigating"),
    ("escalated", "escalated"), ("escalated", "investigating"), ("investigating", "escalated"),
    ("investigating", "mitigating"), ("mitigating", "escalated"), ("mitigating", "investigating"),
    ("mitigating", "resolved"), ("resolved", "closed"), ("resolved", "investigating"),
)  # fmt: skip
HOSTILE = "</script><script>alert(1)</script>\x1b[31mred\x1b]0;title\x07 \u202egnp.exe {{7*7}} \x00 " + "A" * 1_000_000


def check(name: str, outcome: str = "passed", began: float = 0.0, **more: Any) -> dict[str, Any]:
    attempts = [
        {"worker": "gw0", "outcome": outcome, "seconds": 0.05, "events": 3, "reason": "", "began": began}
    ] if outcome != "missing" else []  # fmt: skip
    made: dict[str, Any] = {
        "id": name,
        "required": True,
        "status": outcome,
        "reason": "",
        "tests": [f"suites/test_it.py::test_it[{name}]"],
        "detects": [],
        "attempts": attempts,
        "counts": {
            "expectations": 2,
            "expectations_failed": 0,
            "invariants": 1,
            "invariants_broken": [],
            "operations": {"ok": 3},
        },
        "measurements": [],
        "timeline": [],
        "failures": [],
        "notes": [],
    }
    return {**made, **more}


def build(groups: dict[str, list[dict[str, Any]]], **more: Any) -> dict[str, Any]:
    """A sealed document of these checks, judged by requirements that ask for each of them."""
    required = tuple(one["id"] for checks in groups.values() for one in checks if one["required"])
    needed = Requirements("test", "d" * 64, False, (), {"all": required})
    made: dict[str, Any] = {
        "schema_version": document.SCHEMA_VERSION,
        "target": {"name": "reference", "sabotage": None, "description": {"workers": 2}},
        "subject": {"name": "2bb74f12bebf", "source": "git", "commit": "2bb74f12bebf", "dirty": False, "image": None},
        "scope": {
            "text": ", ".join(groups), "groups": list(groups), "requirements": {"version": "test", "digest": "d" * 64},
            "digest": "", "postgres": None, "required": [], "not_applicable": [], "waivers": [],
        },
        "run": {
            "id": "adfcfbdcacd7-16654", "pid": 16654, "started": MOMENT, "finished": MOMENT, "seed": "20260302",
            "workers": 2, "exit_status": 0, "interrupted": "",
            "arguments": ["--pyargs", "pytest_smartattend.suites", "-n2", "--smartattend-target=reference"],
        },
        "versions": {
            "python": "3.11.7", "pytest": "9.2.0", "pytest-xdist": "3.8.0", "pytest-smartattend": "0.1.0",
            "postgres": {"provider": "embedded", "version": "18.6"}, "postgres_major": 18, "requirements": "test",
        },
        "proof": None, "history": [], "groups": [], "objectives": [], "faults": [],
        "not_exercised": list(document.NOT_EXERCISED),
    }  # fmt: skip
    made["groups"] = [
        {"name": name, "status": "ready", "consensus": {}, "checks": checks} for name, checks in groups.items()
    ]
    made.update(more)
    return _judged(made, needed)


def _judged(made: dict[str, Any], needed: Requirements) -> dict[str, Any]:
    named = (
        "missing",
        "deselected",
        "not_run",
        "vanished",
        "crashed",
        "interrupted",
        "skipped",
        "no_evidence",
        "evidence_lost",
    )
    by_status: dict[str, list[str]] = {name: [] for name in named}
    for one in verdict.all_checks(made):
        one["status"] = status_of(one)  # type: ignore[index]
        by_status.setdefault(one["status"], []).append(one["id"])
    required = len(needed.expand())
    made["integrity"] = {
        "required": required, "reported": required - sum(len(by_status[name]) for name in named),
        **{name: by_status[name] for name in named}, "impostors": [], "reruns": [], "other_tests_lost": [],
        "internal_errors": [], "workers_lost": [], "collection_errors": [], "journal_faults": [],
        "journals": [{"file": "gw0.jsonl", "worker": "gw0", "lines": 1872, "head": "a" * 64, "torn": ""}],
    }  # fmt: skip
    reasons = verdict.judge(made, needed, MOMENT)
    codes = verdict.check_codes(made, needed.expand(), MOMENT)
    for group in made["groups"]:
        document._weigh(group, codes, made["objectives"])
    made["status"], made["status_reasons"] = status_from(reasons), [reason.entry() for reason in reasons]
    made["findings"] = advice.findings(made, reasons)
    made["recommendations"] = advice.recommendations(made, reasons)
    made["seal"] = sealing.seal(made, b"")
    return made


def scenarios() -> list[dict[str, Any]]:
    """The state machine's 49 pairs, and a table of roles."""
    pairs = [(source, end) for source in STATES for end in STATES]
    made = [check(f"scenarios/legal-transitions[{a}-{b}]") for a, b in LEGAL]
    made += [check(f"scenarios/invalid-transitions[{a}-{b}]") for a, b in pairs if (a, b) not in LEGAL]
    made += [
        check(f"scenarios/tenant-isolation[{path}-{role}]")
        for path in ("get-incidents", "post-incidents", "get-incidents-id", "post-incidents-id-close")
        for role in ("nobody", "member", "staff", "admin", "superadmin")
    ]
    for number, one in enumerate(made):
        one["attempts"][0].update(began=number * 0.06, worker=f"gw{number % 2}")
    return made


def drill(title: str, *, lost: int = 0, control: bool = False) -> dict[str, Any]:
    """The event from which a drill's picture is drawn."""
    bins = 300
    down = range(120, 170)
    acknowledged = [0 if one in down else 5 + one % 3 for one in range(bins)]
    gone = [lost // 10 if 110 <= one < 120 else 0 for one in range(bins)]
    steps = (
        ("quorum confirmed, probe on", "harness", 0.0, 1.1), ("primary lost", "harness", 1.1, 1.2),
        ("detected", "platform", 1.2, 1.31), ("fenced, receivers drained", "operator", 1.31, 1.42),
        ("standby promoted", "operator", 1.42, 1.58), ("clients and redundancy back", "platform", 1.58, 1.7),
        ("old primary rejoined, hashes equal", "operator", 1.7, 2.6),
    )  # fmt: skip
    return {
        "name": "drill", "offset": 3.0, "data": {
            "title": title, "control": control, "seconds": 3.0, "fault": 1.2,
            "phases": [{"name": n, "actor": a, "from": b, "to": e, "credited": a != "harness"} for n, a, b, e in steps],
            "ticks": {
                "width": 0.01, "acknowledged": acknowledged, "lost": [min(a, g) for a, g in zip(acknowledged, gone, strict=True)],
                "failed": [3 if one in range(125, 160) else 0 for one in range(bins)],
                "unknown": [2 if one in range(120, 125) else 0 for one in range(bins)],
            },
            "outage": {"from": 1.2, "to": 1.7, "over": True},
            "rto": {"seconds": 0.5, "limit": 600.0, "floor": 0.069},
            "rpo": {"rows": lost, "seconds": 0.1 if lost else 0.0, "limit": 300.0},
            "counts": {"acknowledged": 1500, "failed": 105, "unknown": 10, "unknown_stored": 4},
        },
    }  # fmt: skip


def storm(name: str, outcome: str = "passed", **more: Any) -> dict[str, Any]:
    curve = [round(40 + 30 * math.sin(one / 9)) for one in range(100)]
    failed = [one // 4 if 40 <= place < 60 else 0 for place, one in enumerate(curve)]
    bins = [[round(1e-3 * 1.585**place, 6), round(900 * math.exp(-((place - 6) ** 2) / 8))] for place in range(16)]
    return check(
        name,
        outcome,
        activity={"seconds": 8.5, "ok": curve, "failed": failed, "unknown": [one // 3 for one in failed]},
        latency={"count": 4000, "p50": 0.012, "p95": 0.081, "p99": 0.4, "most": 1.9, "bins": bins},
        **more,
    )


def ready() -> dict[str, Any]:
    """Everything is well, and near nothing's limit."""
    failover = check(
        "drills/primary-failover[killed]",
        began=4.2,
        timeline=[drill("primary-failover, killed"), drill("from the last backup", lost=30, control=True)],
    )
    script = check(
        "simulations/sla-risk", began=4.6,
        timeline=[{"name": n, "offset": 0.1, "data": {"at": at}} for n, at in (
            ("acknowledge", "0:10:00"), ("escalate", "0:20:00"), ("investigate", "0:30:00"), ("mitigate", "1:30:00"), ("resolve", "3:50:00"),
        )],
    )  # fmt: skip
    objectives = [
        {"name": "RTO", "unit": "s", "limit": 600.0, "observed": 0.5, "status": "met", "check": failover["id"]},
        {
            "name": "RPO in rows",
            "unit": "rows",
            "limit": 0.0,
            "observed": 0.0,
            "status": "met",
            "check": failover["id"],
        },
    ]
    history = [
        {"run": f"r{n}", "at": f"2026-{9 + n // 4:02}-{1 + n % 4 * 7:02}T02:00:00.000000Z", "status": s, "target": "reference", "subject": f"commit{n}", "sha256": "b" * 64, "objectives": [{"name": "RTO", "check": failover["id"], "unit": "s", "observed": 0.9 - n / 20}]}
        for n, s in enumerate(("not_ready", "not_ready", "incomplete", "at_risk", "ready", "ready", "at_risk", "ready"))
    ]  # fmt: skip
    proof = {
        "made_at": "2026-11-20T04:00:00+00:00",
        "sabotages": [
            {"name": f"defect-{n}", "breaks": "what it breaks, in a sentence that says it", "promised": ["scenarios/legal-transitions"], "caught_by": ["scenarios/legal-transitions", "scenarios/tenant-isolation"], "status": "caught"}
            for n in range(30)
        ],
        "checks": [{"id": "scenarios/legal-transitions", "caught": ["defect-1"]}],
    }  # fmt: skip
    groups = {
        "scenarios": scenarios(),
        "simulations": [script],
        "storms": [storm("storms/duplicate-storm[10000]", began=5.0), storm("storms/network-instability", began=5.2)],
        "drills": [failover],
    }
    faults = [
        {"check": "storms/network-instability", "name": "database: latency 5 s", "seed": 7, "offset": 3.5, "data": {}},
        {"check": "storms/network-instability", "name": "database: down", "seed": 7, "offset": 5.1, "data": {}},
    ]
    return build(groups, objectives=objectives, faults=faults, history=history, proof=proof)


def broken() -> dict[str, Any]:
    """Much is wrong, in every way that the page has words for; names and outputs are hostile."""
    whole = ready()
    groups = {group["name"]: group["checks"] for group in whole["groups"]}
    found = {one["id"]: one for checks in groups.values() for one in checks}

    def worsen(name: str, outcome: str, **more: Any) -> None:
        found[name]["attempts"] = [] if outcome == "missing" else [{**found[name]["attempts"][0], "outcome": outcome}]
        found[name].update(status=outcome, **more)

    expectation = {
        "kind": "expect",
        "name": "status of the incident",
        "seen": {"status": "closed", "who": HOSTILE[:3000]},
        "expected": {"status": "open"},
    }
    log = {
        "name": "platform's log",
        "lines": ["06:16:02 INFO started", HOSTILE[:5000], "06:16:04 ERROR unique violation"],
    }
    worsen(
        "scenarios/invalid-transitions[open-closed]",
        "failed",
        reason="AssertionError: status of the incident",
        failures=[expectation],
        operations=[["POST", "/api/incidents/1/close", 200, "ok", 0.01, 0.2]],
        logs=[log],
    )
    worsen(
        "scenarios/legal-transitions[mitigating-resolved]",
        "error",
        reason="psycopg.OperationalError: connection refused",
    )
    worsen("scenarios/legal-transitions[resolved-closed]", "missing")
    worsen(
        "scenarios/tenant-isolation[get-incidents-id-staff]",
        "crashed",
        reason="its worker was lost: Not properly terminated",
    )
    worsen(
        "storms/duplicate-storm[10000]",
        "failed",
        reason="1 too many",
        failures=[{"kind": "invariant", "name": "exactly one record", "detail": "2 records of key 4711"}],
        counts={**found["storms/duplicate-storm[10000]"]["counts"], "invariants_broken": ["exactly one record"]},
    )
    worsen("simulations/sla-risk", "skipped", reason=HOSTILE)
    groups["scenarios"].append(check(f"scenarios/own[{HOSTILE[:300]}]", "failed", reason=HOSTILE))
    objectives = [
        {
            "name": "RTO",
            "unit": "s",
            "limit": 600.0,
            "observed": 512.0,
            "status": "near_limit",
            "check": "drills/primary-failover[killed]",
        },
        {
            "name": "RPO in rows",
            "unit": "rows",
            "limit": 0.0,
            "observed": 30.0,
            "status": "missed",
            "check": "drills/primary-failover[killed]",
        },
    ]
    found["drills/primary-failover[killed]"]["timeline"].append(
        {"name": "drill", "offset": 0, "data": {"title": "somebody's own"}}
    )
    return build(groups, objectives=objectives, faults=whole["faults"], history=whole["history"], proof=whole["proof"])


def large(number: int, failing: int = 0) -> dict[str, Any]:
    """So many checks, in tables of a hundred cells, of which some failed."""
    made = [
        check(
            f"scenarios/big-{n // 100}[r{n // 10 % 10}-c{n % 10}]",
            "failed" if n < failing else "passed",
            began=n * 0.01,
        )
        for n in range(number)
    ]
    return build({"scenarios": made})


if __name__ == "__main__":
    from pytest_smartattend.readiness.page import render

    folder = Path(sys.argv[1])
    for name, made in (
        ("ready", ready()),
        ("broken", broken()),
        ("large", large(10_000, 2_000)),
        ("two-hundred", large(200, 20)),
    ):
        (folder / f"{name}.html").write_text(render.render(made), "utf-8")
