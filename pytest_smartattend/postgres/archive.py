"""An archive of WAL: filled by the server, a segment at a time, or by a receiver, a record at a time."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_smartattend.errors import BackupRefused, ServerFailed
from pytest_smartattend.postgres.cluster import tail
from pytest_smartattend.postgres.lsn import Lsn, segment_name
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.postmaster import PATIENCE
from pytest_smartattend.postgres.programs import Programs

if TYPE_CHECKING:
    from pytest_smartattend.postgres.backup import Backup

_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LOOK = 0.001  # seconds between two looks


class Archive:
    """A folder of WAL segments. Made by `Site.archive`.

    Attributes:
        folder: where they are, the one that a receiver still writes with the ending ``.partial``.
    """

    def __init__(self, folder: Path, programs: Programs) -> None:
        self.folder = folder
        self._programs = programs
        self._receivers: list[Receiver] = []

    @property
    def command(self) -> str:
        """The ``archive_command`` of a server that fills it.

        A segment appears whole, by rename. One that is there already is success only if it is the same, as after a
        crash in between; another server's segment of that name is refused.
        """
        there, making = shlex.quote(f"{self.folder}/%f"), shlex.quote(f"{self.folder}/.%f.new")
        return f'if test -e {there}; then cmp -s "%p" {there}; else cp "%p" {making} && mv {making} {there}; fi'

    @property
    def restore_command(self) -> str:
        """The ``restore_command`` of a server that replays it, up to the last record of a segment not yet full."""
        there = shlex.quote(f"{self.folder}/%f")
        return f'for f in {there} {there}.partial; do test -e "$f" && exec cp "$f" "%p"; done; exit 1'

    def segments(self) -> list[str]:
        """The names of the full segments, in order."""
        return sorted(path.name for path in self.folder.iterdir() if _SEGMENT.fullmatch(path.name))

    def receive(self, node: Node, name: str = "receiver") -> Receiver:
        """Start a receiver of `node`'s WAL, which confirms each record once it is on disk. Waits until it receives.

        Commits wait for it when `Site.require` names it: then nothing that was acknowledged is missing here.
        """
        log = self.folder.parent / f"{name}.log"
        words = f"{node.words} application_name={name}"
        slot = f"--slot={name}"
        self._programs.run("pg_receivewal", "-d", words, slot, "--create-slot", "--if-not-exists")
        options = ["-D", str(self.folder), "-d", words, slot, "--synchronous", "--status-interval=1"]
        process = self._programs.start("pg_receivewal", *options, log=log)
        receiver = Receiver(name, process, log)
        self._receivers.append(receiver)
        receiver.await_confirmed(node, Lsn(0))
        return receiver

    def prove(self, node: Node) -> Lsn:
        """Show that what `node` writes now comes here, by its ``archive_command``: write, end the segment, look.

        Returns:
            where the record was written.

        Raises:
            BackupRefused: it did not come.
        """
        with node.connect() as connection:
            row = connection.execute("SELECT pg_logical_emit_message(true, 'smartattend', 'archived')").fetchone()
            size = connection.execute("SELECT setting::int FROM pg_settings WHERE name = 'wal_segment_size'").fetchone()
            connection.execute("SELECT pg_switch_wal()")
        assert row is not None
        assert size is not None
        lsn = Lsn.parse(str(row[0]))
        name = segment_name(node.timeline(), max(lsn - 1, 0), int(size[0]))
        deadline = time.monotonic() + PATIENCE
        while not (self.folder / name).exists():
            if time.monotonic() > deadline:
                raise BackupRefused(
                    f"{node.name} wrote to the WAL at {lsn}, and its segment {name} did not come to {self.folder} within "
                    f"{PATIENCE:g} s:\n{tail(node.log)}\nSee to archive_mode and archive_command."
                )
            time.sleep(_LOOK)
        return lsn

    def verify(self, backup: Backup) -> str:
        """Read every record from the start of `backup` to the last full segment of its timeline.

        A restore does not do this: it takes the first damaged record for the end of the WAL, and ends well.

        Returns:
            the name of the last full segment.

        Raises:
            BackupRefused: a segment is missing, or a record in one is damaged. Names it.
        """
        size = self._segment_size()
        first = segment_name(backup.timeline, backup.start, size)
        full = [name for name in self.segments() if name[:8] == first[:8] and name >= first]
        number = backup.start // size
        for name in full or [""]:
            due = segment_name(backup.timeline, number * size, size)
            if name != due:
                raise BackupRefused(
                    f"The archive {self.folder} lacks the segment {due}. Nothing from there on can be restored: take a "
                    "new base backup, and see why archiving failed."
                )
            number += 1
        self._read(backup, Lsn(number * size))
        return full[-1]

    def _read(self, backup: Backup, end: Lsn) -> None:
        """Read the records from the start of `backup` to `end`, where the full segments do."""
        reading = self.folder.with_name(f"{self.folder.name}-reading")
        reading.mkdir(mode=0o755)
        try:
            for path in self.folder.iterdir():
                # The last record may go on in the segment that is not full yet.
                (reading / path.name.removesuffix(".partial")).symlink_to(path)
            words: list[str | Path] = [
                "-p",
                reading,
                "-t",
                str(backup.timeline),
                "-s",
                str(backup.start),
                "-e",
                str(end),
            ]
            done = self._programs.try_run("pg_waldump", *words, "-r", "LogicalMessage")
        finally:
            shutil.rmtree(reading)
        following = segment_name(backup.timeline, end, self._segment_size())
        if done.returncode != 0 and f'could not find file "{following}"' not in done.stderr:
            raise BackupRefused(
                f"The archive {self.folder} is damaged before {end}: {done.stderr.strip()}. Nothing behind that can be "
                "restored: take a new base backup."
            )

    def release(self) -> None:
        """End its receivers, for the end of a drill."""
        for receiver in self._receivers:
            receiver.kill()

    def _segment_size(self) -> int:
        for name in self.segments():
            return (self.folder / name).stat().st_size
        raise BackupRefused(f"{self.folder} holds no full segment of WAL. See to archive_mode and archive_command.")


class Receiver:
    """A running ``pg_receivewal``. Made by `Archive.receive`.

    Attributes:
        name: by which the primary knows it.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal: SIGKILL, SIGSTOP or SIGCONT."""
        self._process.send_signal(number)  # to one that has ended, nothing
        if number == signal.SIGKILL:
            self._process.wait(PATIENCE)

    def stop(self) -> None:
        """End it, also one that stands still."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.kill()

    def await_confirmed(self, node: Node, lsn: Lsn) -> None:
        """Wait until `node` knows that everything up to `lsn` is on the receiver's disk.

        Raises:
            ServerFailed: it is not, within `PATIENCE`; carries the end of the receiver's log.
        """
        try:
            node.wait_until(
                "SELECT flush_lsn >= %s::pg_lsn FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
                f"have {lsn} confirmed by {self.name}",
                [str(lsn), self.name],
            )
        except ServerFailed as problem:
            raise ServerFailed(f"{problem}\nThe end of {self.name}'s log:\n{tail(self._log)}") from problem
