"""Durable servers for tests: a site of their own, on each kind of binaries, with a table and a probe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from pytest_smartattend.errors import NoServerFound
from pytest_smartattend.postgres.archive import Archive
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.site import Site, own_site
from pytest_smartattend.trials import sql_writer
from pytest_smartattend.trials.probe import Probe
from pytest_smartattend.trials.sql_writer import SqlWriter


class Field:
    """A site, and what tests do on it.

    Attributes:
        site: of this test or module.
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    def primary(self, rows: int = 500, archive: Archive | None = None, **settings: str) -> Node:
        """A primary with the table ``t``, which holds the numbers from 1 to `rows`."""
        node = self.site.primary("n0", archive=archive, schema=None, **settings)
        node.query("CREATE TABLE t AS SELECT g AS a, md5(g::text) AS b FROM generate_series(1, %s) AS g", [rows])
        return node

    def numbers(self, node: Node) -> list[int]:
        """What a test wrote: every number over 1000."""
        return [a for (a,) in node.query("SELECT a FROM t WHERE a > 1000 ORDER BY a")]

    def write(self, node: Node, number: int) -> None:
        """Write one row."""
        node.query("INSERT INTO t VALUES (%s, 'written')", [number])

    def probe(self, primary: Node, nodes: Sequence[Node] = ()) -> Probe:
        """Three writers that find the primary among `nodes`, by default all that there are."""
        with primary.connect() as connection:
            sql_writer.make_table(connection)
        dsn = self.site.dsn(nodes=nodes)
        return Probe(lambda _: SqlWriter(dsn), writers=3)

    def stored(self, node: Node) -> list[str]:
        """The probe's keys that are stored."""
        with node.connect() as connection:
            return list(sql_writer.stored_keys(connection))


def fields(provider: str) -> Iterator[Field]:
    """A field on the binaries of `provider`."""
    try:
        with own_site(Wanted(postgres=provider)) as site:
            yield Field(site)
    except NoServerFound as problem:
        pytest.skip(str(problem).splitlines()[1])


@pytest.fixture(params=["embedded", "system"])
def field(request: pytest.FixtureRequest) -> Iterator[Field]:
    """A field for one test."""
    yield from fields(request.param)


@pytest.fixture(scope="module", params=["embedded", "system"])
def shared_field(request: pytest.FixtureRequest) -> Iterator[Field]:
    """A field for all tests of a module."""
    yield from fields(request.param)
