"""The file of verdicts: appended whole, bound line to line, and read as far as it can be believed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.readiness import history
from tests.unit.readiness import documents


def entry(number: int) -> dict[str, object]:
    return {"run": f"r{number}", "status": "ready"}


def names(path: Path, last: int = 100) -> list[object]:
    return [one["run"] for one in history.read(path, last)[0]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "deep" / "history.jsonl"
    for number in range(5):
        history.append(made, entry(number))
    return made


def test_no_file_is_an_empty_history_and_no_fault(tmp_path: Path) -> None:
    assert history.read(tmp_path / "none", 26) == ([], "")


def test_what_was_appended_is_read_back_the_last_ones_of_it(path: Path) -> None:
    assert names(path) == ["r0", "r1", "r2", "r3", "r4"]
    assert names(path, 2) == ["r3", "r4"]
    assert history.read(path, 2)[1] == ""


def test_an_entry_of_a_document_is_what_the_schema_of_later_documents_takes() -> None:
    from pytest_smartattend.readiness import reading

    later = documents.build(
        {"scenarios": [documents.check("scenarios/a")]}, history=[history.entry_of(documents.broken())]
    )
    assert reading.schema_faults(later) == []


def test_a_changed_line_has_no_say_and_is_named(path: Path) -> None:
    path.write_text(path.read_text().replace('"run":"r2","status":"ready"', '"run":"r2","status":"not_ready"'))
    assert names(path) == ["r0", "r1", "r3", "r4"]
    assert history.read(path, 9)[1] == "line 3 of history.jsonl was changed, torn, or follows a gap; it has no say"


def test_a_line_that_was_changed_with_a_new_hash_of_its_own_breaks_the_next(path: Path) -> None:
    import hashlib

    lines = path.read_text().splitlines()
    body = lines[2].replace('"status":"ready"', '"status":"not_ready"').rpartition(',"hash":"')[0]
    lines[2] = f'{body},"hash":"{hashlib.sha256(body.encode()).hexdigest()}"}}'
    path.write_text("\n".join(lines) + "\n")
    assert "line 4" in history.read(path, 9)[1]


def test_a_line_that_was_taken_out_is_seen_at_the_next(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:1] + lines[2:]))
    assert "line 2" in history.read(path, 9)[1]


def test_a_torn_line_is_named_and_runs_after_it_are_remembered(path: Path) -> None:
    path.write_text(path.read_text()[:-20])
    history.append(path, entry(5))
    assert names(path) == ["r0", "r1", "r2", "r3", "r5"]
    assert "line 5 " in history.read(path, 9)[1]


def test_many_processes_append_at_once_and_every_line_is_whole_and_bound(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    code = (
        "import sys, pathlib; from pytest_smartattend.readiness import history;"
        "[history.append(pathlib.Path(sys.argv[1]), {'run': f'{sys.argv[2]}-{n}', 'pad': 'x' * 9000}) for n in range(20)]"
    )
    children = [subprocess.Popen([sys.executable, "-c", code, str(path), str(number)]) for number in range(4)]
    assert [child.wait(60) for child in children] == [0] * 4
    found, fault = history.read(path, 1000)
    assert fault == ""
    assert len({one["run"] for one in found}) == 80


def test_a_file_that_cannot_be_used_is_told_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for use in (
        history.must_be_usable,
        lambda path: history.append(path, entry(1)),
        lambda path: history.read(path, 1),
    ):
        with pytest.raises(EvidenceError, match="--smartattend-history"):
            use(tmp_path / "folder")


def test_a_line_is_json_whatever_the_names_in_it_are(tmp_path: Path) -> None:
    path = tmp_path / "h"
    history.append(path, {"run": '\ud800 "hash":" \n', "status": "ready"})
    assert json.loads(path.read_text())["entry"]["run"].startswith("\ud800")
    assert len(history.read(path, 9)[0]) == 1
