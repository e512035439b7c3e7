"""Defects in what leaves the platform: exports that leave out, round, reorder, tell names, or trust a broken chain."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pytest_smartattend.reference.domain.export import Material
from pytest_smartattend.sabotage.defect import Sabotage

Row = Mapping[str, Any]


def _leave_out_severities(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.events
    exporter.events = lambda material: [one for one in honest(material) if one["kind"] != "severity_changed"]


def _round_intervals(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.after

    def after(created: datetime, at: datetime) -> int:
        exact: int = honest(created, at)
        return round(exact / 1_000_000) * 1_000_000

    exporter.after = after


def _order_by_time(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.events
    exporter.events = lambda material: sorted(honest(material), key=lambda one: (one["at"], one["kind"]))


def _drop_roles(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    exporter.person = lambda actor, _people: {"id": actor, "role": None, "name": None}


def _drop_refusals(app: Any) -> None:  # noqa: ANN401
    def refusals(_material: Material) -> list[Row]:
        return []

    app.state.platform.exports.exporter.refusals = refusals


def _trust_the_chain(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.faults
    exporter.faults = lambda *what: [fault for fault in honest(*what) if "head" in fault]


def _trust_the_end(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.faults

    def faults(incident_id: str, events: Sequence[Row], _head: object) -> list[str]:
        found: list[str] = honest(incident_id, events, {"seq": len(events), "hash": events[-1]["hash"]})
        return found

    exporter.faults = faults


def _keep_nothing(app: Any) -> None:  # noqa: ANN401
    async def keep(*_: object) -> None:
        return None

    app.state.platform.exports.keep = keep


def _tell_texts(app: Any) -> None:  # noqa: ANN401
    app.state.platform.exports.exporter.pseudonyms.text = lambda text: text


def _name_anew(app: Any) -> None:  # noqa: ANN401
    number = itertools.count(1)
    app.state.platform.exports.exporter.pseudonyms.person = lambda _actor: f"person-{next(number):012}"


def _seal_without_refusals(app: Any) -> None:  # noqa: ANN401
    exporter = app.state.platform.exports.exporter
    honest = exporter.digest
    exporter.digest = lambda content: honest({**content, "record": {**content["record"], "refusals": []}})


EXPORTS = (
    Sabotage("export-event-missing", "the export leaves the changes of severity out", _leave_out_severities),
    Sabotage("export-intervals-rounded", "the intervals of an export are rounded to seconds", _round_intervals),
    Sabotage("export-by-time", "the events of an export are ordered by time, not by number", _order_by_time),
    Sabotage("export-roles-dropped", "the export does not tell in which role somebody acted", _drop_roles),
    Sabotage("export-refusals-dropped", "the export leaves out what was refused", _drop_refusals),
    Sabotage("export-chain-trusted", "the export does not check the chain that it carries", _trust_the_chain),
    Sabotage("export-head-not-compared", "the export of a timeline that was cut calls it whole", _trust_the_end),
    Sabotage("export-not-kept", "nobody knows who exported what", _keep_nothing),
    Sabotage("export-tells-texts", "what people wrote leaves the platform though nobody asked for it", _tell_texts),
    Sabotage("export-names-anew", "one person has another pseudonym each time", _name_anew),
    Sabotage("export-seal-with-a-gap", "the digest of an export does not cover the refusals", _seal_without_refusals),
    Sabotage(
        "exports-left-open",
        "the owner of the database can take out who exported what",
        apply_sql="drop trigger exports_append_only on exports; drop trigger exports_append_only_rows on exports",
    ),
)
