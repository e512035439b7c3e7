"""A file that somebody hands over is read within bounds, and what is wrong with it is named with its place."""

from __future__ import annotations

import copy
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from pytest_smartattend.engine import chain, incident_record, record_seal
from pytest_smartattend.errors import RecordRefused, UsageError
from pytest_smartattend.trials import recorded

SHIPPED = recorded.shipped()
WHOLE = SHIPPED[0].path.read_bytes()


def document() -> dict[str, Any]:
    return copy.deepcopy(incident_record.read(WHOLE))


def refused(content: bytes) -> str:
    with pytest.raises(RecordRefused) as why:
        incident_record.read(content, "x.json")
    assert str(why.value).startswith("x.json ")
    assert str(why.value).endswith("smartattend export URL ID.")
    return str(why.value)


def altered(**changes: Any) -> bytes:
    return json.dumps({**document(), **changes}).encode()


@pytest.mark.parametrize("recording", SHIPPED, ids=lambda one: one.name)
def test_what_ships_is_sound_canonical_and_held_by_its_head(recording: recorded.Recording) -> None:
    found = recording.read()
    assert recording.path.read_bytes() == incident_record.canonical(found) == rfc8785.dumps(found)
    assert recording.known["head"]["seq"] == len(found["record"]["events"])


def test_what_ships_holds_no_name_and_no_text() -> None:
    for recording in SHIPPED:
        written = recording.path.read_text()
        assert not [word for word in ("north wing", "vendor", "@", "The admin", "I am looking") if word in written]


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "line 1, column 1"),
        (WHOLE[: len(WHOLE) // 2], "is not JSON at line 1, column"),
        (WHOLE + b"}", f"column {len(WHOLE) + 1}"),
        (b'{"format": "\xff"}', "is not UTF-8 at byte 12"),
        (b'{"format": 1, "format": 2}', "names the key 'format' twice"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": 1.5}', "holds the fraction 1.5"),
        (b'{"a": 1e5}', "holds the fraction 1e5"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b"[" * 100_000, "nested deeper than 16"),
        (b"[]", "no exported incident"),
        (b'{"format": "another"}', "no exported incident"),
        (altered(schema_version="0.9"), "version 0.9; this reads version 1"),
        (altered(schema_version="2.0"), "version 2.0; this reads version 1"),
        (altered(schema_version=None), "version None"),
        (altered(more=1), "/: "),
        (altered(digest="x"), "/digest: "),
        (altered(digest="\ud800"), "half a surrogate pair"),
    ],
)
def test_what_cannot_be_read_is_refused_with_place_and_reason(content: bytes, place: str) -> None:
    assert place in refused(content)


def test_a_value_deep_inside_is_named_by_its_path() -> None:
    whole = document()
    whole["record"]["events"][2]["at"] = "yesterday"
    assert "/record/events/2/at: " in refused(json.dumps(whole).encode())
    whole["record"]["events"][2]["at"] = "2026-19-39T29:00:00.000000Z"
    assert "/record/events/2/at: " in refused(json.dumps(whole).encode())


def test_a_payload_that_is_nested_too_deep_is_refused() -> None:
    whole = document()
    value: dict[str, Any] = {}
    for _ in range(40):
        value = {"a": value}
    whole["record"]["events"][0]["payload"] = value
    assert "nested deeper than 16" in refused(json.dumps(whole).encode())


def test_a_gigabyte_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    with pytest.raises(RecordRefused, match="larger than"):
        recorded.recording(path).read()
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(RecordRefused, match="no plain file"):
        recorded.recording(tmp_path / "pipe.json").read()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordRefused, match=r"gone\.json cannot be read"):
        recorded.recording(tmp_path / "gone.json").read()


def test_heads_that_are_damaged_are_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(WHOLE)
    for text in ("", "[]", '{"a": {}}', '{"a": {"digest": "x", "head": null}}', "[" * 100_000):
        (tmp_path / "heads.json").write_text(text)
        with pytest.raises(UsageError, match="is not a table of names"):
            recorded.recordings(tmp_path)


def test_a_folder_without_incidents_or_with_strange_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no exported incident"):
        recorded.recordings(tmp_path)
    (tmp_path / "a[b].json").write_bytes(WHOLE)
    with pytest.raises(UsageError, match="cannot be the name of a check"):
        recorded.recordings(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"):
        recorded.recordings(tmp_path / "nowhere")


def test_keeping_twice_is_harmless_and_another_document_does_not_overwrite(tmp_path: Path) -> None:
    one, other = (recording.read() for recording in SHIPPED[:2])
    path = tmp_path / "new" / "x.json"
    recorded.keep(one, path)
    recorded.keep(one, path)
    with pytest.raises(UsageError, match="exists already"):
        recorded.keep(other, path)
    recorded.keep(other, path.with_name("y.json"))
    assert [one.name for one in recorded.recordings(path.parent)] == ["x", "y"]
    assert all(found.read() for found in recorded.recordings(path.parent))


@pytest.mark.parametrize("what", ["digest", "head"])
def test_a_file_that_is_not_the_one_that_was_kept_is_refused(tmp_path: Path, what: str) -> None:
    one, other = (recording.read() for recording in SHIPPED[:2])
    recorded.keep(one, tmp_path / "x.json")
    heads = json.loads((tmp_path / "heads.json").read_text())
    heads["x"][what] = {"digest": other["digest"], "head": other["record"]["source"]["head"]}[what]
    (tmp_path / "heads.json").write_text(json.dumps(heads))
    with pytest.raises(RecordRefused, match=r"head that was kept outside|digest of another document"):
        recorded.recording(tmp_path / "x.json").read()


def test_with_a_key_at_hand_an_unsigned_document_is_refused_and_so_is_another_key(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(WHOLE)
    with pytest.raises(RecordRefused, match="carries no signature"):
        recorded.recording(path).read(b"the key")
    path.write_bytes(incident_record.canonical(record_seal.sealed(document(), b"the key")))
    assert recorded.recording(path).read(b"the key")
    with pytest.raises(RecordRefused, match="another key"):
        recorded.recording(path).read(b"another key")


Tamper = Any
TAMPERINGS: dict[str, Tamper] = {
    "an event's payload": lambda record: record["events"][1].update(payload={"note": "x"}),
    "an event's actor": lambda record: record["events"][1].update(actor="person-x"),
    "an event removed": lambda record: record["events"].pop(1),
    "two events swapped": lambda record: record["events"].insert(1, record["events"].pop(2)),
    "the tail cut": lambda record: record["events"].pop(),
    "an event doubled": lambda record: record["events"].insert(1, record["events"][1]),
    "an interval": lambda record: record["events"][1].update(after_us=1),
    "a refusal": lambda record: record["refusals"].append(record["refusals"][0]) if record["refusals"] else None,
    "the outcome": lambda record: record["sla"]["resolve"].update(outcome="breached"),
    "a role": lambda record: record["people"][0].update(role="superadmin"),
    "the head": lambda record: record.update(head=None),
    "the source's head": lambda record: record["source"].update(head=None),
}


@pytest.mark.parametrize("tampering", list(TAMPERINGS))
def test_a_change_of_anything_is_found(tampering: str) -> None:
    whole = incident_record.read(next(one for one in SHIPPED if one.name == "all-states").path.read_bytes())
    changed = copy.deepcopy(whole)
    TAMPERINGS[tampering](changed["record"])
    if changed != whole:
        assert record_seal.faults_of(changed)


@pytest.mark.parametrize(
    "tampering",
    ["an event's payload", "an event removed", "two events swapped", "the tail cut", "an event doubled", "an interval"],
)
def test_whoever_recomputes_the_digest_alone_is_found_by_chain_head_or_times(tampering: str) -> None:
    changed = document()
    TAMPERINGS[tampering](changed["record"])
    assert record_seal.faults_of(record_seal.sealed(changed, b""))


def test_a_cut_tail_with_chain_and_digest_recomputed_is_found_by_the_head_that_was_kept_outside() -> None:
    whole = document()
    kept = whole["record"]["source"]["head"]
    record = whole["record"]
    record["events"].pop()
    record["head"] = record["source"]["head"] = {
        "seq": len(record["events"]),
        "hash": record["events"][-1]["hash"],
    }
    forged = record_seal.sealed(whole, b"")
    assert record_seal.faults_of(forged) == []
    assert any("kept outside" in fault for fault in record_seal.faults_of(forged, head=kept))


def test_the_chain_of_a_document_is_that_of_the_specification() -> None:
    record = document()["record"]
    prev = chain.ZERO
    for event in record["events"]:
        assert event["prev"] == prev
        prev = event["hash"] = chain.event_hash(record["incident"]["id"], event)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=8), inner, max_size=4)
    ),
)


@given(values)
def test_the_canonical_form_of_what_the_schema_lets_through_is_that_of_rfc_8785(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (UnicodeEncodeError, rfc8785.CanonicalizationError):
        with pytest.raises(UnicodeEncodeError):
            incident_record.canonical(value)
    else:
        assert incident_record.canonical(value) == expected


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_comes_is_read_or_refused(content: bytes) -> None:
    with pytest.raises(RecordRefused):
        incident_record.read(content)
