"""The page of the contract: each operation, field and refusal, from the testers' tables and the reference's document."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fastapi.routing import APIRoute

from pytest_smartattend.reference.api.app import create_app
from pytest_smartattend.reference.api.bodies import BODY_LIMIT
from pytest_smartattend.reference.domain.problems import PROBLEMS
from pytest_smartattend.reference.settings import Settings
from pytest_smartattend.target import contract
from pytest_smartattend.target.operations import OPERATIONS

Schema = dict[str, Any]

_MINUTE = timedelta(minutes=1)
#: members that every problem has; the intro tells them
_USUAL = {"type", "title", "status", "detail", "code"}
#: patterns in words; those that only forbid NUL are told once, above
_PATTERNS = {
    r"^[^\u0000]*$": "",
    r"^[^\u0000]*[^\s\u0000][^\u0000]*$": "not blank",
    rf"^\s*[^\s\u0000][^\u0000]{{{contract.LEAST_TEXT - 2},}}[^\s\u0000]\s*$": (
        f"at least {contract.LEAST_TEXT} characters without the blanks around"
    ),
    r"^[!-~]{1,200}$": "visible ASCII",
}
_FORMATS = {"date-time": "instant", "date": "date", "uuid": "UUID", "uri": "URI"}
_INTRO = f"""\
# The contract

What a platform must answer for the suites to judge it. The adapter says how *yours* says the same
([its keys](adapter.md)), and `smartattend conform` calls each operation once and tells what differs
([your own backend](../how-to/your-own-backend.md)). Generated from `pytest_smartattend/target/operations.py`,
`pytest_smartattend/target/contract.py` and the OpenAPI document of the reference platform, which a running one tells at
`GET /api/openapi.json`.

What holds for all of it:

- Paths lie below `/api`. A token goes in `Authorization: Bearer …`. Roles, least first: {", ".join(contract.ROLES[1:])};
  each may do what those before it may. Another tenant's row is not forbidden but `404 not_found`.
- Token, then role, then body: of several refusals the first of these is answered.
- A body is JSON in UTF-8, declared as `application/json`, of at most {BODY_LIMIT:,} bytes. A field that is not named here is
  `422 validation_error`. No text holds NUL.
- An *instant* is RFC 3339 with its offset, such as `2026-03-01T08:00:00.000000Z`; a *date* is `2026-03-01`.
- A refusal is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, and `code`, which is what checks
  look at; some [have more](#problems).
- Fields of answers are always there, `null` where they say nothing, unless "may be absent" stands beside them.
"""


def contract_page() -> str:
    """The whole page."""
    app = create_app(Settings("", "", b"x" * 32))
    told = {
        f"{method} {route.path.removeprefix('/api')}": " ".join((route.endpoint.__doc__ or "").split())
        for route in app.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    page = _Page(app.openapi(), told)
    operations = [part for operation in OPERATIONS for part in page.operation(operation)]
    parts = [_INTRO, "## Operations", "", *page.index(), "", *operations, *page.shapes(), *_problems(page), *_rules()]
    return "\n".join(parts).rstrip() + "\n"


class _Page:
    """Writes of one OpenAPI document; remembers which shapes it has named, so that all of them are shown."""

    def __init__(self, document: Schema, told: dict[str, str]) -> None:
        self._paths: Schema = document["paths"]
        self.components: Schema = document["components"]["schemas"]
        self._told = told
        self._least = {f"{one.method} {one.path}": one.least for one in contract.LISTED}
        self._named: list[str] = []

    def index(self) -> list[str]:
        """All operations in one table."""
        rows = ["| operation | least role | success |", "| --- | --- | --- |"]
        for one in OPERATIONS:
            good = [status for status in self._found(one).get("responses", {"200": {}}) if status < "4"]
            rows.append(f"| [`{one}`](#{_anchor(one)}) | {self._who(one)} | {', '.join(sorted(good))} |")
        return rows

    def operation(self, operation: str) -> list[str]:
        """One operation: who, with what, and every answer."""
        method, _, path = operation.partition(" ")
        lines = [f"### {method} /api{path}", ""]
        found = self._found(operation)
        if not found:
            return [
                *lines,
                "The document of the contract, as OpenAPI. Anyone may read it. `200` with the document.",
                "",
            ]
        lines += [f"{self._told[operation] or _moves(path)} Who may call it: {self._who(operation)}.", ""]
        lines += self._asked(found)
        answers = sorted(found["responses"].items())
        for status, answer in answers:
            if status < "4":
                said = answer["description"].replace("Successful Response", "")
                shape = " or ".join(
                    self.kind(content["schema"]) + (f" as `{media}`" if media != "application/json" else "")
                    for media, content in answer["content"].items()
                )
                headers = "".join(
                    f"; header `{name}`: {one['description']}" for name, one in answer.get("headers", {}).items()
                )
                lines.append(f"- `{status}` {shape}{f': {said}' if said else ''}{headers}")
        refused = [code for status, answer in answers if status >= "4" for code in self._codes(answer)]
        return [*lines, f"- refused with {', '.join(f'`{PROBLEMS[code].status} {code}`' for code in refused)}", ""]

    def _found(self, operation: str) -> Schema:
        method, _, path = operation.partition(" ")
        found: Schema = self._paths.get(f"/api{path}", {}).get(method.lower(), {})
        return found

    def _who(self, operation: str) -> str:
        """The least role, by the testers' table; the reference's document must say the same."""
        least = self._least.get(operation, "nobody").replace("nobody", "anyone")
        said = self._found(operation).get("description", "Least role: anyone.")
        assert said == f"Least role: {least}.", f"{operation}: contract.py says {least}, the reference: {said}"
        return least if least == "anyone" else f"{least} and above"

    def _asked(self, found: Schema) -> list[str]:
        rows = [
            self._row(f"`{one['name']}`, {one['in']}", one["schema"], required=one["required"])
            for one in found.get("parameters", ())
            if one["in"] != "path"
        ]
        lines = []
        body = found.get("requestBody")
        if body:
            schema = body["content"]["application/json"]["schema"]
            names = [one["$ref"] for one in schema.get("anyOf", [schema]) if "$ref" in one]
            for shape in (self.components[name.rpartition("/")[2]] for name in names):
                lines += [f"Body{'' if body.get('required') else ', may be left out'}: {shape['description']}", ""]
                rows += self._fields(shape)
        head = ["| field | required | type and limits |", "| --- | --- | --- |"]
        return [*lines, *head, *rows, ""] if rows else lines

    def _fields(self, shape: Schema) -> list[str]:
        required = shape.get("required", ())
        return [self._row(f"`{name}`", one, required=name in required) for name, one in shape["properties"].items()]

    def _row(self, name: str, schema: Schema, *, required: bool) -> str:
        default = schema.get("default")
        default = "" if default in (None, "") else f"; default `{str(default).lower()}`"
        return f"| {name} | {'yes' if required else 'no'} | {self.kind(schema)}{default} |"

    def _codes(self, answer: Schema) -> list[str]:
        schema = answer["content"]["application/problem+json"]["schema"]
        names = [one["$ref"].rpartition("/")[2] for one in schema.get("oneOf", [schema])]
        return [self.components[name]["properties"]["code"]["const"] for name in names]

    def kind(self, schema: Schema) -> str:
        """A type with its limits, in words; shapes are linked."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            shape = self.components[name]
            if "properties" not in shape:
                return self.kind(shape)
            if name not in self._named:
                self._named.append(name)
            return f"[{name}](#{name.lower()})"
        for several in ("anyOf", "oneOf"):
            if several in schema:
                return " or ".join(self.kind(one) for one in schema[several])
        if "const" in schema or "enum" in schema:
            values = schema["enum"] if "enum" in schema else [schema["const"]]
            return ", ".join("null" if one is None else f"`{one}`" for one in values)
        kinds = schema.get("type", "any JSON")
        if isinstance(kinds, list):
            return " or ".join(self.kind({**schema, "type": one}) for one in kinds)
        return self._plain(kinds, schema)

    def _plain(self, kind: str, schema: Schema) -> str:
        if kind == "array":
            least = f", at least {schema['minItems']}" if "minItems" in schema else ""
            most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"list of {self.kind(schema.get('items', {}))}{least}{most}"
        if kind == "object":
            if schema.get("properties"):
                return "object of " + ", ".join(f"`{name}`" for name in schema["properties"])
            values = schema.get("additionalProperties")
            return f"object, its values {self.kind(values)}" if values and values is not True else "object"
        word = _FORMATS.get(schema.get("format", ""), {"string": "text"}.get(kind, kind))
        return ", ".join([word, *_limits(schema)]) if kind != "null" else "null"

    def shapes(self) -> list[str]:
        """Every shape that answers and bodies have named, and those that these name."""
        lines = ["## Shapes", ""]
        for name in self._named:  # grows while it is gone through
            shape = self.components[name]
            rows = []
            for field, schema in shape["properties"].items():
                absent = "" if field in shape.get("required", ()) or "default" in schema else "; may be absent"
                rows.append(f"| `{field}` | {self.kind(schema)}{absent} |")
            described = " ".join(shape.get("description", "").split())
            lines += [f"### {name}", "", described, "", "| field | type |", "| --- | --- |", *rows, ""]
        return lines


def _limits(schema: Schema) -> list[str]:
    said = []
    for least, most, unit in (("minLength", "maxLength", " characters"), ("minimum", "maximum", "")):
        low, high = schema.get(least), schema.get(most)
        if low is not None and high is not None:
            said.append(f"{low:,.0f} to {high:,.0f}{unit}")
        elif high is not None:
            said.append(f"at most {high:,.0f}{unit}")
        elif low is not None:
            said.append(f"at least {low:g}{unit}")
    if "pattern" in schema:
        pattern = schema["pattern"]
        said.append(_PATTERNS.get(pattern, f"`{pattern}`".replace("|", "\\|")))
    return [one for one in said if one]


def _moves(path: str) -> str:
    """What an action without words of its own does: its name says it, and the table from where to where."""
    action = path.rpartition("/")[2]
    ways = [f"{before} to {after}" for (before, after), by in contract.LEGAL.items() if by == action]
    return f"Moves an incident from {', or from '.join(ways)}."


def _anchor(operation: str) -> str:
    """As the sites that show Markdown make it of ``METHOD /api/path``."""
    method, _, path = operation.partition(" ")
    kept = "".join(char for char in path if char.isalnum() or char in "-_")
    return f"{method.lower()}-api{kept}"


def _problems(page: _Page) -> list[str]:
    shapes = {one["properties"]["code"]["const"]: one for name, one in page.components.items() if name[:7] == "Problem"}
    rows = []
    for code, problem in PROBLEMS.items():
        members = shapes.get(code, {"properties": {}})["properties"]
        more = "; ".join(f"`{name}`: {page.kind(one)}" for name, one in members.items() if name not in _USUAL)
        rows.append(f"| `{code}` | {problem.status} | {problem.title} | {more} |")
    return ["## Problems", "", "| code | status | it means | more members |", "| --- | --- | --- | --- |", *rows, ""]


def _rules() -> list[str]:
    moves = [f"| {before} | {after} | `{action}` |" for (before, after), action in contract.LEGAL.items()]
    promises = [
        f"| {severity} | {contract.LEAST_LEVEL[severity]} | {acknowledge // _MINUTE} min | {resolve // _MINUTE} min |"
        for severity, (acknowledge, resolve) in contract.SLA.items()
    ]
    bands = ", ".join(f"{band} up to {limit.total_seconds():g} s" for band, limit in contract.DRIFT_LIMITS.items())
    refused = ", ".join(f"{before} to {after}" for before, after in contract.ATTENDANCE_ILLEGAL)
    return [
        "## Rules",
        "",
        "An incident moves only so; everything else is `409 invalid_transition`:",
        "",
        "| from | to | by |",
        "| --- | --- | --- |",
        *moves,
        "",
        "| severity | least level of an escalation | acknowledge within | resolve within |",
        "| --- | --- | --- | --- |",
        *promises,
        "",
        f"A client's clock is {bands}, and critical beyond: blocked and critical are `422 clock_drift_blocked`.",
        "",
        f"An attendance record may change to any state but these: {refused}.",
        "",
    ]
