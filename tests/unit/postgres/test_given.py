from __future__ import annotations

import pytest

from pytest_smartattend.errors import UnsafeTarget, UsageError
from pytest_smartattend.postgres import given


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@localhost/d",
        "postgresql://u:p@127.0.0.1:5433/d",
        "postgres://u@[::1]:5432/d?sslmode=disable",
        "postgresql://u@%2Frun%2Fpostgresql:5432/d",
    ],
)
def test_a_loopback_url_passes(url: str) -> None:
    given.check(url, ())


def test_a_host_elsewhere_is_refused_unless_it_was_allowed() -> None:
    url = "postgresql://u:secret@db.example.org/d"
    with pytest.raises(UnsafeTarget, match=r"--smartattend-allow-host=db\.example\.org") as raised:
        given.check(url, ())
    assert "secret" not in str(raised.value)
    given.check(url, ("db.example.org",))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@localhost",
        "postgresql:///d",
        "postgresql://localhost/d",
        "postgresql://u@localhost,db.example.org/d",
        "postgresql://u@localhost:port/d",
        "postgresql://u@localhost/d?hostaddr=10.0.0.1",
        "postgresql://u@localhost/d?HOST=db.example.org",
        "postgresql://u@localhost/d?service=production",
    ],
)
def test_an_incomplete_or_redirected_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(UsageError, match=r"postgresql://user@host:port/database|Write it into the URL itself"):
        given.check(url, ())


def test_a_variable_that_redirects_every_connection_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOSTADDR", "10.0.0.1")
    with pytest.raises(UsageError, match="Unset it"):
        given.refuse_redirection()


def test_another_database_and_user_keep_the_rest_of_the_url() -> None:
    url = "postgres://u:p%40@localhost:5433/d?sslmode=disable"
    assert given.dsn(url, "a b") == "postgresql://u:p%40@localhost:5433/a%20b?sslmode=disable"
    assert given.dsn(url, "x", "u") == "postgresql://u:p%40@localhost:5433/x?sslmode=disable"
    assert given.dsn(url, "x", "other") == "postgresql://other@localhost:5433/x?sslmode=disable"
