"""Base backups: taken from a running server, and verified before anything relies on them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import BackupRefused, ProgramFailed
from pytest_smartattend.postgres.lsn import Lsn
from pytest_smartattend.postgres.node import Node
from pytest_smartattend.postgres.programs import Programs

_DAMAGED = "checksum verification failed"


@dataclass(frozen=True)
class Backup:
    """A copy of a data directory with the WAL that makes it consistent.

    Attributes:
        folder: where it is.
        timeline: of the server at the time.
        start, end: between which WAL must be replayed for it to be consistent; it carries that WAL itself.
    """

    folder: Path
    timeline: int
    start: Lsn
    end: Lsn
    _programs: Programs

    @classmethod
    def take(cls, node: Node, folder: Path) -> Backup:
        """Take one from a running node into `folder`, which is made.

        Raises:
            BackupRefused: the node has damaged pages; names files and blocks. Nothing is left of the backup.
            ProgramFailed: pg_basebackup is missing, or failed.
        """
        programs = node.programs
        words: list[str | Path] = [
            "-D",
            folder,
            "-d",
            node.words,
            "-c",
            "fast",
            "-X",
            "stream",
            "--manifest-checksums=SHA256",
        ]
        done = programs.try_run("pg_basebackup", *words)
        if done.returncode != 0:
            said = done.stderr.strip()[-2000:]
            if _DAMAGED in said:
                raise BackupRefused(
                    f"The node {node.name} has damaged pages, so there is no backup of it:\n{said}\n"
                    "Restore it from an older backup and its archive."
                )
            raise ProgramFailed(
                f"pg_basebackup of {node.name} ended with {done.returncode}:\n{said}\nIs there room, and does it answer?"
            )
        told = json.loads((folder / "backup_manifest").read_bytes())["WAL-Ranges"][0]
        start, end = Lsn.parse(told["Start-LSN"]), Lsn.parse(told["End-LSN"])
        return cls(folder, int(told["Timeline"]), start, end, programs)

    def verify(self) -> None:
        """Compare every file with the manifest, and read the WAL that it carries.

        Raises:
            BackupRefused: a file is changed, missing or too many, or the WAL cannot be read. Names it.
            ProgramFailed: pg_verifybackup or pg_waldump is missing.
        """
        self._programs.path("pg_waldump")  # which pg_verifybackup calls
        done = self._programs.try_run("pg_verifybackup", self.folder)
        if done.returncode != 0:
            raise BackupRefused(
                f"The backup {self.folder} is not what was taken:\n{done.stderr.strip()[-2000:]}\nTake a new one."
            )
