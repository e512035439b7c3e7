"""Every error that this package raises, and how they are related.

SmartattendError
├── UsageError             an option, ini value, environment variable, file or URL is not what is accepted
├── UnsafeTarget           a database not marked disposable, or a host that was not allowed
├── ServerError            PostgreSQL
│   ├── NoServerFound      nothing on this machine meets what was asked for; lists what was probed
│   ├── ServerFailed       a server did not start, or went away
│   ├── SchemaFailed       the migrations did not apply
│   ├── ProgramFailed      a program of PostgreSQL is missing, or failed
│   ├── BackupRefused      a backup or an archive of WAL is damaged or has gaps
│   └── TargetNotReached   a recovery ended before the point that it was to reach
├── TargetError            the platform under test
│   ├── TargetFailed       it did not start, or went away
│   ├── ContractBroken     it answered something that the contract does not know
│   ├── NotOffered         it has not got what a check needs, and its adapter says so
│   └── StepFailed         a step of a drill was not seen to do what it must
├── InjectionError         a fault could not be carried out
│   ├── FaultNeverFired    it was installed and nothing passed it
│   └── FaultNotHealed     it was removed and the path is still broken
├── ClockError             the clock was asked for what a clock cannot do
│   ├── ClockDeadlock      everybody waits, and nothing is there that could wake anybody
│   └── ClockStall         work in flight does not end, or somebody never waits
└── EvidenceError          evidence could not be written, read or trusted
    └── RecordRefused      an exported incident cannot be read, trusted or driven again

Every message says what happened and ends in what to do.
"""

from __future__ import annotations


class SmartattendError(Exception):
    """The root. Catch it to tell our errors from a defect of ours."""


class UsageError(SmartattendError):
    """Something that a person wrote is not what is accepted. Names the source and what is accepted."""


class UnsafeTarget(SmartattendError):
    """A suite was about to write where nobody said that it may."""


class ServerError(SmartattendError):
    """PostgreSQL: see the subclasses."""


class NoServerFound(ServerError):
    """No server on this machine meets the constraints. Lists what was probed and what each lacks."""


class ServerFailed(ServerError):
    """A server did not start, or went away. Carries the end of its log."""


class SchemaFailed(ServerError):
    """The schema could not be applied to the template database. Carries the statement or output."""


class ProgramFailed(ServerError):
    """A program of PostgreSQL is missing, or failed. Carries its output."""


class BackupRefused(ServerError):
    """A backup or an archive of WAL is damaged or has gaps: nothing can be restored from it."""


class TargetNotReached(ServerError):
    """A recovery ran out of WAL before the point that it was to reach."""


class TargetError(SmartattendError):
    """The platform under test: see the subclasses."""


class TargetFailed(TargetError):
    """The platform did not start, or went away. Carries the end of its output."""


class ContractBroken(TargetError):
    """The platform answered something that the contract does not know."""


class NotOffered(TargetError):
    """The platform has not got what a check needs, and says so. The check is reported as not run, by name.

    Args:
        what: what it has not got.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"not run: the target does not offer {what}. Let the adapter offer it, or declare the check in readiness.toml."
        )
        self.what = what


class StepFailed(TargetError):
    """A step of a drill was not seen to do what it must, within its deadline; or a control that must lose lost nothing."""


class InjectionError(SmartattendError):
    """A fault could not be carried out: see the subclasses."""


class FaultNeverFired(InjectionError):
    """A fault was installed, and nothing ever passed it. The check has shown nothing."""


class FaultNotHealed(InjectionError):
    """A fault was removed, and a probe still finds the path broken."""


class ClockError(SmartattendError):
    """The clock was asked for what a clock cannot do: see the message, and the subclasses."""


class ClockDeadlock(ClockError):
    """No timer is set and nothing is in flight: nobody will ever wake. Lists who waits for what."""


class ClockStall(ClockError):
    """Time cannot move on, because something is in flight and stays there. Names it, and who waits for it."""


class EvidenceError(SmartattendError):
    """Evidence could not be written, read or trusted."""


class RecordRefused(EvidenceError):
    """An exported incident is damaged, of another kind or version, tampered with, or holds what cannot be driven."""
