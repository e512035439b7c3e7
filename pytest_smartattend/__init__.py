"""Can we trust this SmartAttend platform in production?

The rooms, by what must be alive for a line of them to run:

room            alive                  job
`errors`        nothing                the exception tree
`engine`        nothing                pure: dice, fault values, histories, checkers
`reference`     a database             SmartAttend itself, a guest that does not know its testers
`evidence`      a running test         what a check saw, journaled
`loop`          an event loop          asyncio on the engine's clock; the bridge to `datetime`
`postgres`      a server               choosing, starting, cloning, keeping
`injectors`     a socket, a process    carries faults out
`sabotage`      the reference          planted defects
`target`        a URL                  contract, typed client, the platform as the suites see it
`trials`        a target               what a suite does with one
`readiness`     a finished session     requirements, verdict, gate, reports
`wiring`        pytest                 fixtures and hooks, one thin module per room
`plugin` `cli`  pytest; a shell        the doors

The names below are the whole public surface; they are imported when first used, so that an installed and unused
plugin costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_smartattend.engine import chain as chain
    from pytest_smartattend.engine import checkers as checkers
    from pytest_smartattend.engine import incident_record as incident_record
    from pytest_smartattend.engine import linearizability as linearizability
    from pytest_smartattend.engine import record_seal as record_seal
    from pytest_smartattend.engine.dice import Stream as Stream
    from pytest_smartattend.engine.faults import AckLoss as AckLoss
    from pytest_smartattend.engine.faults import Bandwidth as Bandwidth
    from pytest_smartattend.engine.faults import Down as Down
    from pytest_smartattend.engine.faults import Fault as Fault
    from pytest_smartattend.engine.faults import Latency as Latency
    from pytest_smartattend.engine.faults import LimitData as LimitData
    from pytest_smartattend.engine.faults import Partition as Partition
    from pytest_smartattend.engine.faults import ResetPeer as ResetPeer
    from pytest_smartattend.engine.faults import Silence as Silence
    from pytest_smartattend.engine.faults import Slicer as Slicer
    from pytest_smartattend.engine.faults import SlowClose as SlowClose
    from pytest_smartattend.engine.faults import SlowOpen as SlowOpen
    from pytest_smartattend.engine.history import History as History
    from pytest_smartattend.engine.http_faults import Abort as Abort
    from pytest_smartattend.engine.http_faults import Delay as Delay
    from pytest_smartattend.engine.http_faults import Duplicate as Duplicate
    from pytest_smartattend.engine.http_faults import HttpFault as HttpFault
    from pytest_smartattend.engine.http_faults import RateLimit as RateLimit
    from pytest_smartattend.engine.http_faults import Reset as Reset
    from pytest_smartattend.engine.http_faults import Timeout as Timeout
    from pytest_smartattend.engine.http_faults import Truncate as Truncate
    from pytest_smartattend.engine.node_faults import Drift as Drift
    from pytest_smartattend.engine.node_faults import Kill as Kill
    from pytest_smartattend.engine.node_faults import Pause as Pause
    from pytest_smartattend.engine.node_faults import Restart as Restart
    from pytest_smartattend.engine.node_faults import Skew as Skew
    from pytest_smartattend.engine.recovery import Recovery as Recovery
    from pytest_smartattend.engine.replay_verdict import ReplayReport as ReplayReport
    from pytest_smartattend.errors import BackupRefused as BackupRefused
    from pytest_smartattend.errors import SmartattendError as SmartattendError
    from pytest_smartattend.errors import StepFailed as StepFailed
    from pytest_smartattend.evidence import stopwatch as stopwatch
    from pytest_smartattend.evidence.record import Evidence as Evidence
    from pytest_smartattend.loop.clock import LoopClock as LoopClock
    from pytest_smartattend.postgres import pages as pages
    from pytest_smartattend.postgres import recovery_target as recovery_target
    from pytest_smartattend.postgres.archive import Archive as Archive
    from pytest_smartattend.postgres.backup import Backup as Backup
    from pytest_smartattend.postgres.database_clock import DatabaseClock as DatabaseClock
    from pytest_smartattend.postgres.node import Node as Node
    from pytest_smartattend.postgres.server import Database as Database
    from pytest_smartattend.postgres.server import Server as Server
    from pytest_smartattend.postgres.site import Site as Site
    from pytest_smartattend.target import contract as contract
    from pytest_smartattend.target.client import Answer as Answer
    from pytest_smartattend.target.client import Client as Client
    from pytest_smartattend.target.client import Operation as Operation
    from pytest_smartattend.target.in_process import InProcessPlatform as InProcessPlatform
    from pytest_smartattend.target.installation import Installation as Installation
    from pytest_smartattend.target.installation import Instance as Instance
    from pytest_smartattend.target.observer import Observer as Observer
    from pytest_smartattend.target.operators import Operators as Operators
    from pytest_smartattend.target.paths import Faults as Faults
    from pytest_smartattend.target.people import FORGERIES as FORGERIES
    from pytest_smartattend.target.people import Tenant as Tenant
    from pytest_smartattend.target.platform import Platform as Platform
    from pytest_smartattend.trials.answers import Raw as Raw
    from pytest_smartattend.trials.api_writer import ApiWriter as ApiWriter
    from pytest_smartattend.trials.api_writer import SubmissionWriter as SubmissionWriter
    from pytest_smartattend.trials.clocked_storm import ClockedStorm as ClockedStorm
    from pytest_smartattend.trials.drill import Drill as Drill
    from pytest_smartattend.trials.drills import Drills as Drills
    from pytest_smartattend.trials.handoff import ShiftChange as ShiftChange
    from pytest_smartattend.trials.handoff import read_back as read_back
    from pytest_smartattend.trials.locust_master import locust_storm as locust_storm
    from pytest_smartattend.trials.operator_command import run_command as run_command
    from pytest_smartattend.trials.overlap import release_together as release_together
    from pytest_smartattend.trials.plans import Plan as Plan
    from pytest_smartattend.trials.plans import load_plan as load_plan
    from pytest_smartattend.trials.plans import shipped_plan as shipped_plan
    from pytest_smartattend.trials.probe import Probe as Probe
    from pytest_smartattend.trials.probe import Refused as Refused
    from pytest_smartattend.trials.recorded import Recording as Recording
    from pytest_smartattend.trials.requests import Request as Request
    from pytest_smartattend.trials.retries import Retries as Retries
    from pytest_smartattend.trials.simulation import Act as Act
    from pytest_smartattend.trials.simulation import Do as Do
    from pytest_smartattend.trials.simulation import Look as Look
    from pytest_smartattend.trials.simulation import Own as Own
    from pytest_smartattend.trials.simulation import Script as Script
    from pytest_smartattend.trials.simulation import Simulation as Simulation
    from pytest_smartattend.trials.sql_writer import SqlWriter as SqlWriter
    from pytest_smartattend.trials.storm import Storm as Storm
    from pytest_smartattend.trials.storm_result import StormResult as StormResult
    from pytest_smartattend.trials.submissions import distinct_submissions as distinct_submissions
    from pytest_smartattend.trials.submissions import judge as judge
    from pytest_smartattend.trials.submissions import submission_request as submission_request
    from pytest_smartattend.trials.submissions import validate_submissions as validate_submissions
    from pytest_smartattend.trials.walk import incident_in as incident_in
    from pytest_smartattend.trials.webhook import Webhook as Webhook
    from pytest_smartattend.trials.week import Week as Week

#: public name → the module that holds it, or that it is
_HOME = {
    "FORGERIES": "target.people",
    "Abort": "engine.http_faults",
    "AckLoss": "engine.faults",
    "Act": "trials.simulation",
    "Answer": "target.client",
    "ApiWriter": "trials.api_writer",
    "Archive": "postgres.archive",
    "Backup": "postgres.backup",
    "BackupRefused": "errors",
    "Bandwidth": "engine.faults",
    "Client": "target.client",
    "ClockedStorm": "trials.clocked_storm",
    "Database": "postgres.server",
    "DatabaseClock": "postgres.database_clock",
    "Delay": "engine.http_faults",
    "Do": "trials.simulation",
    "Down": "engine.faults",
    "Drift": "engine.node_faults",
    "Drill": "trials.drill",
    "Drills": "trials.drills",
    "Duplicate": "engine.http_faults",
    "Evidence": "evidence.record",
    "Fault": "engine.faults",
    "Faults": "target.paths",
    "History": "engine.history",
    "HttpFault": "engine.http_faults",
    "InProcessPlatform": "target.in_process",
    "Installation": "target.installation",
    "Instance": "target.installation",
    "Kill": "engine.node_faults",
    "Latency": "engine.faults",
    "LimitData": "engine.faults",
    "Look": "trials.simulation",
    "LoopClock": "loop.clock",
    "Node": "postgres.node",
    "Observer": "target.observer",
    "Operation": "target.client",
    "Operators": "target.operators",
    "Own": "trials.simulation",
    "Partition": "engine.faults",
    "Pause": "engine.node_faults",
    "Plan": "trials.plans",
    "Platform": "target.platform",
    "Probe": "trials.probe",
    "RateLimit": "engine.http_faults",
    "Raw": "trials.answers",
    "Recording": "trials.recorded",
    "Recovery": "engine.recovery",
    "Refused": "trials.probe",
    "ReplayReport": "engine.replay_verdict",
    "Request": "trials.requests",
    "Reset": "engine.http_faults",
    "ResetPeer": "engine.faults",
    "Restart": "engine.node_faults",
    "Retries": "trials.retries",
    "Script": "trials.simulation",
    "Server": "postgres.server",
    "ShiftChange": "trials.handoff",
    "Silence": "engine.faults",
    "Simulation": "trials.simulation",
    "Site": "postgres.site",
    "Skew": "engine.node_faults",
    "Slicer": "engine.faults",
    "SlowClose": "engine.faults",
    "SlowOpen": "engine.faults",
    "SmartattendError": "errors",
    "SqlWriter": "trials.sql_writer",
    "StepFailed": "errors",
    "Storm": "trials.storm",
    "StormResult": "trials.storm_result",
    "Stream": "engine.dice",
    "SubmissionWriter": "trials.api_writer",
    "Tenant": "target.people",
    "Timeout": "engine.http_faults",
    "Truncate": "engine.http_faults",
    "Webhook": "trials.webhook",
    "Week": "trials.week",
    "chain": "engine.chain",
    "checkers": "engine.checkers",
    "contract": "target.contract",
    "distinct_submissions": "trials.submissions",
    "incident_in": "trials.walk",
    "incident_record": "engine.incident_record",
    "judge": "trials.submissions",
    "linearizability": "engine.linearizability",
    "load_plan": "trials.plans",
    "locust_storm": "trials.locust_master",
    "pages": "postgres.pages",
    "read_back": "trials.handoff",
    "record_seal": "engine.record_seal",
    "recovery_target": "postgres.recovery_target",
    "release_together": "trials.overlap",
    "run_command": "trials.operator_command",
    "shipped_plan": "trials.plans",
    "stopwatch": "evidence.stopwatch",
    "submission_request": "trials.submissions",
    "validate_submissions": "trials.submissions",
}

__all__ = [
    "FORGERIES",
    "Abort",
    "AckLoss",
    "Act",
    "Answer",
    "ApiWriter",
    "Archive",
    "Backup",
    "BackupRefused",
    "Bandwidth",
    "Client",
    "ClockedStorm",
    "Database",
    "DatabaseClock",
    "Delay",
    "Do",
    "Down",
    "Drift",
    "Drill",
    "Drills",
    "Duplicate",
    "Evidence",
    "Fault",
    "Faults",
    "History",
    "HttpFault",
    "InProcessPlatform",
    "Installation",
    "Instance",
    "Kill",
    "Latency",
    "LimitData",
    "Look",
    "LoopClock",
    "Node",
    "Observer",
    "Operation",
    "Operators",
    "Own",
    "Partition",
    "Pause",
    "Plan",
    "Platform",
    "Probe",
    "RateLimit",
    "Raw",
    "Recording",
    "Recovery",
    "Refused",
    "ReplayReport",
    "Request",
    "Reset",
    "ResetPeer",
    "Restart",
    "Retries",
    "Script",
    "Server",
    "ShiftChange",
    "Silence",
    "Simulation",
    "Site",
    "Skew",
    "Slicer",
    "SlowClose",
    "SlowOpen",
    "SmartattendError",
    "SqlWriter",
    "StepFailed",
    "Storm",
    "StormResult",
    "Stream",
    "SubmissionWriter",
    "Tenant",
    "Timeout",
    "Truncate",
    "Webhook",
    "Week",
    "chain",
    "checkers",
    "contract",
    "distinct_submissions",
    "incident_in",
    "incident_record",
    "judge",
    "linearizability",
    "load_plan",
    "locust_storm",
    "pages",
    "read_back",
    "record_seal",
    "recovery_target",
    "release_together",
    "run_command",
    "shipped_plan",
    "stopwatch",
    "submission_request",
    "validate_submissions",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    home = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return home if _HOME[name].endswith(f".{name}") else getattr(home, name)


def __dir__() -> list[str]:
    return list(__all__)
