"""A command whose time a check holds: through its clock door, or, faster but never at will, under libfaketime."""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import threading
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import NotOffered
from pytest_smartattend.injectors.node_clocks import NodeClocks
from pytest_smartattend.loop.clock import LoopClock
from pytest_smartattend.postgres.database_clock import DatabaseClock
from pytest_smartattend.target.adapter import Adapter
from pytest_smartattend.target.clock_door import LONGEST, ClockDoor
from pytest_smartattend.target.command_platform import CommandPlatform

#: after which every process has written what it noted
REST = timedelta(seconds=2)


class ClockedPlatform(CommandPlatform):
    """A command on `clock`, a check's own.

    Args:
        clock: discrete or scaled; nobody else moves it.
        given: what `CommandPlatform` takes.

    Attributes:
        node_clocks: the clocks of the devices from which clients submit; also the path ``clocks``.

    Raises:
        NotOffered: the clock is discrete and the command offers no door; or it is scaled, and there is no libfaketime.
    """

    def __init__(self, clock: LoopClock, *given: Any, **options: Any) -> None:  # noqa: ANN401
        adapter, server, database, scratch = given[1], given[2], given[3], given[5]
        self.clock = clock
        self._following = ExitStack()
        self._database_clock: DatabaseClock | None = None
        self._door: ClockDoor | None = None
        environment = followed(adapter, clock)
        if adapter.clock.door:
            path = scratch.parent / f"{scratch.name}.door"
            if len(str(path)) > LONGEST:
                path = Path(tempfile.mkdtemp(prefix="door-")) / "door"
            self._door = ClockDoor(path, clock)
            options["clock_door"] = str(path)
        try:
            if server.superuser:
                self._database_clock = self._following.enter_context(DatabaseClock(database, clock).following())
            super().__init__(*given, environment=environment, **options)
        except BaseException:
            self._shut()
            raise
        self.node_clocks = NodeClocks(clock.now, seed=options.get("seed", 0))
        self.paths["clocks"] = self.node_clocks

    @property
    def database_clock(self) -> DatabaseClock:
        """The database's, which follows `clock`.

        Raises:
            NotOffered: we are no superuser there.
        """
        if self._database_clock is None:
            raise NotOffered("a superuser in its database, who alone can replace the clock there")
        return self._database_clock

    def now(self) -> datetime:
        """What the clock of tokens says."""
        return self.clock.now()

    def sleep_until(self, moment: datetime) -> None:
        """Let time pass until `moment`, in front of whatever else is due then.

        Raises:
            ClockStall: time could not move on.
        """
        if self._door is not None:
            self._door.sleep_until(moment)
            return
        nobody = self.seed_free_client()
        waiting = threading.Event()
        while (left := moment - nobody.now()) > timedelta():
            waiting.wait(left.total_seconds() / self.clock.factor)

    def rest(self) -> None:
        """Let it end what it began, such as writing metrics."""
        self.sleep_until(self.clock.now() + REST)

    def stop(self) -> None:
        """End its processes; the database stays readable by `observer`. Harmless when done twice."""
        self._end()

    def close(self) -> None:
        """End everything."""
        super().close()
        self._shut()

    def _shut(self) -> None:
        self._following.close()
        if self._door is not None:
            self._door.close()
            if self._door.path.parent.name.startswith("door-"):
                self._door.path.parent.rmdir()


def followed(adapter: Adapter, clock: LoopClock) -> dict[str, str]:
    """The variables under which a command follows `clock`, beside its clock door.

    Raises:
        NotOffered: as `ClockedPlatform`. Starts nothing.
    """
    if adapter.clock.door or clock.mode == "real":
        return {}
    if clock.mode == "scaled":
        return faketime(clock)
    raise NotOffered(
        "a clock door, without which time cannot jump: libfaketime does not wake a timer that waits already. "
        "--smartattend-clock=60x runs simulations under libfaketime"
    )


def faketime(clock: LoopClock) -> dict[str, str]:
    """The variables under which a command's clocks begin where `clock` began, and run as fast.

    Raises:
        NotOffered: there is no libfaketime on this machine.
    """
    if sys.platform != "linux" or (library := _libfaketime()) is None:
        raise NotOffered(
            "a clock door, and there is no libfaketime for a clock that is only faster. On Debian: apt-get install faketime; "
            "or pip install libfaketime"
        )
    start = clock.now().strftime("%Y-%m-%d %H:%M:%S")
    return {"LD_PRELOAD": library, "FAKETIME": f"@{start} x{clock.factor:g}", "TZ": "UTC", "FAKETIME_DONT_RESET": "1"}


def _libfaketime() -> str | None:
    found = sorted(str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    spec = importlib.util.find_spec("libfaketime")
    if spec is not None and spec.origin is not None:
        found += sorted(str(path) for path in Path(spec.origin).parent.rglob("libfaketime.so.1"))
    return found[0] if found else None
