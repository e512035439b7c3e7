"""What a check needs to hold drills: servers of its own, the platform on them, their operators, and steps that are recorded."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from pytest_smartattend.engine.units import MILLISECOND
from pytest_smartattend.errors import NotOffered
from pytest_smartattend.evidence import stopwatch
from pytest_smartattend.postgres.choosing import Wanted
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.schema import Schema
from pytest_smartattend.postgres.site import DATABASE, Site, own_site
from pytest_smartattend.sabotage import catalogue
from pytest_smartattend.target.installation import Installation, Startup, of_the_reference
from pytest_smartattend.target.operators import Operators
from pytest_smartattend.target.people import Tenant
from pytest_smartattend.trials import sql_writer
from pytest_smartattend.trials.api_writer import ApiWriter
from pytest_smartattend.trials.drill import Drill, Measure, Record
from pytest_smartattend.trials.probe import Probe
from pytest_smartattend.trials.sql_writer import SqlWriter

APP = "smartattend_app"
#: how long a platform may take to store what it took for later, once its store is back
SETTLED = timedelta(seconds=30)


class Drills:
    """Made for one check; everything that it hands out is gone when the check ends.

    Args:
        wanted: what the servers are run with.
        schema: of the platform's databases.
        folder: for the platform's files; made by us, in the run's folder.
        record, measure: take the evidence.
        sabotage: the name of a planted defect, or empty.
        startup: how somebody's own platform is started; None for the reference.
    """

    def __init__(
        self,
        wanted: Wanted,
        schema: Schema,
        folder: Path,
        *,
        record: Record,
        measure: Measure,
        sabotage: str = "",
        startup: Startup | None = None,
    ) -> None:
        self._wanted = wanted
        self._schema = schema
        self._folder = folder
        self._record = record
        self._measure = measure
        self._sabotage = sabotage
        self._startup = startup
        self._closing = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __call__(self, name: str, *, foreign: bool = False) -> Drill:
        """A drill, to be held in a ``with``. `foreign`: the platform is somebody else's; see `Drill`."""
        theirs = self._startup is not None
        return Drill(name, record=self._record, measure=self._measure, foreign=foreign or theirs, stand_in=theirs)

    @staticmethod
    def only_linux(what: str) -> None:
        """Say before a drill begins that it needs `what`: a step that cannot look would wait for it.

        Raises:
            NotOffered: this is another system.
        """
        if sys.platform != "linux":
            raise NotOffered(f"{what}, for which this system is no Linux")

    def site(self) -> Site:
        """A new site: an empty place for servers that this check owns."""
        return self._closing.enter_context(own_site(self._wanted))

    def operators(self, site: Site) -> Operators:
        """The reference platform's operators, who stand in for those of somebody's own."""
        made = Operators(site)
        if self._sabotage and (plant := catalogue.by_name()[self._sabotage].apply_operators) is not None:
            plant(made)
        return made

    def primary(self, site: Site, name: str = "n0", **settings: Any) -> Node:  # noqa: ANN401
        """A primary with the platform's database and the table of direct probes, in that database."""
        node = site.primary(name, schema=self._schema, **settings)
        if self._sabotage:
            catalogue.plant_in_database(self._sabotage, node.dsn(DATABASE))
        with node.connect(DATABASE) as connection:
            sql_writer.make_table(connection)
        return node

    def serve(
        self,
        database: str,
        owner: str,
        *,
        incidents: str = "",
        instances: int = 2,
        webhook: str = "",
        sabotage: str = "",
    ) -> Installation:
        """The platform on these servers, to be held in a ``with``.

        Args:
            database: a libpq URL, as ``smartattend_app``.
            owner: of the same database, as a superuser.
            incidents: of the incident store, as ``smartattend_app``; the same where it is not given.
            instances: how many are started.
            webhook: is told of alerts.
            sabotage: for a control: a defect planted in this installation alone, which is the reference's then.
        """
        theirs = None if sabotage else self._startup
        return Installation(
            theirs or of_the_reference(sabotage or self._sabotage),
            database,
            incidents or database,
            owner,
            self._folder / f"installation-{next(self._numbers)}",
            instances=instances,
            webhook=webhook,
        )

    def over_the_api(self, tenant: Tenant, *, keep: bool = True, name: str = "") -> Probe:
        """Two writers that report incidents to the platform; `keep`: each on one connection, else on a new one a write."""
        return Probe(
            lambda _: ApiWriter(tenant.staff, keep=keep), writers=2, every=timedelta(milliseconds=10), name=name
        )

    def reported(self, node: Node, tenant: Tenant) -> list[str]:
        """The titles of the tenant's incidents that are stored: the keys of `over_the_api`."""
        rows = node.query("SELECT title FROM incidents WHERE tenant_id = %s", [tenant.id], DATABASE)
        return [title for (title,) in rows]

    def settle(self, drill: Drill, node: Node, tenant: Tenant, *probes: Probe) -> None:
        """A step of `drill`: what the platform took for later, with 202, is stored. Only then can be told what is lost.

        Args:
            drill: gets the step.
            node: holds the incidents.
            tenant: whose.
            probes: of `over_the_api`, which have been left.

        Raises:
            StepFailed: some of it does not come in.
        """
        taken = {
            one.key for probe in probes for one in probe.history if one.outcome == "ok" and one.result["status"] == 202
        }

        def stored() -> dict[str, int]:
            waiting = sorted(taken - set(self.reported(node, tenant)))
            assert not waiting, f"{len(waiting)} of {len(taken)} are not stored: {', '.join(waiting[:5])}"
            return {"taken for later": len(taken)}

        drill.step("what was taken for later is stored", actor="platform", until=stored, within=SETTLED)

    def direct(self, dsn: str, *, writers: int = 2, name: str = "") -> Probe:
        """Writers that speak to PostgreSQL directly, past the platform."""
        # No oftener: what they do to find a primary that is not there, the servers do not do to become one.
        return Probe(lambda _: SqlWriter(dsn), writers=writers, every=10 * MILLISECOND, name=name)

    def written(self, node: Node) -> list[str]:
        """The keys of `direct` that are stored."""
        with node.connect(DATABASE) as connection:
            return list(sql_writer.stored_keys(connection))

    def failover_floor(self, site: Site, primary: Node) -> float:
        """What a failover takes here at the least, in seconds, where nothing must be noticed and nobody else be told.

        From the moment when a standby leaves `primary` to the first row that it accepts as a primary, over a connection
        that was opened for it.
        """
        spare = site.standby("floor", of=primary)
        begin = stopwatch.monotonic_ns()
        spare.stop_receiving()
        spare.promote()
        return self._first_row(spare, begin)

    def restore_floor(self, restore: Callable[[], Node]) -> float:
        """What a restore takes here at the least, in seconds: from the order to the first row that was accepted."""
        begin = stopwatch.monotonic_ns()
        node = restore()
        return self._first_row(node, begin)

    def _first_row(self, node: Node, begin: int) -> float:
        """Seconds from `begin` until `node` has accepted a row; then it is destroyed."""
        with node.connect() as connection:
            connection.execute("CREATE TABLE smartattend_floor AS SELECT 1 AS a")
        seconds = (stopwatch.monotonic_ns() - begin) / 1e9
        node.destroy()
        return seconds

    def close(self) -> None:
        """End everything."""
        self._closing.close()
