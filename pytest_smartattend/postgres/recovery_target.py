"""How far a restore replays: to the end of the WAL, or to a place, a moment, a name or a transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pytest_smartattend.errors import UsageError
from pytest_smartattend.postgres.lsn import Lsn


@dataclass(frozen=True)
class RecoveryTarget:
    """A point in the history of a cluster. Made by the functions of this module.

    Attributes:
        what: for people, as in ``to just before transaction 743``.
        settings: of the server that is to replay.
    """

    what: str
    settings: Mapping[str, str] = field(default_factory=dict)


def _target(what: str, name: str, value: str, *, inclusive: bool) -> RecoveryTarget:
    settings = {f"recovery_target_{name}": value, "recovery_target_action": "promote"}
    if name != "name":
        settings["recovery_target_inclusive"] = "on" if inclusive else "off"
    return RecoveryTarget(what, settings)


#: Everything that the archive holds.
END = RecoveryTarget("to the end of the WAL")


def to_lsn(lsn: Lsn, *, inclusive: bool = True) -> RecoveryTarget:
    """To the record that ends at or after `lsn`; not `inclusive`: without it.

    The WAL must go on behind `lsn`, else `TargetNotReached` is raised: take one that was followed by a commit.
    """
    return _target(f"to {lsn}", "lsn", str(lsn), inclusive=inclusive)


def to_time(moment: datetime, *, inclusive: bool = True) -> RecoveryTarget:
    """To the last transaction that committed at or before `moment`, by the server's clock.

    Raises:
        UsageError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise UsageError(f"{moment} has no time zone, so it is no moment. Give one, such as datetime.UTC.")
    return _target(f"to {moment.isoformat()}", "time", moment.isoformat(sep=" "), inclusive=inclusive)


def to_name(name: str) -> RecoveryTarget:
    """To what `Node.restore_point` named."""
    return _target(f"to the restore point {name!r}", "name", name, inclusive=True)


def before_transaction(xid: int) -> RecoveryTarget:
    """To just before this transaction took effect: everything that committed earlier is there, it is not."""
    return _target(f"to just before transaction {xid}", "xid", str(xid), inclusive=False)


def through_transaction(xid: int) -> RecoveryTarget:
    """To just after this transaction."""
    return _target(f"to transaction {xid}", "xid", str(xid), inclusive=True)
