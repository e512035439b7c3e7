"""A damaged page is found by each way that claims to find it, at the same place, and a whole one by none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from pytest_smartattend.errors import BackupRefused, UsageError
from pytest_smartattend.postgres import pages
from pytest_smartattend.postgres.page_checksums import PAGE

if TYPE_CHECKING:
    from tests.contract.cluster.conftest import Field


def test_a_whole_cluster_has_no_damaged_page_by_any_way(field: Field) -> None:
    n0 = field.primary(rows=5000)
    assert pages.verify_by_backup(n0) == []
    n0.stop()
    bad, count = pages.verify(n0.data)
    assert bad == []
    assert count > 1000
    assert pages.verify_stopped(n0.programs, n0.data) is None


def test_a_damaged_page_is_found_by_every_way_at_the_same_place(field: Field) -> None:
    n0 = field.primary(rows=5000)
    healthy = n0.digest("t")
    page = pages.find_heap_page(n0, "t")
    n0.stop()
    at, before, after = page.flip()
    assert before != after
    assert at + len(before) == PAGE
    bad, _ = pages.verify(n0.data)
    assert [(found.file, found.block) for found in bad] == [(page.file, page.block)]
    said = pages.verify_stopped(n0.programs, n0.data)
    assert said is not None
    assert page.file in said
    assert f"block {page.block}" in said
    n0.start()
    assert pages.verify_by_backup(n0) == bad
    with pytest.raises(psycopg.errors.DataCorrupted, match=f"invalid page in block {page.block} "):
        n0.digest("t")
    with pytest.raises(BackupRefused, match="has damaged pages"):
        field.site.base_backup(n0)
    n0.stop()
    page.flip()
    n0.start()
    assert n0.digest("t") == healthy


def test_a_page_in_memory_hides_its_damage_from_queries_and_not_from_the_disk(field: Field) -> None:
    n0 = field.primary()
    page = pages.find_heap_page(n0, "t")
    healthy = n0.digest("t")
    page.flip()
    assert n0.digest("t") == healthy
    assert [found.file for found in pages.verify(n0.data)[0]] == [page.file]


def test_pages_that_are_written_meanwhile_are_not_called_damaged(field: Field) -> None:
    n0 = field.primary(rows=20000, shared_buffers="1MB")
    with field.probe(n0) as probe:
        probe.await_acknowledged(20)
        for _ in range(3):
            n0.query("UPDATE t SET b = md5(b)")
            n0.query("CHECKPOINT")
            bad, count = pages.verify(n0.data)
            assert bad == []
            assert count > 1000


def test_a_page_that_was_read_half_written_is_looked_at_again(field: Field, monkeypatch: pytest.MonkeyPatch) -> None:
    n0 = field.primary()
    page = pages.find_heap_page(n0, "t")
    n0.stop()
    page.flip()
    waited: list[float] = []

    def moment(seconds: float) -> None:
        if not waited:
            page.flip()  # the other half arrives
        waited.append(seconds)

    monkeypatch.setattr("time.sleep", moment)
    assert pages.verify(n0.data)[0] == []
    assert len(waited) == 1


def test_a_killed_cluster_is_read_past_the_server_only(field: Field) -> None:
    n0 = field.primary()
    n0.kill()
    with pytest.raises(UsageError, match="only after a clean stop"):
        pages.verify_stopped(n0.programs, n0.data)
    assert pages.verify(n0.data)[0] == []


def test_an_empty_table_has_no_page_to_damage(field: Field) -> None:
    n0 = field.primary()
    n0.query("CREATE TABLE nothing (a int)")
    with pytest.raises(UsageError, match="is empty"):
        pages.find_heap_page(n0, "nothing")
