"""Restores on real servers: to every kind of point, exactly; and what may not be restored from."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_smartattend.errors import BackupRefused, TargetNotReached, UsageError
from pytest_smartattend.postgres.archive import Archive
from pytest_smartattend.postgres.backup import Backup
from pytest_smartattend.postgres.lsn import Lsn, segment_name
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.recovery_target import (
    END,
    RecoveryTarget,
    before_transaction,
    through_transaction,
    to_lsn,
    to_name,
    to_time,
)

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field


@dataclass(frozen=True)
class Past:
    """A primary's history: 1001, a named point, 1002, a moment, 1003, a place, 1004, a transaction with 1005, 1006."""

    field: Field
    primary: Node
    archive: Archive
    backup: Backup
    moment: datetime
    place: Lsn
    transaction: int


@pytest.fixture(scope="module")
def past(shared_field: Field) -> Past:
    field = shared_field
    archive = field.site.archive()
    node = field.primary(archive=archive)
    backup = field.site.base_backup(node)
    field.write(node, 1001)
    node.restore_point("named")
    field.write(node, 1002)
    moment = node.query("SELECT clock_timestamp()")[0][0]
    field.write(node, 1003)
    place = node.lsn()
    field.write(node, 1004)
    transaction = node.query("INSERT INTO t VALUES (1005, 'bad') RETURNING pg_current_xact_id()::text::bigint")[0][0]
    field.write(node, 1006)
    archive.prove(node)
    return Past(field, node, archive, backup, moment, place, transaction)


@pytest.fixture
def restored(past: Past, request: pytest.FixtureRequest) -> Iterator[Callable[[RecoveryTarget], Node]]:
    """Restore to a target under a name of the test's own. Gone after the test."""
    made = []

    def restore(target: RecoveryTarget, archive: Archive = past.archive, backup: Backup = past.backup) -> Node:
        name = f"r{len(past.field.site.nodes)}"
        try:
            return past.field.site.restore(name, backup, archive, target)
        finally:
            made.append(next(node for node in past.field.site.nodes if node.name == name))

    yield restore
    for node in made:
        node.destroy()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (lambda past: END, [1001, 1002, 1003, 1004, 1005, 1006]),
        (lambda past: to_name("named"), [1001]),
        (lambda past: to_time(past.moment), [1001, 1002]),
        (lambda past: to_lsn(past.place), [1001, 1002, 1003]),
        (lambda past: before_transaction(past.transaction), [1001, 1002, 1003, 1004]),
        (lambda past: through_transaction(past.transaction), [1001, 1002, 1003, 1004, 1005]),
    ],
    ids=["end", "name", "time", "lsn", "before transaction", "through transaction"],
)
def test_a_restore_ends_exactly_at_its_target(
    past: Past,
    restored: Callable[[RecoveryTarget], Node],
    target: Callable[[Past], RecoveryTarget],
    expected: list[int],
) -> None:
    node = restored(target(past))
    assert past.field.numbers(node) == expected
    assert node.timeline() == 2
    past.field.write(node, 1007)


def test_a_restore_whose_wal_ends_before_its_target_is_told_so(
    past: Past, restored: Callable[[RecoveryTarget], Node]
) -> None:
    with pytest.raises(TargetNotReached, match="ends before the point"):
        restored(to_name("never made"))
    with pytest.raises(TargetNotReached, match="committed record behind it"):
        restored(to_lsn(Lsn(past.primary.lsn() + 2**30)))


def test_a_restored_node_archives_nothing(past: Past, restored: Callable[[RecoveryTarget], Node]) -> None:
    before = sorted(path.name for path in past.archive.folder.iterdir())
    node = restored(END)
    past.field.write(node, 1008)
    node.query("SELECT pg_switch_wal()")
    node.stop()
    assert sorted(path.name for path in past.archive.folder.iterdir()) == before
    assert not [name for name in before if name.startswith("00000002")]


def test_an_archive_takes_no_other_segment_of_the_same_name(past: Past, tmp_path: Path) -> None:
    name = past.archive.segments()[0]
    size = (past.archive.folder / name).stat().st_size
    other = past.archive.folder.parent / "other"
    other.write_bytes(b"\0" * size)
    command = past.archive.command.replace("%f", name).replace("%p", str(other))
    assert subprocess.run(["/bin/sh", "-c", command]).returncode != 0
    assert (past.archive.folder / name).read_bytes() != other.read_bytes()
    command = past.archive.command.replace("%f", name).replace("%p", str(past.archive.folder / name))
    assert subprocess.run(["/bin/sh", "-c", command]).returncode == 0


def test_a_whole_backup_and_archive_are_accepted(past: Past) -> None:
    past.backup.verify()
    assert past.archive.verify(past.backup) == past.archive.segments()[-1]


def copied(past: Past, folder: Path, name: str) -> Path:
    past.primary.programs.copy(folder, folder.with_name(name))
    return folder.with_name(name)


@pytest.mark.parametrize("damage", ["a byte", "a missing file", "a file too many", "WAL"])
def test_a_damaged_backup_is_refused(past: Past, damage: str) -> None:
    folder = copied(past, past.backup.folder, "damaged")
    try:
        if damage == "a byte":
            with (folder / "global" / "pg_control").open("r+b") as file:
                file.seek(100)
                file.write(b"\xff")
        elif damage == "a missing file":
            (folder / "PG_VERSION").unlink()
        elif damage == "a file too many":
            (folder / "base" / "1" / "99999").write_bytes(b"")
        else:
            with next((folder / "pg_wal").glob("0*")).open("r+b") as file:
                file.seek(0x28)
                file.write(b"\xff" * 64)
        with pytest.raises(BackupRefused, match="is not what was taken"):
            replace(past.backup, folder=folder).verify()
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def copy_of_archive(past: Past) -> Iterator[Archive]:
    folder = copied(past, past.archive.folder, "archive-copy")
    yield Archive(folder, past.primary.programs)
    shutil.rmtree(folder)


def test_an_archive_that_lacks_a_segment_is_refused(past: Past, copy_of_archive: Archive) -> None:
    past.archive.prove(past.primary)
    past.archive.prove(past.primary)
    for name in past.archive.segments():
        shutil.copy(past.archive.folder / name, copy_of_archive.folder / name)
    lacking = copy_of_archive.segments()[-2]
    (copy_of_archive.folder / lacking).unlink()
    with pytest.raises(BackupRefused, match=f"lacks the segment {lacking}"):
        copy_of_archive.verify(past.backup)


def test_a_damaged_record_ends_a_restore_in_silence_so_the_archive_is_verified(
    past: Past, copy_of_archive: Archive, restored: Callable[..., Node]
) -> None:
    segment = copy_of_archive.folder / segment_name(1, past.place, 16 * 2**20)
    content = segment.read_bytes()
    at = content.index(b"written")  # of 1001
    segment.write_bytes(content[:at] + b"wrotten" + content[at + 7 :])
    with pytest.raises(BackupRefused, match="damaged before"):
        copy_of_archive.verify(past.backup)
    node = restored(END, archive=copy_of_archive)
    assert past.field.numbers(node) == []  # it ended well, without a word


def test_an_empty_archive_is_refused(past: Past) -> None:
    empty = past.field.site.archive("empty")
    with pytest.raises(BackupRefused, match="no full segment"):
        empty.verify(past.backup)


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(UsageError, match="no time zone"):
        to_time(datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_a_synchronous_receiver_keeps_all_that_was_acknowledged(field: Field) -> None:
    site, n0 = field.site, field.primary()
    backup, archive = site.base_backup(n0), site.archive()
    receiver = archive.receive(n0)
    site.require(n0, receiver.name)
    with field.probe(n0) as probe:
        probe.await_acknowledged(100)
        fault = n0.destroy()
    receiver.stop()
    backup.verify()
    restored = site.restore("restored", backup, archive)
    found = probe.recovery(field.stored(restored), fault)
    assert found.lost == ()
    assert found.acknowledged >= 100


def test_an_archive_of_full_segments_loses_what_came_after_the_last(field: Field) -> None:
    site = field.site
    archive = site.archive()
    n0 = field.primary(archive=archive)
    backup = site.base_backup(n0)
    with field.probe(n0) as probe:
        probe.await_acknowledged(50)
        archive.prove(n0)
        archived = probe.acknowledged
        probe.await_acknowledged(100)
        fault = n0.destroy()
    restored = site.restore("restored", backup, archive)
    found = probe.recovery(field.stored(restored), fault)
    assert found.rpo_rows >= 90
    assert found.acknowledged - found.rpo_rows >= 50
    assert archived >= 50
    assert found.lost_seconds > 0


def test_a_clean_stop_archives_the_last_segment(field: Field) -> None:
    site = field.site
    archive = site.archive()
    n0 = field.primary(archive=archive)
    backup = site.base_backup(n0)
    field.write(n0, 1001)
    n0.stop()
    assert field.numbers(site.restore("restored", backup, archive)) == [1001]
