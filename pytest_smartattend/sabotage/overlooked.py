"""Defects that a reviewer planted and the suites of that day let through. Each has the check that was missing."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from pytest_smartattend.reference.api.problems import Problem
from pytest_smartattend.reference.domain.actors import Role, Scope
from pytest_smartattend.reference.domain.incident import Action, Incident, Severity
from pytest_smartattend.reference.domain.lifecycle import Change
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.domain.sla import Promise
from pytest_smartattend.reference.domain.tenant_health import SUBMISSIONS
from pytest_smartattend.reference.domain.timeline import Event
from pytest_smartattend.reference.store.metric_rows import MISMATCH
from pytest_smartattend.sabotage.defect import Sabotage


def _hash_plainly(app: Any) -> None:  # noqa: ANN401
    timeline, heads = app.state.platform.desk.timeline, app.state.platform.desk.heads
    row, advance = timeline.row, heads.advance

    def plain(event: Event) -> str:
        return hashlib.sha256(json.dumps(event.content(), sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    async def advanced(transaction: object, tenant_id: UUID, event: Event) -> None:
        await advance(
            transaction, tenant_id, SimpleNamespace(incident_id=event.incident_id, seq=event.seq, hash=plain(event))
        )

    timeline.row = lambda tenant_id, event: {**row(tenant_id, event), "hash": plain(event)}
    heads.advance = advanced


def _take_the_owner(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.move

    def move(incident: Incident, action: Action, *, actor: str, **more: Any) -> Change:  # noqa: ANN401
        change: Change = honest(incident, action, actor=actor, **more)
        return dataclasses.replace(change, incident=dataclasses.replace(change.incident, owner_id=UUID(actor)))

    lifecycle.move = move


def _keep_transitions_only(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.desk
    honest = desk.refuse

    async def refuse(scope: Scope, incident: Incident, refusal: Refusal, asked: dict[str, Any]) -> None:
        if refusal.code == "invalid_transition" and asked["action"] != Action.ROOT_CAUSE.value:
            await honest(scope, incident, refusal, asked)

    desk.refuse = refuse


def _tell_of_foreign_rows(app: Any) -> None:  # noqa: ANN401
    desk, store = app.state.platform.desk, app.state.platform.incidents_database
    honest = desk._found  # noqa: SLF001 - a defect is planted wherever it would be made

    async def found(read: Any, transaction: Any, scope: Scope, incident_id: str) -> Incident:  # noqa: ANN401
        try:
            incident: Incident = await honest(read, transaction, scope, incident_id)
        except Problem:
            await store.bind(transaction, Scope(everywhere=True))
            await honest(desk.rows.find, transaction, Scope(everywhere=True), incident_id)
            raise Problem("not_found", "this incident belongs to another tenant") from None
        return incident

    desk._found = found  # noqa: SLF001


def _let_reporters_turn(app: Any) -> None:  # noqa: ANN401
    platform = app.state.platform
    platform.access.least_role["PATCH /incidents/{id}/severity"] = Role.STAFF
    honest = platform.desk.act

    async def act(caller: Any, incident_id: str, action: Action, *given: Any) -> Any:  # noqa: ANN401
        if action is Action.SEVERITY and caller.user.role is Role.STAFF:
            incident = await platform.desk.find(caller, incident_id)
            if incident.created_by != caller.user.id:
                raise Problem("forbidden", "only whoever reported it, or an admin")
        return await honest(caller, incident_id, action, *given)

    platform.desk.act = act


def _ignore_one_filter(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.desk.rows
    honest = rows.page

    async def page(transaction: object, scope: Scope, asked: Any) -> Any:  # noqa: ANN401
        return await honest(transaction, scope, dataclasses.replace(asked, severity=None) if asked.status else asked)

    rows.page = page


def _truncate_cursors(app: Any) -> None:  # noqa: ANN401
    cursors = app.state.platform.cursors
    honest = cursors.write
    cursors.write = lambda created_at, incident_id: honest(created_at.replace(microsecond=0), incident_id)


def _lock_superadmins_out(app: Any) -> None:  # noqa: ANN401
    access = app.state.platform.access
    honest = access.log_in

    async def log_in(email: str, password: str) -> Any:  # noqa: ANN401
        user, token = await honest(email, password)
        if user.tenant_id is None:
            raise Problem("invalid_credentials", "check the email address and the password")
        return user, token

    access.log_in = log_in


def _live_long(app: Any) -> None:  # noqa: ANN401
    app.state.platform.tokens._ttl = timedelta(days=30)  # noqa: SLF001


def _explain_nothing(app: Any) -> None:  # noqa: ANN401
    lifecycle = app.state.platform.lifecycle
    honest = lifecycle.record_root_cause

    def record_root_cause(*given: Any, **more: Any) -> Change:  # noqa: ANN401
        try:
            change: Change = honest(*given, **more)
        except Refusal as refusal:
            if refusal.code != "invalid_transition":
                raise
            raise Refusal(refusal.code, refusal.detail) from None
        return change

    lifecycle.record_root_cause = record_root_cause


def _halve_a_window(app: Any) -> None:  # noqa: ANN401
    app.state.platform.sla.windows[Severity.LOW][Promise.ACKNOWLEDGE] = timedelta(hours=4)


def _skip_between_pages(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.exports.rows
    honest = rows.chosen

    async def chosen(transaction: object, scope: Scope, wanted: Any) -> Any:  # noqa: ANN401
        found = await honest(transaction, scope, wanted)
        return found[1:] if wanted.after else found

    rows.chosen = chosen


def _alarm_once_a_day(app: Any) -> None:  # noqa: ANN401
    rules = app.state.platform.attendance.drift.rules
    rules.hour = lambda now: now.replace(hour=0, minute=0, second=0, microsecond=0)


def _break_nothing_at_the_change(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    sla.reweighed = lambda incident, severity, _at: sla.watched(dataclasses.replace(incident, severity=severity))


def _tell_of_the_risk_again(app: Any) -> None:  # noqa: ANN401
    sla = app.state.platform.sla
    honest = sla.resumed

    def resumed(incident: Incident, at: Any) -> Incident:  # noqa: ANN401
        running = honest(incident, at)
        untold: Incident = sla.watched(
            dataclasses.replace(running, resolve=dataclasses.replace(running.resolve, risk_noticed_at=None))
        )
        return untold

    sla.resumed = resumed


def _sort_paths_by_name(app: Any) -> None:  # noqa: ANN401
    rows = app.state.platform.desk.handoffs
    honest = rows.paths

    async def paths(*given: Any) -> dict[UUID, list[dict[str, Any]]]:  # noqa: ANN401
        return {
            incident: sorted(steps, key=lambda step: step["level"])
            for incident, steps in (await honest(*given)).items()
        }

    rows.paths = paths


def _sign_as_whoever_had_it(app: Any) -> None:  # noqa: ANN401
    timeline = app.state.platform.desk.timeline
    honest = timeline.record_all

    async def record_all(transaction: object, changes: Any, _actor: str) -> None:  # noqa: ANN401
        await honest(transaction, changes, changes[0].payload["from"])

    timeline.record_all = record_all


def _count_no_mismatch(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.attendance
    honest = desk.metrics.write

    async def write(transaction: object, rows: Any) -> None:  # noqa: ANN401
        kept = [row for row in rows if row.kind != MISMATCH]
        if kept:
            await honest(transaction, kept)

    desk.metrics.write = write


def _mean_of_means(app: Any) -> None:  # noqa: ANN401
    desk = app.state.platform.metrics
    honest = desk.loads

    async def loads(caller: object) -> Any:  # noqa: ANN401
        seen = await honest(caller)
        means = [load.mean_ms for load in seen.by_endpoint.values()] or [0.0]
        return dataclasses.replace(seen, total=dataclasses.replace(seen.total, mean_ms=sum(means) / len(means)))

    desk.loads = loads


def _count_submissions_only(app: Any) -> None:  # noqa: ANN401
    log = app.state.platform.metric_log
    honest = log.note

    def note(metric: Any) -> None:  # noqa: ANN401
        other = metric.status >= 500 and metric.endpoint not in SUBMISSIONS
        honest(dataclasses.replace(metric, status=200) if other else metric)

    log.note = note


def _count_some_refusals(app: Any) -> None:  # noqa: ANN401
    log = app.state.platform.metric_log
    honest = log.note

    def note(metric: Any) -> None:  # noqa: ANN401
        refused = metric.endpoint in SUBMISSIONS and metric.status in {403, 404}
        honest(dataclasses.replace(metric, status=200) if refused else metric)

    log.note = note


def _lose_the_last_metrics(app: Any) -> None:  # noqa: ANN401
    log = app.state.platform.metric_log
    honest = log.close

    async def close() -> None:
        log._waiting.clear()  # noqa: SLF001
        await honest()

    log.close = close


def _forget_keys_of_duplicates(app: Any) -> None:  # noqa: ANN401
    keys = app.state.platform.attendance.keys
    honest = keys.keep

    async def keep(transaction: object, tenant_id: UUID, key: object, answer: Any, **more: Any) -> None:  # noqa: ANN401
        if answer.status != 200:
            await honest(transaction, tenant_id, key, answer, **more)

    keys.keep = keep


OVERLOOKED = (
    Sabotage("hash-not-canonical", "the chain is hashed over JSON that escapes what is not ASCII", _hash_plainly),
    Sabotage("owner-taken-by-actor", "whoever works on an incident becomes its owner", _take_the_owner),
    Sabotage("some-refusals-not-recorded", "only refused transitions are kept", _keep_transitions_only),
    Sabotage("foreign-row-told", "a 404 says that the row is another tenant's", _tell_of_foreign_rows),
    Sabotage("reporter-may-act", "staff may change the severity of what they reported", _let_reporters_turn),
    Sabotage("severity-filter-ignored", "of two filters of a list one is ignored", _ignore_one_filter),
    Sabotage("cursor-truncated", "incidents of one second vanish between two pages", _truncate_cursors),
    Sabotage("superadmin-cannot-log-in", "a superadmin's password is refused", _lock_superadmins_out),
    Sabotage("token-lives-long", "a token is good for thirty days", _live_long),
    Sabotage(
        "refusal-unexplained", "a refused root cause does not name the status and the legal ways", _explain_nothing
    ),
    Sabotage("low-window-short", "a low incident is due for acknowledgement after four hours", _halve_a_window),
    Sabotage(
        "accounts-shown",
        "the database shows the application every tenant's accounts",
        apply_sql="alter policy users_own on users using (true)",
    ),
    Sabotage(
        "rls-write-open",
        "the application can write refusals into other tenants",
        apply_sql="create policy leak on refusals for insert with check (true)",
    ),
    Sabotage(
        "one-column-open",
        "the owner of the database can rewrite why something was refused",
        apply_sql="drop trigger refusals_append_only on refusals; drop trigger refusals_append_only_rows on refusals;"
        " create trigger refusals_append_only before delete or update of tenant_id, action on refusals"
        " for each statement execute function smartattend_refuse();"
        " alter table refusals enable always trigger refusals_append_only",
    ),
    Sabotage(
        "export-skips-between-pages", "of each further page of an export the first is left out", _skip_between_pages
    ),
    Sabotage("drift-incident-once-a-day", "a device that stays far off is told of once a day", _alarm_once_a_day),
    Sabotage(
        "breach-at-change-overlooked",
        "a promise that a new severity finds past is not broken at the change",
        _break_nothing_at_the_change,
    ),
    Sabotage("risk-told-again", "a reopened incident's risk is told a second time", _tell_of_the_risk_again),
    Sabotage("escalation-path-by-name", "the steps of an escalation are told by the alphabet", _sort_paths_by_name),
    Sabotage(
        "handoff-signed-falsely", "a handoff is told in the name of whoever had the incidents", _sign_as_whoever_had_it
    ),
    Sabotage("mismatches-not-counted", "records that were flagged or revoked are not counted", _count_no_mismatch),
    Sabotage("mean-of-means", "a mean latency weighs each endpoint alike, however seldom it is called", _mean_of_means),
    Sabotage("errors-of-submissions-only", "only submissions that break count as errors", _count_submissions_only),
    Sabotage("some-failed-submissions-only", "only refused clocks count as failed submissions", _count_some_refusals),
    Sabotage("metrics-lost-at-the-end", "what was noted last is lost when the platform stops", _lose_the_last_metrics),
    Sabotage(
        "key-of-a-duplicate-forgotten", "a key under which a duplicate was answered is free", _forget_keys_of_duplicates
    ),
)
