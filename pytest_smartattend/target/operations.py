"""The contract's operations and names, as an adapter may speak of them: whatever else a mapping names is a typo."""

from __future__ import annotations

import re
from functools import cache

#: ``METHOD /path`` below ``/api``, as the specification's table has them
OPERATIONS: tuple[str, ...] = (
    "GET /openapi.json",
    "GET /health",
    "GET /time/sync",
    "POST /time/validate",
    "POST /auth/login",
    "GET /auth/me",
    "POST /incidents",
    "GET /incidents",
    "GET /incidents/{id}",
    "GET /incidents/{id}/timeline",
    "GET /incidents/{id}/escalations",
    "GET /incidents/{id}/root-causes",
    "GET /incidents/{id}/refusals",
    "GET /incidents/{id}/sla",
    "PATCH /incidents/{id}/severity",
    "POST /incidents/{id}/acknowledge",
    "POST /incidents/{id}/escalate",
    "POST /incidents/{id}/investigate",
    "POST /incidents/{id}/root-cause",
    "POST /incidents/{id}/mitigate",
    "POST /incidents/{id}/resolve",
    "POST /incidents/{id}/close",
    "POST /incidents/{id}/reopen",
    "POST /school/attendance",
    "POST /corporate/checkins",
    "GET /attendance/{id}",
    "GET /attendance/{id}/history",
    "POST /attendance/{id}/state",
    "GET /corrections/history/{id}",
    "POST /corrections/{id}",
    "POST /corrections/{id}/revert",
    "GET /metrics/health-status",
    "GET /metrics/failure-rates",
    "GET /metrics/api-latency",
    "GET /metrics/clock-drift",
    "POST /validation/handoff/initiate",
    "POST /validation/handoff/{id}/accept",
    "POST /validation/handoff/{id}/reject",
    "GET /validation/handoff/{id}/briefing",
    "POST /validation/incidents/{id}/export",
    "POST /validation/incidents/export",
)

_FIELDS = """
accepted accepted_ms access_token acknowledge action actor as_of at attendance_failures attendance_id band blocked
blocked_ms breached_at briefing_notes by changed changes class_session_id client_time closed code confidence corrected
created_at created_by critical critical_alerts current cursor date description detail device_id difference direction
drift_ms due_at effective email employee_id ended endpoint endpoints errors escalation_level escalations events
expires_at failure_rate failures fields flagged flagged_ms format from from_user_id hash head health id incident_id
incidents initiated_at items kind least legal level limit limits max_ms mean_latency_ms mean_ms met_at method moved
name next_actions next_cursor note now opened original owner_id p50_ms p95_ms p99_ms part parts password payload prev
prevention_measures read_back reason remediation_steps requests resolution resolve reverted role root_cause said seq
server_errors severity shift_date since sla state status student_id submissions submitted submitted_by tenant_id text
title to to_user_id token_type type until updated_at used user verification_mismatches what why window_seconds
"""
#: the names of fields in requests and answers, and of query parameters
FIELDS: frozenset[str] = frozenset(_FIELDS.split())

_TABLES = """
incidents timeline audit_heads escalations root_causes refusals attendance attendance_history corrections
correction_reverts attendance_refusals metrics exports handoffs handoff_endings handoff_refusals
"""
#: the tables in which checks look for the truth, by the names of the reference's
TABLES: frozenset[str] = frozenset(_TABLES.split())


@cache
def pattern(operation: str) -> re.Pattern[str]:
    """What a path of `operation` looks like; its groups are the values of ``{…}``, in their order."""
    path = operation.partition(" ")[2]
    return re.compile("".join("([^/]+)" if part.startswith("{") else re.escape(part) for part in _parts(path)))


def _parts(path: str) -> list[str]:
    return re.split(r"(\{[a-z_]+\})", path)


@cache
def literal_length(operation: str) -> int:
    """Characters of the path that are no ``{…}``: of two operations that fit, the one that says more is meant."""
    return sum(len(part) for part in _parts(operation.partition(" ")[2]) if not part.startswith("{"))


def operation_of(method: str, path: str) -> str | None:
    """The operation that `path`, below ``/api``, means; None where the contract has none."""
    fitting = [one for one in OPERATIONS if one.startswith(f"{method} ") and pattern(one).fullmatch(path)]
    return max(fitting, key=literal_length) if fitting else None
