"""The proxy's own process: ``python -I -S proxy_process.py '{"control_fd": …}'``.

It runs on the standard library, `engine` and `wire`. The package's own door is not opened, so that the process starts
in some 50 ms and does not depend on what is installed around it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType


def main(order: str) -> None:
    """Serve until the owner is gone.

    Args:
        order: JSON with ``control_fd``, ``owner_pid``, ``seed``, and the upstream's ``family`` and ``upstream`` as
            `socket` takes them.
    """
    import resource
    import socket

    from pytest_smartattend.injectors.wire.control import Control
    from pytest_smartattend.injectors.wire.loop import Loop
    from pytest_smartattend.injectors.wire.poller import READ
    from pytest_smartattend.injectors.wire.proxy import Proxy

    told = json.loads(order)
    with contextlib.suppress(OSError, ValueError):  # some systems do not let a process have all that they promise
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = Loop()
    if sys.platform == "linux":
        # a child that the owner forked may hold its end of the control socket open; this sees the owner itself end
        try:
            loop.watch(os.pidfd_open(told["owner_pid"]), READ, loop.stop)
        except ProcessLookupError:
            return
    control_socket = socket.socket(fileno=told["control_fd"])
    proxy = Proxy(loop, told["family"], told["upstream"], told["seed"])
    Control(loop, proxy, control_socket).send({"id": 0, "port": proxy.port})
    loop.run()


def _without_the_package_door() -> None:
    """Make `pytest_smartattend` a namespace to import from, without running its ``__init__``."""
    package = ModuleType("pytest_smartattend")
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["pytest_smartattend"] = package


if __name__ == "__main__":
    _without_the_package_door()
    main(sys.argv[1])
