"""Can we trust this SmartAttend platform in production?

The rooms, by what must be alive for a line of them to run:

==============  =====================  =====================================================================
room            alive                  job
==============  =====================  =====================================================================
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
==============  =====================  =====================================================================

The names below are the whole public surface; they are imported when first used, so that an installed and unused
plugin costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_smartattend.engine import chain as chain
    from pytest_smartattend.engine.faults import Down as Down
    from pytest_smartattend.engine.faults import Silence as Silence
    from pytest_smartattend.errors import SmartattendError as SmartattendError
    from pytest_smartattend.evidence.record import Evidence as Evidence
    from pytest_smartattend.loop.clock import LoopClock as LoopClock
    from pytest_smartattend.postgres.database_clock import DatabaseClock as DatabaseClock
    from pytest_smartattend.postgres.server import Database as Database
    from pytest_smartattend.postgres.server import Server as Server
    from pytest_smartattend.target import contract as contract
    from pytest_smartattend.target.client import Answer as Answer
    from pytest_smartattend.target.client import Client as Client
    from pytest_smartattend.target.client import Operation as Operation
    from pytest_smartattend.target.in_process import InProcessPlatform as InProcessPlatform
    from pytest_smartattend.target.observer import Observer as Observer
    from pytest_smartattend.target.paths import Faults as Faults
    from pytest_smartattend.target.people import FORGERIES as FORGERIES
    from pytest_smartattend.target.people import Tenant as Tenant
    from pytest_smartattend.target.platform import Platform as Platform
    from pytest_smartattend.trials.overlap import release_together as release_together
    from pytest_smartattend.trials.requests import Request as Request
    from pytest_smartattend.trials.retries import Retries as Retries
    from pytest_smartattend.trials.simulation import Act as Act
    from pytest_smartattend.trials.simulation import Look as Look
    from pytest_smartattend.trials.simulation import Own as Own
    from pytest_smartattend.trials.simulation import Script as Script
    from pytest_smartattend.trials.simulation import Simulation as Simulation
    from pytest_smartattend.trials.storm import Storm as Storm
    from pytest_smartattend.trials.storm_result import StormResult as StormResult
    from pytest_smartattend.trials.walk import incident_in as incident_in

#: public name → the module that holds it, or that it is
_HOME = {
    "FORGERIES": "target.people",
    "Act": "trials.simulation",
    "Answer": "target.client",
    "Client": "target.client",
    "Database": "postgres.server",
    "DatabaseClock": "postgres.database_clock",
    "Down": "engine.faults",
    "Evidence": "evidence.record",
    "Faults": "target.paths",
    "InProcessPlatform": "target.in_process",
    "Look": "trials.simulation",
    "LoopClock": "loop.clock",
    "Observer": "target.observer",
    "Operation": "target.client",
    "Own": "trials.simulation",
    "Platform": "target.platform",
    "Request": "trials.requests",
    "Retries": "trials.retries",
    "Script": "trials.simulation",
    "Server": "postgres.server",
    "Silence": "engine.faults",
    "Simulation": "trials.simulation",
    "SmartattendError": "errors",
    "Storm": "trials.storm",
    "StormResult": "trials.storm_result",
    "Tenant": "target.people",
    "chain": "engine.chain",
    "contract": "target.contract",
    "incident_in": "trials.walk",
    "release_together": "trials.overlap",
}

__all__ = [
    "FORGERIES",
    "Act",
    "Answer",
    "Client",
    "Database",
    "DatabaseClock",
    "Down",
    "Evidence",
    "Faults",
    "InProcessPlatform",
    "Look",
    "LoopClock",
    "Observer",
    "Operation",
    "Own",
    "Platform",
    "Request",
    "Retries",
    "Script",
    "Server",
    "Silence",
    "Simulation",
    "SmartattendError",
    "Storm",
    "StormResult",
    "Tenant",
    "chain",
    "contract",
    "incident_in",
    "release_together",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    home = importlib.import_module(f"{__name__}.{_HOME[name]}")
    return home if _HOME[name].endswith(f".{name}") else getattr(home, name)


def __dir__() -> list[str]:
    return list(__all__)
