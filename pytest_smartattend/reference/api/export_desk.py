"""The export desk: incidents leave the platform as documents, and it is kept who took which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.api.access import Caller
from pytest_smartattend.reference.api.desk import IncidentDesk
from pytest_smartattend.reference.domain.actors import Scope, is_person
from pytest_smartattend.reference.domain.export import Exporter, Material
from pytest_smartattend.reference.domain.incident import Incident
from pytest_smartattend.reference.domain.ports import Clock, NewId, write_instant
from pytest_smartattend.reference.store.accounts import Accounts
from pytest_smartattend.reference.store.exports import ExportRows, Selection
from pytest_smartattend.reference.store.sessions import Store

#: to learn in which role somebody acted, whoever asks: a superadmin belongs to no tenant
_EVERYBODY = Scope(everywhere=True)


class ExportDesk:
    """Exports. The document is given only after it is kept that it was.

    Args:
        incidents: the incident store.
        database: where the accounts are.
        desk: finds incidents.
        exporter: makes the documents.
        clock: of the platform.
        new_id: of the platform.
    """

    def __init__(
        self,
        incidents: Store,
        database: Store,
        desk: IncidentDesk,
        exporter: Exporter,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self.exporter = exporter
        self.rows = ExportRows(desk.rows, Accounts())
        self._incidents = incidents
        self._database = database
        self._desk = desk
        self._clock = clock
        self._new_id = new_id

    async def one(self, caller: Caller, incident_id: str, *, verbatim: bool) -> dict[str, Any]:
        """The document of an incident.

        Raises:
            Problem: not_found, for what is not within the scope.
        """
        async with self._incidents.transaction(caller.scope, snapshot=True) as transaction:
            incident = await self._desk.found(transaction, caller.scope, incident_id)
            material = await self.rows.material(transaction, caller.scope, [incident])
        (document,) = await self._documents(caller, material, verbatim=verbatim)
        return document

    async def page(
        self, caller: Caller, wanted: Selection, *, verbatim: bool
    ) -> tuple[list[dict[str, Any]], Incident | None]:
        """The documents of a page, and the last incident on it if there are more."""
        limit = wanted.limit
        async with self._incidents.transaction(caller.scope, snapshot=True) as transaction:
            found = list(await self.rows.chosen(transaction, caller.scope, wanted.with_limit(limit + 1)))
            material = await self.rows.material(transaction, caller.scope, found[:limit])
        documents = await self._documents(caller, material, verbatim=verbatim)
        return documents, found[limit - 1] if len(found) > limit else None

    async def _documents(self, caller: Caller, material: Sequence[Material], *, verbatim: bool) -> list[dict[str, Any]]:
        ids = {
            UUID(row["actor"]) for one in material for row in (*one.events, *one.refusals) if is_person(row["actor"])
        }
        ids |= {one.incident.owner_id for one in material} | {one.incident.created_by for one in material}
        ids |= {UUID(row["payload"]["from"]) for one in material for row in one.events if row["kind"] == "handed_over"}
        async with self._database.transaction(_EVERYBODY) as transaction:
            people = await self.rows.people(transaction, ids)
        actor, at = str(caller.user.id), self._clock.now()
        documents, kept = [], []
        for one in material:
            export_id = self._new_id()
            header = {"export_id": str(export_id), "exported_at": write_instant(at), "exported_by": actor}
            document = self.exporter.document(one, people, header, verbatim=verbatim)
            about = {"incident_id": one.incident.id, "tenant_id": one.incident.tenant_id, "actor": actor, "at": at}
            kept.append({"id": export_id, **about, "verbatim": verbatim, "digest": document["digest"]})
            documents.append(document)
        await self.keep(caller, kept)
        return documents

    async def keep(self, caller: Caller, kept: Sequence[dict[str, Any]]) -> None:
        """Append who exported what; nothing for an empty page."""
        if kept:
            async with self._incidents.transaction(caller.scope) as transaction:
                await self.rows.keep(transaction, kept)
