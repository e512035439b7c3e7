"""The command that runs one check again, as it ran."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

#: Words of the first run that say where reports go, how many ran at once, or which checks: none of this one's business.
#: Settings by ``-o`` and ``-p`` are those with which `smartattend readiness` shields shipped checks from a project.
_WITH_VALUE = frozenset({
    "--smartattend-report", "--smartattend-history", "--smartattend-checks", "--smartattend-seed", "--smartattend-budget",
    "--smartattend-shard", "--junitxml", "--junit-xml", "--html", "--alluredir", "--ctrf", "--dist", "--numprocesses",
    "--maxfail", "-n", "-k", "-m", "-o", "-p",
})  # fmt: skip
_ALONE = frozenset({"--smartattend-strict", "--self-contained-html", "-x", "-q", "-qq", "-v", "-vv"})


def command(document: Mapping[str, Any], check: Mapping[str, Any]) -> str:
    """One line for a shell, with the seed of the run."""
    seed = f"--smartattend-seed={document['run']['seed']}"
    is_marked = check["required"] or check["tests"] != [check["id"]]
    if not is_marked:
        return shlex.join(["pytest", *check["tests"], seed])
    words = [*_kept(document["run"].get("arguments", ()))]
    if "," in check["id"]:  # a comma separates ids
        return shlex.join(["pytest", *(word for word in words if word.startswith("-")), *check["tests"][:1], seed])
    return shlex.join(["pytest", *words, f"--smartattend-checks={check['id']}", seed])


def _kept(arguments: Sequence[str]) -> Iterator[str]:
    words = iter(arguments)
    for word in words:
        name = word.partition("=")[0] if word.startswith("--") else word[:2] if word.startswith("-") else ""
        if name in _WITH_VALUE:
            if word == name:
                next(words, None)
        elif word not in _ALONE:
            yield word
