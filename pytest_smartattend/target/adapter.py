"""An adapter file: how somebody's platform says what the contract says. Read once, strictly, with the place of a typo."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pytest_smartattend.errors import UsageError
from pytest_smartattend.target.operations import FIELDS, OPERATIONS, TABLES

#: the adapter that ships: the contract as it is written, and the reference's database
REFERENCE = Path(__file__).with_name("adapters") / "reference.toml"
_PLACEHOLDER = re.compile(r"\{(env:[A-Za-z_][A-Za-z0-9_]*|[a-z_]+)\}")

#: what ``{…}`` may stand for, by where it stands
OF_START = frozenset(
    "port database_url incidents_database_url secret export_key workers folder scratch adapter_folder clock_door".split()  # noqa: SIM905
)
OF_INSTANCE = frozenset("listen_fd ready_file spool webhook silence_ms secret adapter_folder".split())  # noqa: SIM905
OF_PERSON = frozenset("user_id tenant_id role email name password secret".split())  # noqa: SIM905
OF_SEED = OF_PERSON | frozenset(
    "kind class_session_id employee_id shift_date shift_id day created_at accepted_ms flagged_ms blocked_ms".split()  # noqa: SIM905
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _known(names: Mapping[str, Any] | list[str], allowed: frozenset[str] | tuple[str, ...], what: str) -> None:
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            raise ValueError(f"there is no {what} {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))


def _placeholders(text: str, allowed: frozenset[str]) -> None:
    for name in _PLACEHOLDER.findall(text):
        if not name.startswith("env:") and name not in allowed:
            raise ValueError(f"{{{name}}} stands for nothing here; there are: {', '.join(sorted(allowed))}, env:NAME")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with its ``{…}`` filled in; ``{env:NAME}`` from the environment.

    Raises:
        UsageError: a variable is not set.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not name.startswith("env:"):
            return values[name]
        if name[4:] not in os.environ:
            raise UsageError(f"The adapter needs the environment variable {name[4:]}, which is not set. Set it.")
        return os.environ[name[4:]]

    return _PLACEHOLDER.sub(value, text)


class Start(_Part):
    """How the command is started. `environment` is all that it gets beside a few such as PATH, and `keep`.

    `replaces_workers`: whether its own process has workers as children, and starts another where one has died.
    """

    environment: dict[str, str] = {}
    keep: tuple[str, ...] = Field(default=(), strict=False)
    database_role: str = ""
    replaces_workers: bool = False
    ready: str = "/api/health"
    ready_within_s: float = Field(default=60.0, gt=0, le=3600)

    @field_validator("environment")
    @classmethod
    def _filled(cls, values: dict[str, str]) -> dict[str, str]:
        for text in values.values():
            _placeholders(text, OF_START)
        return values


class Instances(_Part):
    """How one of several instances is started, behind one address, for drills: `environment` is beside that of `Start`.

    Each serves the listening socket that it inherits as ``{listen_fd}``, and writes a line to ``{ready_file}`` when it answers.
    """

    environment: dict[str, str]

    @field_validator("environment")
    @classmethod
    def _filled(cls, values: dict[str, str]) -> dict[str, str]:
        for text in values.values():
            _placeholders(text, OF_INSTANCE)
        for needed in ("{listen_fd}", "{ready_file}"):
            if not any(needed in text for text in values.values()):
                raise ValueError(f"no variable says {needed}: an instance must serve that socket, and say when it does")
        return values


class Errors(_Part):
    """Where a refusal's members lie: within `inside`, with the code in `code` and the words in `detail`."""

    inside: str = ""
    code: str = "code"
    detail: str = "detail"


class Api(_Part):
    """Paths, names, values and codes, each from the contract's to theirs; `codes` and `statuses` from theirs to ours."""

    prefix: str = "/api"
    authorization: str = "Bearer {token}"
    paths: dict[str, str] = {}
    headers: dict[str, str] = {}
    names: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    errors: Errors = Errors()
    codes: dict[str, str] = {}
    statuses: dict[str, dict[str, int]] = {}
    not_offered: tuple[str, ...] = Field(default=(), strict=False)

    @field_validator("paths", "statuses")
    @classmethod
    def _operations(cls, values: dict[str, Any]) -> dict[str, Any]:
        _known(values, OPERATIONS, "operation")
        return values

    @field_validator("paths")
    @classmethod
    def _places(cls, values: dict[str, str]) -> dict[str, str]:
        for ours, theirs in values.items():
            if not re.fullmatch(r"[A-Z]+ /\S*", theirs):
                raise ValueError(f"{ours!r} = {theirs!r} is no 'METHOD /path'")
            if re.findall(r"\{[a-z_]+\}", theirs) != re.findall(r"\{[a-z_]+\}", ours):
                raise ValueError(f"{ours!r} = {theirs!r}: both sides need the same {{…}}")
        return values

    @field_validator("names", "values")
    @classmethod
    def _fields(cls, values: dict[str, Any]) -> dict[str, Any]:
        _known(values, frozenset(FIELDS), "field")
        return values

    @field_validator("names")
    @classmethod
    def _one_to_one(cls, values: dict[str, str]) -> dict[str, str]:
        seen: dict[str, str] = {}
        for ours, theirs in values.items():
            if theirs in seen:
                raise ValueError(
                    f"{ours!r} and {seen[theirs]!r} are both called {theirs!r}; give one of them by Python"
                )
            seen[theirs] = ours
        return values

    @field_validator("codes")
    @classmethod
    def _codes(cls, values: dict[str, str]) -> dict[str, str]:
        for theirs, ours in values.items():
            if not re.fullmatch(r"[45]\d\d [a-z_]+", ours):
                raise ValueError(f"{theirs!r} = {ours!r} is no status and code such as '409 invalid_transition'")
        return values

    @field_validator("not_offered")
    @classmethod
    def _patterns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for one in values:
            if not any(fnmatchcase(operation, one) for operation in OPERATIONS):
                near = difflib.get_close_matches(one, OPERATIONS, 1)
                raise ValueError(f"{one!r} fits no operation" + (f"; did you mean {near[0]!r}?" if near else ""))
        return values

    @property
    def is_contract(self) -> bool:
        """Whether the platform speaks the contract as it is written, so that nothing stands between it and us."""
        return self == Api()


class Tokens(_Part):
    """Where bearer tokens come from: signed with the platform's secret, or given when somebody logs in."""

    kind: Literal["jwt", "login", "given"] = "jwt"
    secret: str = "{secret}"  # noqa: S105 - a template
    claims: dict[str, str] = {"sub": "{user_id}", "tid": "{tenant_id}", "role": "{role}"}

    @model_validator(mode="after")
    def _filled(self) -> Tokens:
        for text in (self.secret, *self.claims.values()):
            _placeholders(text, OF_PERSON)
        return self


class Call(_Part):
    """A request that makes something; `id` is where in its answer the new id stands, where the platform chooses it."""

    call: str = Field(pattern=r"^(POST|PUT|PATCH) /\S*$")
    body: dict[str, Any] = {}
    id: str = ""


#: what an adapter says how to make
STEPS = ("tenant", "user", "superadmin", "class_session", "shift", "drift_limits")
#: SQL, one statement or several, or a request
Making = str | Call


class Seed(_Part):
    """How tenants, people and what they attend are made."""

    kind: Literal["reference", "steps", "file"] = "reference"
    password: str = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as a check
    headers: dict[str, str] = {}
    tenant: Making = ""
    user: Making = ""
    superadmin: Making = ""
    class_session: Making = ""
    shift: Making = ""
    drift_limits: Making = ""
    tenants: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Seed:
        if self.kind == "steps":
            lacking = [name for name in ("tenant", "user") if not getattr(self, name)]
            if lacking:
                raise ValueError(f"kind = 'steps' needs {' and '.join(lacking)}: SQL, or {{call = 'POST /…'}}")
        if self.kind == "file" and not self.tenants:
            raise ValueError("kind = 'file' needs tenants: the JSON file that lists those that were made")
        for name in STEPS:
            step = getattr(self, name)
            if isinstance(step, str):
                _known(re.findall(r"%\((\w+)\)s", step), OF_SEED, "parameter")
        return self


class Clock(_Part):
    """`door`: whether the command offers the clock door (docs/reference/clock-door.md)."""

    door: bool = False


class Url(_Part):
    """`disposable`: the base URLs behind which nothing is worth keeping. `database`: where records may be read."""

    disposable: tuple[str, ...] = Field(default=(), strict=False)
    database: str = ""


class Adapter(_Part):
    """How one platform is started, spoken to, seeded and looked into."""

    name: str = Field(min_length=1)
    start: Start = Start()
    instances: Instances | None = None
    url: Url = Url()
    api: Api = Api()
    tokens: Tokens = Tokens()
    seed: Seed = Seed()
    records: dict[str, str] | Literal["reference"] = {}
    roles: dict[Literal["app", "owner"], str] = {}
    clock: Clock = Clock()
    folder: Path = Field(default=Path(), exclude=True, strict=False)

    @field_validator("records")
    @classmethod
    def _tables(cls, values: dict[str, str] | str) -> dict[str, str] | str:
        if isinstance(values, dict):
            _known(values, TABLES, "table")
        return values

    @property
    def is_drilled(self) -> bool:
        """Whether drills can be held: several can be started, and each database that is lost can be looked into."""
        theirs = self.records != "reference" or self.seed.kind != "reference" or self.tokens.kind != "jwt"
        return self.instances is not None and self.api.is_contract and not theirs

    def offers(self, operation: str) -> bool:
        """Whether the platform has that operation of the contract."""
        return not any(fnmatchcase(operation, one) for one in self.api.not_offered)


def read(name: str, root: Path) -> Adapter:
    """The adapter of an option's text: ``reference``, or a TOML file below `root`.

    Raises:
        UsageError: there is no such file, or something in it is not what is accepted; names file and line.
    """
    path = REFERENCE if name == "reference" else root / name
    try:
        text = path.read_text("utf-8")
    except (OSError, ValueError) as why:
        raise UsageError(
            f"The adapter {path} cannot be read: {why}. Give a TOML file; `smartattend init` writes one."
        ) from None
    try:
        return Adapter.model_validate({**tomllib.loads(text), "folder": path.parent})
    except tomllib.TOMLDecodeError as why:
        raise UsageError(f"{path}: {why}. Correct the TOML.") from None
    except ValidationError as why:
        raise UsageError(_told(path, text, why)) from None


def _told(path: Path, text: str, problem: ValidationError) -> str:
    lines = []
    for error in problem.errors():
        keys = [str(part) for part in error["loc"] if not str(part).startswith(("dict[", "literal["))]
        said = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            known = _fields_at(keys[:-1])
            near = difflib.get_close_matches(keys[-1], known, 1)
            said = f"there is no such key; {f'did you mean {near[0]!r}?' if near else 'there are: ' + ', '.join(known)}"
        named = [
            word for pair in re.findall(r"'([^']+)'|(\{[a-z_]+\})", said) for word in pair if word and word in text
        ]
        lines.append(f"{path}:{_line(text, [*keys, *named[:1]])}: {'.'.join(keys) or 'the file'}: {said}")
    return "\n".join(dict.fromkeys(lines)) + "\nCorrect it; docs/reference/adapter.md has every key."


def _fields_at(keys: list[str]) -> list[str]:
    model: Any = Adapter
    for key in keys:
        field = model.model_fields.get(key)
        kind = getattr(field, "annotation", None)
        model = next((one for one in get_args(kind) if isinstance(one, type) and issubclass(one, BaseModel)), kind)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return []
    return [name for name in model.model_fields if name != "folder"]


def _line(text: str, keys: list[str]) -> int:
    """The line that speaks of the innermost of `keys` that the file names; 1 where none is named."""
    lines = text.splitlines()
    for key in reversed(keys):
        for number, line in enumerate(lines, start=1):
            words = line.split("#")[0]
            if re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", words):
                return number
    return 1
