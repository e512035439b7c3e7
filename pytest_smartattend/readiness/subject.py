"""What is being released: a commit of this checkout, or what the person who runs us says it is."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

#: seconds that git may take; a huge or broken checkout gives no subject, and never holds up a run
PATIENCE = 10.0
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
#: digits of a hash that name a commit, as in git's own short form
LEAST_DIGITS = 7
_ABBREVIATED = re.compile(rf"[0-9a-f]{{{LEAST_DIGITS},64}}")
#: what stands behind the hash of a checkout that is not what was committed
CHANGED = " with changes that are in no commit"


class Asked:
    """A question to git, asked at the start of a run and answered at its end, so that nobody waits for it.

    Args:
        given: the subject as a person named it; empty to ask git.
        root: a folder of the checkout.
        reports: where reports are written, which makes no checkout dirty.
    """

    def __init__(self, given: str, root: Path, reports: Path | None) -> None:
        self._given = given
        self._git: subprocess.Popen[bytes] | None = None
        if given:
            return
        # A hook of git's runs us with these set, and they would name another checkout.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        paths = ["--", ":/"]  # all of the checkout: the platform may lie beside the folder of its tests
        if reports is not None and reports != root and reports.is_relative_to(root):
            paths.append(f":(exclude){reports.relative_to(root).as_posix()}")
        command = ["git", "-C", str(root), "--no-optional-locks", "status", "--porcelain=v2", "--branch"]
        try:
            self._git = subprocess.Popen(
                [*command, *paths],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**environment, "LC_ALL": "C"},
            )
        except OSError:
            self._git = None

    def answer(self) -> dict[str, Any]:
        """The subject as it stands in a document: ``name``, ``source``, ``commit``, ``dirty``, ``image``."""
        if self._given:
            return _given(self._given)
        output = b""
        if self._git is not None:
            try:
                output, _ = self._git.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                self._git.kill()
                self._git.communicate()
                output = b""
            output = b"" if self._git.returncode else output
        return _from_git(output.decode("utf-8", "replace"))


def _given(name: str) -> dict[str, Any]:
    commit = name if _COMMIT.fullmatch(name) else None
    image = name if commit is None and re.search(r"[:@]", name) else None
    return {"name": name, "source": "given", "commit": commit, "dirty": None, "image": image}


def _from_git(status: str) -> dict[str, Any]:
    found = re.search(r"^# branch\.oid ([0-9a-f]+)$", status, re.MULTILINE)
    if found is None:
        return {"name": "unknown", "source": "unknown", "commit": None, "dirty": None, "image": None}
    dirty = any(line and not line.startswith("#") for line in status.splitlines())
    name = found[1][:12] + (CHANGED if dirty else "")
    return {"name": name, "source": "git", "commit": found[1], "dirty": dirty, "image": None}


def matches(subject: dict[str, Any], wanted: str) -> bool:
    """Whether a document's subject is the one that is to be released; a changed checkout is no commit.

    A commit may be abbreviated as git does: what the verdict prints is what a person hands to the gate.
    """
    if subject["dirty"]:
        return False
    commit = subject["commit"] or ""
    if _COMMIT.fullmatch(commit) and _ABBREVIATED.fullmatch(wanted) and commit.startswith(wanted):
        return True
    return wanted in {subject["commit"], subject["image"], subject["name"] if subject["source"] == "given" else None}


def difference(subject: dict[str, Any], wanted: str) -> str:
    """How a document's subject is not the wanted one: with its full hash, and how to name a commit."""
    own = f"{subject['commit']}{CHANGED if subject['dirty'] else ''}" if subject["commit"] else subject["name"]
    if subject["commit"] is None or re.search(r"[:@]", wanted) or _ABBREVIATED.fullmatch(wanted):
        return f"{own}, not {wanted}"
    return (
        f"{own}, not {wanted}, which is not a commit's hash, or less than {LEAST_DIGITS} digits of it; "
        "give it as --subject=$(git rev-parse HEAD)"
    )
