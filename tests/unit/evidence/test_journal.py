from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from pytest_smartattend.errors import EvidenceError
from pytest_smartattend.evidence import journal as journals
from pytest_smartattend.evidence.journal import Journal


@pytest.fixture
def written(tmp_path: Path) -> Path:
    journal = Journal("run", "gw0", tmp_path)
    for number in range(5):
        journal.append("event", {"name": f"n{number}"}, test="test_a", attempt=1)
    journal.close()
    return next(tmp_path.glob("*.jsonl"))


def test_a_journal_reads_back_and_its_head_is_the_last_hash(written: Path) -> None:
    found = journals.read(written, "run")
    assert [record["data"]["name"] for record in found.records] == ["n0", "n1", "n2", "n3", "n4"]
    assert (found.faults, found.torn, found.worker) == ([], "", "gw0")
    assert found.head == found.records[-1]["hash"]
    assert set(found.records[0]) == {
        "v", "run", "worker", "pid", "seq", "mono_ns", "wall", "kind", "test", "attempt", "data", "prev", "hash",
    }  # fmt: skip


def test_a_line_is_on_disk_before_append_returns(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", tmp_path)
    journal.append("event", {})
    assert len(journals.read_all(tmp_path, "run")[0].records) == 1
    journal.close()


def test_a_torn_last_line_is_named_and_the_rest_is_kept(written: Path) -> None:
    content = written.read_bytes()
    for length in range(content.rindex(b"\n", 0, -1) + 2, len(content)):
        written.write_bytes(content[:length])
        found = journals.read(written, "run")
        assert (len(found.records), found.faults) == (4, [])
        assert found.torn.startswith("{")


@pytest.mark.parametrize("line", range(5))
def test_a_changed_line_is_found_and_nothing_after_it_is_used(written: Path, line: int) -> None:
    written.write_bytes(written.read_bytes().replace(f'"n{line}"'.encode(), b'"no"'))
    found = journals.read(written, "run")
    assert len(found.records) == line
    assert "was changed" in found.faults[0]


@pytest.mark.parametrize("line", range(4))
def test_a_line_taken_out_is_found(written: Path, line: int) -> None:
    lines = written.read_bytes().splitlines(keepends=True)
    del lines[line]
    written.write_bytes(b"".join(lines))
    assert "does not follow" in journals.read(written, "run").faults[0]


def test_a_journal_of_another_run_is_not_used(written: Path) -> None:
    found = journals.read(written, "other")
    assert found.records == []
    assert "belongs to another run" in found.faults[0]


@pytest.mark.parametrize("junk", [b"\n", b"{}\n", b"null\n", b"\xff\n", b'{"v":1,"hash":"x"}\n'])
def test_junk_is_a_fault_and_never_an_error(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "x.evidence.jsonl").write_bytes(junk)
    assert len(journals.read_all(tmp_path, "run")[0].faults) == 1


def test_threads_share_one_chain(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", tmp_path)
    threads = [threading.Thread(target=lambda: [journal.append("event", {}) for _ in range(50)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    found = journals.read_all(tmp_path, "run")[0]
    assert (len(found.records), found.faults) == (400, [])


def test_a_forked_child_may_not_write(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", tmp_path)
    child = os.fork()
    if child == 0:
        try:
            journal.append("event", {})
        except EvidenceError:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    journal.close()


def test_a_full_disk_is_an_error_with_advice(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", tmp_path)
    journal._file = os.open("/dev/full", os.O_WRONLY)
    for _ in range(2):
        with pytest.raises(EvidenceError, match=r"No space left on device.*TMPDIR"):
            journal.append("event", {})
    journal.close()


def test_without_a_folder_the_chain_is_kept_and_nothing_is_written(tmp_path: Path) -> None:
    journal = Journal("run", "gw0", None)
    head = journal.append("event", {"name": "x"})
    assert (journal.on_disk, journal.head, list(tmp_path.iterdir())) == (False, head, [])
    assert json.loads(json.dumps({"head": head}))["head"] != journals.START


def test_a_folder_that_went_with_its_run_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(EvidenceError, match="no journal can be made"):
        Journal("run", "gw0", tmp_path / "gone")
    assert not (tmp_path / "gone").exists()
