"""Turns a request of the contract into one of somebody's API, and their answer back into the contract's. Pure.

A mapping file is enough where only words differ. Where there is logic, subclass `Translator`, override `request` or
`answer`, and return an instance from the hook ``pytest_smartattend_target``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from pytest_smartattend.target.adapter import Adapter
from pytest_smartattend.target.operations import OPERATIONS, literal_length, operation_of, pattern

#: contents that belong to whoever wrote them: a hash is computed over them
OPAQUE = frozenset({"payload"})


@dataclass(frozen=True)
class Message:
    """A request or an answer, without its transport.

    Attributes:
        method: of the request.
        path: of the request, with its query: ours below ``/api``, theirs from the root.
        headers: names in lower case.
        body: the bytes.
        status: of the answer; 0 for a request.
        operation: what the contract calls it; None for a path that the contract does not have.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    status: int = 0
    operation: str | None = None

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The decoded body; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    def with_json(self, value: object, *, kind: str = "application/json") -> Message:
        """The same with another body."""
        body = json.dumps(value).encode()
        return replace(self, body=body, headers={**self.headers, "content-type": kind})


class Translator:
    """What an adapter's ``[api]`` says, carried out.

    Args:
        adapter: see there.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        api = adapter.api
        self._theirs = dict(api.names)
        self._ours = {theirs: ours for ours, theirs in api.names.items()}
        self._values_back = {
            name: {theirs: ours for ours, theirs in values.items()} for name, values in api.values.items()
        }

    def request(self, message: Message) -> Message:
        """Theirs for ours."""
        method, path = self._place(message.method, message.path.partition("?")[0])
        query = [
            (self._theirs.get(name, name), self.adapter.api.values.get(name, {}).get(value, value))
            for name, value in parse_qsl(message.path.partition("?")[2], keep_blank_values=True)
        ]
        sent = replace(
            message,
            method=method,
            path=path + (f"?{urlencode(query)}" if query else ""),
            headers=self._headers(message.headers),
        )
        content = message.json
        renamed = self._renamed(content, self._theirs, self.adapter.api.values, {})
        return sent if content is None or renamed == content else sent.with_json(renamed)

    def answer(self, message: Message, request: Message) -> Message:
        """Ours for theirs; `request` is ours."""
        api = self.adapter.api
        back = {theirs.lower(): ours for ours, theirs in api.headers.items()}
        message = replace(message, headers={back.get(name, name): value for name, value in message.headers.items()})
        status = api.statuses.get(request.operation or "", {}).get(str(message.status), message.status)
        message = replace(message, status=status)
        content = message.json
        if content is None:
            return message
        if message.status >= 400 and isinstance(content, dict):
            return self._refusal(message, content)
        return message.with_json(self._renamed(content, self._ours, {}, self._values_back))

    def _refusal(self, message: Message, content: dict[str, Any]) -> Message:
        errors = self.adapter.api.errors
        said = content.get(errors.inside) if errors.inside else content
        if not isinstance(said, dict) or errors.code not in said:
            return message
        rest = {key: value for key, value in said.items() if key not in {errors.code, errors.detail}}
        known = self.adapter.api.codes.get(str(said[errors.code]), f"{message.status} {said[errors.code]}")
        status, _, code = known.partition(" ")
        problem = {
            "type": f"urn:smartattend:problem:{code}",
            "status": int(status),
            "detail": said.get(errors.detail, ""),
            **self._renamed(rest, self._ours, {}, self._values_back),
            "code": code,
        }
        return replace(message, status=int(status)).with_json(problem, kind="application/problem+json")

    def _place(self, method: str, path: str) -> tuple[str, str]:
        api = self.adapter.api
        operation = operation_of(method, path)
        if operation is not None:
            there, theirs = api.paths.get(operation, f"{method} {api.prefix}{path}").split(" ", 1)
            if operation in api.paths:
                found = pattern(operation).fullmatch(path)
                assert found is not None
                for value in found.groups():
                    theirs = _with_next(theirs, value)
            return there, theirs
        # not of the contract: below whatever is nearest to it, so that their server refuses it, not we
        for near in sorted((one for one in OPERATIONS if one in api.paths), key=literal_length, reverse=True):
            found = pattern(near).match(path)
            if found and path[found.end() :].startswith("/"):
                theirs = api.paths[near].split(" ", 1)[1]
                for value in found.groups():
                    theirs = _with_next(theirs, value)
                return method, theirs + path[found.end() :]
        return method, api.prefix + path

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        api = self.adapter.api
        sent = {}
        for name, value in headers.items():
            if name == "authorization" and value.startswith("Bearer "):
                value = api.authorization.replace("{token}", value.removeprefix("Bearer "))  # noqa: PLW2901
            sent[api.headers.get(name, name).lower()] = value
        return sent

    def _renamed(
        self,
        value: Any,  # noqa: ANN401
        names: Mapping[str, str],
        values: Mapping[str, Mapping[str, str]],
        values_after: Mapping[str, Mapping[str, str]],
    ) -> Any:  # noqa: ANN401
        """`value` with its keys renamed; `values` are by the name before, `values_after` by the name after."""
        if isinstance(value, list):
            return [self._renamed(one, names, values, values_after) for one in value]
        if not isinstance(value, dict):
            return value
        renamed = {}
        for key, inner in value.items():
            after = names.get(key, key)
            if key in OPAQUE or after in OPAQUE:
                renamed[after] = inner
                continue
            table = values.get(key) or values_after.get(after) or {}
            words = (
                [table.get(one, one) if isinstance(one, str) else one for one in inner]
                if isinstance(inner, list)
                else inner
            )
            said = table.get(words, words) if isinstance(words, str) else words
            renamed[after] = self._renamed(said, names, values, values_after)
        return self._with_codes(renamed) if values_after is self._values_back else renamed

    def _with_codes(self, value: dict[str, Any]) -> dict[str, Any]:
        """Kept refusals tell their codes too."""
        known = self.adapter.api.codes.get(str(value.get("code")))
        return {**value, "code": known.partition(" ")[2]} if known else value


def _with_next(template: str, value: str) -> str:
    before, _, rest = template.partition("{")
    return before + value + rest.partition("}")[2]
