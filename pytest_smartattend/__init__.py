"""Can we trust this SmartAttend platform in production?

The rooms, by what must be alive for a line of them to run:

==============  =====================  =====================================================================
room            alive                  job
==============  =====================  =====================================================================
`errors`        nothing                the exception tree
`engine`        nothing                pure: dice, fault values, histories, checkers
`reference`     a database             SmartAttend itself, a guest that does not know its testers
`evidence`      a running test         what a check saw, journaled
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
    from pytest_smartattend.errors import SmartattendError as SmartattendError

#: public name → where it lives
_HOME = {
    "SmartattendError": "errors",
}

__all__ = ["SmartattendError"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
