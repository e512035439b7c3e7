"""Ready copies of clusters: claimed whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pytest_smartattend.postgres import cache, keeper


@pytest.mark.parametrize("dropped_by", ["the keeper", "a run whose archive is damaged"])
def test_a_copy_that_is_being_dropped_cannot_be_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropped_by: str
) -> None:
    ready = tmp_path / "user" / "ready"
    for name in ("old", "young"):
        (ready / name / "base").mkdir(parents=True)
    clusters = cache.ClusterCache(tmp_path, ready)
    claims = []
    removing = shutil.rmtree

    def claimed_meanwhile(folder: str | Path, *, ignore_errors: bool) -> None:
        claims.append(clusters.claim("old", tmp_path / "claimed"))
        removing(folder, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", claimed_meanwhile)
    if dropped_by == "the keeper":
        keeper._prepare(str(tmp_path / "none.tar"), str(ready / "young"), 1)
    else:
        clusters.discard("old")
    assert claims == [None]
    assert [path.name for path in ready.iterdir()] == ["young"]
