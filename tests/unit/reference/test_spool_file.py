"""The spool's file: whole lines come back, torn ones were promised to nobody, and nobody's file is forgotten."""

from __future__ import annotations

import os
import resource
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from pytest_smartattend.reference.domain.incident import Severity
from pytest_smartattend.reference.domain.lifecycle import Report
from pytest_smartattend.reference.store.spool_file import Spooled, SpoolFile

AT = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
HOSTILE = Report("O'Reilly\r\n\u2028 \x00 \ud800 ñ 🦆".replace("\x00", ""), "line\nline", Severity.CRITICAL)


def entry(title: str = "It is down") -> Spooled:
    who = uuid4()
    return Spooled(uuid4(), uuid4(), Report(title, "", Severity.LOW), who, str(who), AT)


def test_what_was_appended_comes_back_as_it_was(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path)
    told = [entry(), replace(entry(), report=HOSTILE), entry()]
    for one in told:
        file.append(one.line())
    assert file.waiting()[0] == told
    assert file.waiting()[2] == 0


def test_a_line_is_on_disk_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpoolFile.create(tmp_path)
    synced: list[bytes] = []
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(file.path.read_bytes()))
    one = entry()
    file.append(one.line())
    assert synced == [one.line()]


@pytest.mark.parametrize("kept", [1, 9, 40, -1])
def test_a_torn_last_line_is_dropped_and_no_other(tmp_path: Path, kept: int) -> None:
    file = SpoolFile.create(tmp_path)
    whole = entry()
    file.append(whole.line())
    with file.path.open("ab") as torn:
        torn.write(entry().line()[:kept])
    assert file.waiting()[0] == [whole]
    assert file.waiting()[2] == 0


def test_a_damaged_line_costs_no_other_and_is_kept_for_a_person(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path)
    told = [entry("first"), entry("second"), entry("third")]
    for one in told:
        file.append(one.line())
    damaged = file.path.read_bytes().replace(b"second", b"secone")
    file.path.write_bytes(damaged)
    entries, _, unreadable = file.waiting()
    assert (entries, unreadable) == ([told[0], told[2]], 1)
    file.put_aside()
    assert [path.read_bytes() for path in tmp_path.glob("*.damaged")] == [damaged]


def test_a_line_that_cannot_be_written_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path)
    told = [entry(), entry("x" * 200), entry()]
    file.append(told[0].line())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # as a full disk: some of the line fits, the rest does not
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(told[0].line()) + 100, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            file.append(told[1].line())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.path.read_bytes() == told[0].line()
    file.append(told[2].line())
    assert file.waiting()[0] == [told[0], told[2]]


def test_what_was_brought_in_is_forgotten_and_what_came_meanwhile_is_not(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path)
    told = [entry(), entry()]
    file.append(told[0].line())
    _, end, _ = file.waiting()
    file.append(told[1].line())
    assert not file.brought_in(end)
    assert file.waiting()[0] == [told[1]]
    assert file.brought_in(file.waiting()[1])
    assert file.waiting()[0] == []
    assert file.path.stat().st_size == 0


def test_a_file_is_taken_over_only_when_its_worker_is_gone(tmp_path: Path) -> None:
    file = SpoolFile.create(tmp_path)
    file.append(entry().line())
    assert SpoolFile.abandoned(tmp_path) == []
    file.close()
    (found,) = SpoolFile.abandoned(tmp_path)
    assert SpoolFile.abandoned(tmp_path) == []
    assert found.brought_in(found.waiting()[1])
    found.close()
    assert list(tmp_path.iterdir()) == []


def test_a_spool_folder_may_be_missing_or_empty(tmp_path: Path) -> None:
    assert SpoolFile.abandoned(tmp_path / "none") == []
    assert SpoolFile.create(tmp_path / "new").waiting() == ([], 0, 0)


def test_what_lies_above_the_spool_folder_is_not_made(tmp_path: Path) -> None:
    """A disk that is not mounted, or the folder of a run that was killed."""
    with pytest.raises(FileNotFoundError):
        SpoolFile.create(tmp_path / "gone" / "spool")
    assert list(tmp_path.iterdir()) == []
