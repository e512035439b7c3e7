"""Who runs the server. PostgreSQL refuses root, and `initdb` refuses a user id without a name.

Nothing on the host is changed: no account is made and no folder of others is opened. Root, and a user id without an
entry in the user database, get a user namespace in which they are somebody with a name; where the kernel denies that
(Docker's default), root's server runs as ``nobody`` from a copy of the programs that this user can read.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Identity:
    """As whom and how PostgreSQL's programs are started.

    Attributes:
        kind: ``self``, ``namespace`` or ``other user``.
        uid, gid: of the server as it sees itself.
        why: one clause for people.
    """

    kind: str
    uid: int
    gid: int
    why: str

    def command(self, words: list[str]) -> list[str]:
        """`words` as this identity must start them. The process id stays that of the program."""
        if self.kind != "namespace":
            return words
        return [_unshare(), "-U", f"--map-user={self.uid}", f"--map-group={self.gid}", *words]

    def process_options(self) -> dict[str, Any]:
        """What `subprocess` needs besides the words."""
        if self.kind != "other user":
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    @property
    def is_other_user(self) -> bool:
        """Whether files must be handed over to the server, and programs be readable by it."""
        return self.kind == "other user"


def _unshare() -> str:
    return shutil.which("unshare") or "unshare"


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _somebody() -> pwd.struct_passwd | None:
    """An account that is not root's: nobody where there is one, else any."""
    accounts = [account for account in pwd.getpwall() if account.pw_uid != 0]
    accounts.sort(key=lambda account: (account.pw_name != "nobody", account.pw_uid))
    return accounts[0] if accounts else None


def _namespace(somebody: pwd.struct_passwd, why: str) -> Identity | str:
    """The identity in a namespace of its own, or what the kernel or the machine said against it."""
    if shutil.which("unshare") is None:
        return "the program unshare is missing"
    identity = Identity("namespace", somebody.pw_uid, somebody.pw_gid, why)
    try:
        tried = subprocess.run(identity.command(["true"]), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        return str(problem)
    return (
        identity if tried.returncode == 0 else tried.stderr.strip().splitlines()[-1:][0] if tried.stderr else "denied"
    )


@functools.cache
def find() -> Identity | str:
    """The identity that can run a server here, or why there is none, ending in what to do."""
    uid = os.geteuid()
    if uid != 0 and _has_name(uid):
        return Identity("self", uid, os.getegid(), "as this user")
    somebody = _somebody()
    if somebody is None:
        return "the user database names nobody but root; add an account to /etc/passwd"
    who = "root" if uid == 0 else f"user id {uid}, which has no name,"
    found = _namespace(somebody, f"{who} in a user namespace as {somebody.pw_name}")
    if isinstance(found, Identity):
        return found
    if uid == 0:
        return Identity(
            "other user", somebody.pw_uid, somebody.pw_gid, f"as {somebody.pw_name}: no user namespace ({found})"
        )
    return (
        f"user id {uid} has no entry in the user database, which initdb needs, and a user namespace is denied ({found}); "
        "run as a user with a name, or add one for this id to /etc/passwd"
    )
