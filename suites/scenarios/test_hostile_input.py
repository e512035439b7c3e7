"""Whatever is sent, the platform answers with a problem that it has a name for, stores nothing, and shows no innards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from pytest_smartattend import Evidence, Observer, Tenant, chain

JSON = "application/json"
#: name → (content, content type); each must be refused with a 4xx
REFUSED: dict[str, tuple[bytes, str]] = {
    "not-json": (b'{"title": ', JSON),
    "empty": (b"", JSON),
    "not-an-object": (b'["title", "high"]', JSON),
    "title-is-a-number": (b'{"title": 7, "severity": "high"}', JSON),
    "title-is-an-object": (b'{"title": {"$ne": null}, "severity": "high"}', JSON),
    "title-blank": (b'{"title": "   ", "severity": "high"}', JSON),
    "severity-unknown": (b'{"title": "t", "severity": "catastrophic"}', JSON),
    "severity-missing": (b'{"title": "t"}', JSON),
    "field-unknown": (b'{"title": "t", "severity": "high", "status": "closed"}', JSON),
    "nul": (b'{"title": "a\\u0000b", "severity": "high"}', JSON),
    "lone-surrogate": (b'{"title": "a\\ud800b", "severity": "high"}', JSON),
    "invalid-utf-8": (b'{"title": "a\xff\xfeb", "severity": "high"}', JSON),
    "not-a-number": (b'{"title": "t", "severity": "high", "description": NaN}', JSON),
    "nested": (b'{"title": ' + b"[" * 20_000 + b"]" * 20_000 + b', "severity": "high"}', JSON),
    "ten-megabytes": (json.dumps({"title": "x" * 10_000_000, "severity": "high"}).encode(), JSON),
    "form": (b"title=t&severity=high", "application/x-www-form-urlencoded"),
    "xml": (b"<incident><title>t</title></incident>", "application/xml"),
}
#: what no answer shows → how it looks; words that a problem may well say, such as "select a severity", are none of it
INNARDS = {
    "a stack of Python": r'(?i:traceback)|File "[^"]*", line \d',
    "a stack of JavaScript": r"\bat Object\.|node_modules",
    "a driver": r"(?i:sqlalchemy|psycopg|asyncpg)",
    "a query": r"(?is:\binsert into\b|\bselect\b.+\bfrom\b)",
}


def innards_in(body: object) -> list[str]:
    """What of `INNARDS` stands in any text of a decoded body."""
    return [name for name, look in INNARDS.items() if any(re.search(look, text) for text in _texts(body))]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts([*value, *value.values()])
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


@pytest.mark.scenario("scenarios/hostile-input")
@pytest.mark.detects("innards-shown", "query-shown", "unknown-field-ignored")
@pytest.mark.parametrize("name", list(REFUSED))
def test_what_makes_no_sense_is_refused_by_name_and_stores_nothing(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence, name: str
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    content, kind = REFUSED[name]
    answer = tenant.staff.call("POST", "/incidents", content=content, headers={"content-type": kind})
    evidence.invariant("refused as the sender's fault", 400 <= (answer.status or 0) < 500, answer.summary)
    evidence.invariant("as a problem with a code", answer.code is not None, str(answer.headers.get("content-type")))
    evidence.expect("innards shown", innards_in(answer.body), [])
    stored = _smartattend_observer.value("select count(*) from incidents where tenant_id = %s", tenant.id)
    evidence.expect("incidents stored", stored, 0)


VERBATIM = {
    "sql": "'); drop table incidents; --",
    "html": "<script>alert('x')</script> & <b>bold</b>",
    "template": "{{ 7 * 7 }} ${7 * 7} %s %(name)s",
    "unicode": "Ausfall im Gebäude 7: 停電 🔥",
    "right-to-left": "\u202egnp.exe",
}


@pytest.mark.scenario("scenarios/text-is-kept-verbatim")
@pytest.mark.detects("text-mangled", "hash-not-canonical")
@pytest.mark.parametrize("name", list(VERBATIM))
def test_text_that_only_looks_dangerous_is_kept_as_it_was_written(
    _smartattend_tenant: Tenant, _smartattend_observer: Observer, _smartattend_evidence: Evidence, name: str
) -> None:
    tenant, evidence = _smartattend_tenant, _smartattend_evidence
    reported = tenant.staff.report(VERBATIM[name], description=VERBATIM[name])
    evidence.expect("answer", reported.status, 201)
    read = tenant.staff.incident(reported.body["id"]).must()
    evidence.expect("title", read["title"], VERBATIM[name])
    evidence.expect("description", read["description"], VERBATIM[name])
    row = _smartattend_observer.incident(reported.body["id"])
    evidence.expect("title in the database", row and row["title"], VERBATIM[name])
    noted = tenant.admin.act(reported.body["id"], "acknowledge", {"note": VERBATIM[name]})
    evidence.expect("answer to a note", noted.status, 200)
    timeline = tenant.admin.part(reported.body["id"], "timeline").must()
    evidence.expect("note", timeline["events"][-1]["payload"].get("note"), VERBATIM[name])
    found = chain.faults_of(reported.body["id"], timeline["events"], timeline["head"])
    evidence.expect("faults of the chain", found, [])
