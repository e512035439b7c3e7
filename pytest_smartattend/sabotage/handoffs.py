"""Defects of handoffs: incidents dropped, taken twice or silently, by anybody, too late, or told as they no longer are."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.domain import advice, briefing
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.domain.handoff import Ending, Handoff, HandoffStatus, Item
from pytest_smartattend.reference.domain.incident import Action, Incident, Status
from pytest_smartattend.sabotage.defect import Sabotage

#: seconds by which a race is widened, so that it is met in every run
WIDE = 0.05


def _desk(app: Any) -> Any:  # noqa: ANN401
    return app.state.platform.handoffs


def _leave_the_owner(app: Any) -> None:  # noqa: ANN401
    async def give(*_: object) -> None:
        return None

    _desk(app).desk.rows.give = give


def _tell_no_timeline(app: Any) -> None:  # noqa: ANN401
    async def record_all(*_: object) -> None:
        return None

    _desk(app).desk.timeline.record_all = record_all


def _moving(app: Any, keep: Any) -> None:  # noqa: ANN401
    """Move only the incidents of which `keep` says so."""
    desk = _desk(app)
    honest = desk.move

    async def move(transaction: object, handoff: Handoff, incidents: Sequence[Incident], at: datetime) -> Any:  # noqa: ANN401
        return await honest(transaction, handoff, [one for one in incidents if keep(handoff, one)], at)

    desk.move = move


def _move_ones_own(app: Any) -> None:  # noqa: ANN401
    _moving(app, lambda handoff, incident: incident.owner_id == handoff.from_user_id)


def _move_the_snapshot(app: Any) -> None:  # noqa: ANN401
    _moving(app, lambda handoff, incident: str(incident.id) in {item["id"] for item in handoff.items})


def _move_once(app: Any) -> None:  # noqa: ANN401
    _moving(app, lambda _handoff, incident: incident.owner_id == incident.created_by)


def _leave_out_resolved(app: Any) -> None:  # noqa: ANN401
    rows = _desk(app).desk.rows
    honest = rows.open

    async def still_open(*given: Any, **more: Any) -> list[Incident]:  # noqa: ANN401
        return [one for one in await honest(*given, **more) if one.status is not Status.RESOLVED]

    rows.open = still_open


def _forget_paths(app: Any) -> None:  # noqa: ANN401
    async def paths(*_: object) -> dict[UUID, list[dict[str, Any]]]:
        return {}

    _desk(app).rows.paths = paths


def _advise_what_cannot_be(app: Any) -> None:  # noqa: ANN401
    advisor = _desk(app).advisor
    honest = advisor.next_actions

    def next_actions(incident: Incident, windows: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        steps: list[dict[str, Any]] = honest(incident, windows)
        if incident.status is Status.INVESTIGATING:
            steps[-1] = {**steps[-1], "action": Action.RESOLVE.value}
        return steps

    advisor.next_actions = next_actions


def _advise_the_level_it_has(app: Any) -> None:  # noqa: ANN401
    advisor = _desk(app).advisor
    honest = advisor.level_to_carry_to

    def level_to_carry_to(incident: Incident, window: Any) -> Any:  # noqa: ANN401
        return honest(dataclasses.replace(incident, escalation_level=None), window)

    advisor.level_to_carry_to = level_to_carry_to


def _alert_to_open_ones(app: Any) -> None:  # noqa: ANN401
    desk = _desk(app)
    desk.alerts = lambda items, health: advice.alerts([item for item in items if item["status"] == "open"], health)


def _show_the_window_of_acknowledgement_twice(app: Any) -> None:  # noqa: ANN401
    advisor = _desk(app).advisor
    honest = advisor.item

    def item(*given: Any) -> dict[str, Any]:  # noqa: ANN401
        told: dict[str, Any] = honest(*given)
        return {**told, "sla": dict.fromkeys(told["sla"], told["sla"]["acknowledge"])}

    advisor.item = item


def _brief_from_the_snapshot(app: Any) -> None:  # noqa: ANN401
    desk = _desk(app)
    honest = desk.briefing

    async def read(caller: Any, handoff_id: str) -> Any:  # noqa: ANN401
        told = await honest(caller, handoff_id)
        nothing: dict[str, list[Item]] = {"opened": [], "closed": [], "changed": []}
        if told.status is not HandoffStatus.PENDING:
            return told
        return dataclasses.replace(told, items=told.handoff.items, difference=nothing)

    desk.briefing = read


def _forget_what_closed(app: Any) -> None:  # noqa: ANN401
    desk = _desk(app)
    honest = desk.rows.end

    async def end(transaction: object, handoff_id: UUID, tenant_id: UUID | None, ending: Ending) -> None:
        if ending.difference:
            object.__setattr__(ending, "difference", {**ending.difference, "closed": []})
        await honest(transaction, handoff_id, tenant_id, ending)

    desk.rows.end = end


def _keep_in_memory(app: Any) -> None:  # noqa: ANN401
    """Handoffs are found in the memory of the workers, which were forked from this process together."""
    rows = _desk(app).rows
    find, begun = rows.find, app.state.platform.clock.now()

    async def found(transaction: object, scope: Scope, handoff_id: UUID) -> Handoff | None:
        handoff: Handoff | None = await find(transaction, scope, handoff_id)
        return handoff if handoff and handoff.initiated_at >= begun else None

    rows.find = found


def _hand_over_one_tenant(app: Any) -> None:  # noqa: ANN401
    rows = _desk(app).desk.rows
    honest = rows.open

    async def of_one(*given: Any, **more: Any) -> list[Incident]:  # noqa: ANN401
        found = list(await honest(*given, **more))
        return [one for one in found if one.tenant_id == found[0].tenant_id]

    rows.open = of_one


def _report_beside(app: Any) -> None:  # noqa: ANN401
    """A report does not wait for a handoff, nor a handoff for it."""
    rows = _desk(app).desk.rows
    honest = rows.insert_once

    async def reporting(*_: object) -> None:
        return None

    async def insert_once(*given: Any) -> bool:  # noqa: ANN401
        await asyncio.sleep(WIDE)
        return bool(await honest(*given))

    rows.reporting, rows.insert_once = reporting, insert_once


def _look_before(app: Any) -> None:  # noqa: ANN401
    """What is open is read in a transaction of its own, before the one in which it is moved."""
    desk = _desk(app)
    present, accept = desk.present, desk.accept
    seen: dict[str, Sequence[Incident]] = {}

    async def accepted(caller: Any, handoff_id: str, said: Mapping[str, str | None]) -> Any:  # noqa: ANN401
        async with desk.store.transaction(caller.scope) as transaction:
            handoff = await desk.rows.find(transaction, caller.scope, UUID(handoff_id))
            if handoff:
                seen[handoff_id] = await present(transaction, caller.scope, handoff)
        await asyncio.sleep(2 * WIDE)
        return await accept(caller, handoff_id, said)

    async def before(transaction: object, scope: Scope, handoff: Handoff, *, lock: bool = False) -> Sequence[Incident]:
        known = seen.get(str(handoff.id)) if lock else None
        return known if known is not None else list(await present(transaction, scope, handoff, lock=lock))

    desk.accept, desk.present = accepted, before


def _let_everybody_win(app: Any) -> None:  # noqa: ANN401
    desk = _desk(app)

    async def taking(*_: object) -> None:
        await asyncio.sleep(0)

    desk.desk.rows.taking = taking
    desk.rules.status = lambda *_: HandoffStatus.PENDING


def _let_anybody_accept(app: Any) -> None:  # noqa: ANN401
    _desk(app).rules.named = lambda _handoff, _user: True


def _never_expire(app: Any) -> None:  # noqa: ANN401
    rules = _desk(app).rules
    honest = rules.status
    rules.status = lambda handoff, now: honest(handoff, min(now, handoff.expires_at))


def _forget_rejections(app: Any) -> None:  # noqa: ANN401
    rows = _desk(app).rows
    honest = rows.end

    async def end(transaction: object, handoff_id: UUID, tenant_id: UUID | None, ending: Ending) -> None:
        if ending.status is not HandoffStatus.REJECTED:
            await honest(transaction, handoff_id, tenant_id, ending)

    rows.end = end


def _let_two_wait(app: Any) -> None:  # noqa: ANN401
    async def waiting(*_: object) -> list[UUID]:
        return []

    _desk(app).rows.waiting = waiting


def _ask_no_read_back(app: Any) -> None:  # noqa: ANN401
    _desk(app).rules.must_read_back = lambda _handoff, _items: []


def _name_anybody(app: Any) -> None:  # noqa: ANN401
    async def can_take_over(*_: object) -> None:
        return None

    _desk(app).can_take_over = can_take_over


def _trust_titles(app: Any) -> None:  # noqa: ANN401
    _desk(app).writers = {name: _as_written(write) for name, write in _desk(app).writers.items()}


def _as_written(honest: Any) -> Any:  # noqa: ANN401
    """A briefing in which titles and notes stand as they were given."""

    def write(view: Mapping[str, Any], names: Mapping[str, str]) -> str:
        text: str = honest(view, names)
        raw: list[Item] = [*view["incidents"], {"title": view["briefing_notes"]}]
        for item in raw:
            for shown in (briefing.escaped(item["title"]), briefing.plain(item["title"])):
                text = text.replace(shown, item["title"]) if shown else text
        return text

    return write


def _show_all(app: Any) -> None:  # noqa: ANN401
    access = app.state.platform.access
    honest = access.scope
    endpoint = "GET /validation/handoff/{id}/briefing"
    access.scope = lambda asked, user: Scope(everywhere=True) if asked == endpoint else honest(asked, user)


def _let_staff_read(app: Any) -> None:  # noqa: ANN401
    app.state.platform.access.least_role["GET /validation/handoff/{id}/briefing"] = Role.STAFF


HANDOFFS = (
    Sabotage(
        "ownership-not-moved", "a handoff is accepted and every incident stays with whoever had it", _leave_the_owner
    ),
    Sabotage("handoff-without-an-event", "incidents change hands and no timeline tells it", _tell_no_timeline),
    Sabotage("only-own-incidents-move", "what others reported is not handed over", _move_ones_own),
    Sabotage("moved-for-the-snapshot-only", "an incident opened meanwhile is handed to nobody", _move_the_snapshot),
    Sabotage("moved-once-only", "an incident that changed hands before stays where it is", _move_once),
    Sabotage("resolved-left-out", "resolved incidents that nobody has closed are not handed over", _leave_out_resolved),
    Sabotage("escalation-path-missing", "a handoff does not tell how far up an incident was carried", _forget_paths),
    Sabotage("illegal-next-action", "a handoff advises a step that the state forbids", _advise_what_cannot_be),
    Sabotage("level-advised-again", "a handoff advises the level that an incident has", _advise_the_level_it_has),
    Sabotage(
        "critical-not-alerted", "a critical incident that somebody took is alerted to nobody", _alert_to_open_ones
    ),
    Sabotage(
        "windows-confused",
        "a handoff tells the acknowledgement's window for both",
        _show_the_window_of_acknowledgement_twice,
    ),
    Sabotage("stale-briefing", "a briefing tells what was when the handoff was initiated", _brief_from_the_snapshot),
    Sabotage("closed-not-told", "what closed before the acceptance is not in its account", _forget_what_closed),
    Sabotage("handoff-kept-in-memory", "a handoff is gone when the platform was restarted", _keep_in_memory),
    Sabotage("one-tenant-only", "a superadmin hands over the incidents of one tenant", _hand_over_one_tenant),
    Sabotage(
        "reports-not-held-off", "an incident reported at the moment of a handoff is dropped by it", _report_beside
    ),
    Sabotage(
        "snapshot-outside-the-transaction", "what is open is read before the transaction that moves it", _look_before
    ),
    Sabotage(
        "two-accepts-win",
        "a handoff can be accepted twice",
        _let_everybody_win,
        "alter table handoff_endings drop constraint handoff_endings_pkey",
    ),
    Sabotage("anyone-may-accept", "whoever reaches a handoff can accept it", _let_anybody_accept),
    Sabotage("handoff-never-expires", "a handoff can be accepted for ever", _never_expire),
    Sabotage("rejection-forgotten", "a handoff that was rejected can be accepted", _forget_rejections),
    Sabotage("two-handoffs-wait", "a new handoff leaves the former one open", _let_two_wait),
    Sabotage("read-back-not-asked", "critical incidents need not be read back", _ask_no_read_back),
    Sabotage("anybody-can-be-named", "a handoff can go to somebody who could not take over", _name_anybody),
    Sabotage("briefing-obeys-titles", "a title can write lines of the briefing", _trust_titles),
    Sabotage("handoff-filter-off", "an admin can read other tenants' briefings", _show_all),
    Sabotage("staff-reads-briefings", "staff can read briefings", _let_staff_read),
    Sabotage(
        "handoff-triggers-dropped",
        "the owner of the database can rewrite how a handoff ended",
        apply_sql="drop trigger handoff_endings_append_only on handoff_endings;"
        " drop trigger handoff_endings_append_only_rows on handoff_endings",
    ),
    Sabotage(
        "handoff-rls-off",
        "the database shows the application every tenant's handoffs",
        apply_sql="alter table handoffs disable row level security",
    ),
    Sabotage(
        "handoff-rls-write-open",
        "the application can write who was turned away into other tenants",
        apply_sql="create policy leak on handoff_refusals for insert with check (true)",
    ),
)
