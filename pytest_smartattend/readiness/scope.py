"""What "ready" is about here: an adopter's ``readiness.toml``.

::

    requirements = "0.14"            # the version that was reviewed; another one is refused until it was reviewed too
    postgres = 17                   # the major version of production
    required = ["scenarios/our-own-check"]

    [[not_applicable]]
    id = "scenarios/tenant-isolation"   # a check, one cell, or a whole group
    reason = "one tenant only"

    [[waivers]]
    id = "scenarios/security-breach[low-level_1]"
    reason = "fixed in the next release, ticket 4711"
    owner = "Ada"
    expires = 2026-12-31                # void after the end of that day, UTC

    [[sabotages]]                       # a defect of your own to plant, for `smartattend prove --scope`
    name = "checkins-kept-twice"        # as a check of yours promises: @pytest.mark.detects("checkins-kept-twice")
    breaks = "a check-in can be stored twice"
    plant = "git apply sabotages/twice.patch"
    heal = "git apply --reverse sabotages/twice.patch"
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_smartattend.errors import UsageError
from pytest_smartattend.readiness.requirements import CHECK_ID, Requirements, covers, place

_KEYS: Mapping[str, set[str]] = {
    "not_applicable": {"id", "reason"},
    "waivers": {"id", "reason", "owner", "expires"},
}
_SABOTAGE = {"name", "breaks", "plant", "heal"}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_TOP = {"requirements", "postgres", "required", "sabotages", *_KEYS}


@dataclass(frozen=True)
class Scope:
    """What a document is about. The default is the requirements as they ship.

    Attributes:
        digest: sha256 of the file's bytes; empty without a file.
        postgres: the declared major version; None where none was declared.
        required: ids required beyond the requirements.
        not_applicable: mappings with ``id`` and ``reason``.
        waivers: mappings with ``id``, ``reason``, ``owner``, ``expires`` (``YYYY-MM-DD``, valid through that day, UTC).
        sabotages: mappings with ``name``, ``breaks``, and the commands ``plant`` and ``heal``.
    """

    digest: str = ""
    postgres: int | None = None
    required: tuple[str, ...] = ()
    not_applicable: tuple[Mapping[str, str], ...] = ()
    waivers: tuple[Mapping[str, str], ...] = field(default=())
    sabotages: tuple[Mapping[str, str], ...] = field(default=())


def load(path: Path | None, requirements: Requirements) -> Scope:
    """Read a scope file; None is the default scope.

    Raises:
        UsageError: it cannot be read, is not in the format, pins another version of the requirements, or speaks of an
            id that is not required. Names the file and the line.
    """
    if path is None:
        return Scope()
    try:
        content = path.read_bytes()
        table = tomllib.loads(content.decode("utf-8"))
    except OSError as problem:
        raise UsageError(f"{path}: cannot be read ({problem.strerror}). Name a readiness.toml.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path}: not TOML ({problem}). Mend that line.") from None
    return _Reader(path, content.decode("utf-8"), requirements).read(table, hashlib.sha256(content).hexdigest())


def narrowed(whole: Scope, group: str, requirements: Requirements) -> str:
    """The text of a scope file for one group: what `whole` says of that group, and that the others were not asked for."""
    required = ", ".join(_quoted(one) for one in whole.required if covers(group, one))
    others = [{"id": name, "reason": "not asked for in this run"} for name in requirements.groups if name != group]
    lines = [f"requirements = {_quoted(requirements.version)}", f"required = [{required}]"]
    lines += [] if whole.postgres is None else [f"postgres = {whole.postgres}"]
    for kind, entries, more in (("not_applicable", whole.not_applicable, others), ("waivers", whole.waivers, [])):
        for entry in [*(one for one in entries if covers(group, one["id"])), *more]:
            lines.append(f"[[{kind}]]")
            lines += [f"{key} = {text if key == 'expires' else _quoted(text)}" for key, text in entry.items()]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """A text as TOML has it: as JSON, but no pairs of surrogates, and DEL only escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@dataclass(frozen=True)
class _Reader:
    path: Path
    content: str
    requirements: Requirements

    def read(self, table: Mapping[str, Any], digest: str) -> Scope:
        for key in table:
            if key not in _TOP:
                raise self._wrong(key, f"`{key}` is unknown; known are {', '.join(sorted(_TOP))}")
        pinned = table.get("requirements")
        if pinned != self.requirements.version:
            raise self._wrong(
                "requirements",
                f"it pins requirements {pinned!r}, and those in force are {self.requirements.version!r}; review what "
                f'changed, then write requirements = "{self.requirements.version}"',
            )
        postgres = table.get("postgres")
        if postgres is not None and (not isinstance(postgres, int) or not 9 <= postgres < 1000):
            raise self._wrong("postgres", "`postgres` must be a major version, such as 17")
        required = tuple(self._own(table.get("required", [])))
        excluded = tuple(self._entries(table, "not_applicable", required))
        for one in required:
            for name in (entry["id"] for entry in excluded if covers(entry["id"], one)):
                raise self._wrong(one, f"{one} is required and, by {name}, not applicable; take one of the two out")
        waivers = tuple(self._entries(table, "waivers", required))
        return Scope(digest, postgres, required, excluded, waivers, tuple(self._sabotages(table)))

    def _sabotages(self, table: Mapping[str, Any]) -> Iterator[dict[str, str]]:
        entries = table.get("sabotages", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong("sabotages", "write [[sabotages]] with two brackets, once per defect")
        seen: set[str] = set()
        for entry in entries:
            name = str(entry.get("name", "sabotages"))
            if set(entry) != _SABOTAGE or not all(isinstance(one, str) and one.strip() for one in entry.values()):
                raise self._wrong(
                    name, f"a sabotage takes {', '.join(sorted(_SABOTAGE))}, each a text; {name} does not"
                )
            if not _NAME.fullmatch(name) or name in seen:
                raise self._wrong(name, f"{name!r} must be lower case with hyphens, and stand once")
            seen.add(name)
            yield dict(entry)

    def _own(self, ids: object) -> list[str]:
        if not isinstance(ids, list):
            raise self._wrong("required", "`required` must be a list of ids")
        for one in ids:
            if not isinstance(one, str) or not CHECK_ID.fullmatch(one):
                raise self._wrong(str(one), f'{one!r} is no id; write one such as "scenarios/our-own-check"')
        return ids

    def _entries(self, table: Mapping[str, Any], kind: str, required: tuple[str, ...]) -> list[dict[str, str]]:
        entries = table.get(kind, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(kind, f"write [[{kind}]] with two brackets, once per entry")
        return [self._entry(entry, kind, required) for entry in entries]

    def _entry(self, entry: Mapping[str, Any], kind: str, required: tuple[str, ...]) -> dict[str, str]:
        name = str(entry.get("id", kind))
        for key in sorted(_KEYS[kind] - set(entry)):
            raise self._wrong(name, f"{name} in {kind} lacks `{key}`; it takes {', '.join(sorted(_KEYS[kind]))}")
        for key in sorted(set(entry) - _KEYS[kind]):
            raise self._wrong(key, f"`{key}` of {name} is unknown; known are {', '.join(sorted(_KEYS[kind]))}")
        if name not in required and not self.requirements.is_about(name):
            raise self._wrong(name, f"{name} in {kind} is not required, so the entry does nothing; mend or remove it")
        for key in sorted(_KEYS[kind] - {"expires"}):
            if not isinstance(entry[key], str) or not entry[key].strip():
                raise self._wrong(name, f"`{key}` of {name} is empty; say it in words")
        plain = {key: str(entry[key]) for key in sorted(_KEYS[kind])}
        if "expires" in entry and (
            not isinstance(entry["expires"], dt.date) or isinstance(entry["expires"], dt.datetime)
        ):
            raise self._wrong(name, f"`expires` of {name} must be a day, such as 2026-12-31 without quotes")
        return plain

    def _wrong(self, needle: str, text: str) -> UsageError:
        return UsageError(f"{place(self.path, self.content, needle)}: {text}.")
