"""Reading a JSON body strictly: bounded, UTF-8, standard JSON, and only strings that can be stored."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from starlette.requests import Request

from pytest_smartattend.reference.api.problems import Problem, invalid

#: 1 MiB; counted while the body streams in, so that a missing or false Content-Length does not matter
BODY_LIMIT = 1 << 20

_JSON = re.compile(r"""application/json\s*(;\s*charset\s*=\s*"?utf-8"?\s*)?""", re.IGNORECASE)


class JsonRequest(Request):
    """A request whose body was read and judged already; FastAPI takes it from here."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:  # noqa: ANN401 - JSON is anything
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._value = value

    async def body(self) -> bytes:
        """The bytes."""
        return self._raw

    async def json(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The value."""
        return self._value


async def read_json(request: Request) -> JsonRequest:
    """Read and judge the body. An empty one is none.

    Raises:
        Problem: body_too_large, unsupported_media_type, malformed_json, or validation_error for a string with NUL or
            a lone surrogate, which no database and no hash could hold.
    """
    raw = await _read(request)
    if not raw:
        return JsonRequest(request, raw, None)
    declared = request.headers.get("content-type", "")
    if not _JSON.fullmatch(declared.strip()):
        raise Problem("unsupported_media_type", "declare the body with Content-Type: application/json")
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise Problem("malformed_json", "send one JSON value in UTF-8, without NaN or Infinity") from None
    field = _unstorable(value)
    if field is not None:
        raise invalid([{"field": field or "body", "message": "contains NUL or half a surrogate pair; leave it out"}])
    return JsonRequest(request, raw, value)


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > BODY_LIMIT):
        raise _too_large()
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_LIMIT:
            raise _too_large()
    return bytes(raw)


def _too_large() -> Problem:
    return Problem("body_too_large", f"send at most {BODY_LIMIT} bytes")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _unstorable(value: Any) -> str | None:  # noqa: ANN401 - JSON is anything
    """The path of the first string that cannot be stored; None if all can."""
    # A list of what is left, and no recursion: the parser bounds the depth by what it can bear, not by what we can.
    left: list[tuple[str, Any]] = [("", value)]
    while left:
        path, value = left.pop()
        if isinstance(value, str) and ("\0" in value or any("\ud800" <= char <= "\udfff" for char in value)):
            return path
        if isinstance(value, list):
            left += [(f"{path}.{index}".lstrip("."), item) for index, item in enumerate(value)]
        elif isinstance(value, dict):
            for key, item in value.items():
                if _unstorable(key) is not None:
                    return path
                left.append((f"{path}.{key}".lstrip("."), item))
    return None
