"""Every no that goes over the wire: ``application/problem+json`` (RFC 9457) with a stable ``code``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pytest_smartattend.reference.api.endpoints import methods_of
from pytest_smartattend.reference.domain.problems import PROBLEMS
from pytest_smartattend.reference.domain.refusals import Refusal
from pytest_smartattend.reference.store.sessions import StoreUnreachable

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request is refused.

    Args:
        code: one of `PROBLEMS`; status and title follow from it.
        detail: for a person; ends in what would be accepted.
        headers: beside the usual ones.
        extensions: members of the answer beside the usual ones; JSON values.
    """

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: object
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extensions = extensions

    @property
    def body(self) -> dict[str, object]:
        """The answer's JSON."""
        kind = PROBLEMS[self.code]
        return {
            "type": f"urn:smartattend:problem:{self.code}",
            "title": kind.title,
            "status": kind.status,
            "detail": self.detail,
            "code": self.code,
            **self.extensions,
        }

    def response(self) -> Response:
        """The answer."""
        return Response(json.dumps(self.body), PROBLEMS[self.code].status, self.headers, MEDIA_TYPE)


def unauthenticated(detail: str) -> Problem:
    """The token is missing or does not hold; says which, and never what is in it."""
    return Problem("unauthenticated", f"{detail}; log in at /api/auth/login", headers={"WWW-Authenticate": "Bearer"})


def invalid(errors: Sequence[Mapping[str, str]]) -> Problem:
    """The request is not of the documented shape; `errors` are of ``field`` and ``message``."""
    named = ", ".join(dict.fromkeys(error["field"] for error in errors))
    return Problem("validation_error", f"correct: {named}; see /api/openapi.json", errors=list(errors))


# The handlers are coroutines: plain functions would be run on a thread each, by the framework.


async def answer_problem(_: Request, problem: Exception) -> Response:
    """FastAPI's handler of `Problem`."""
    assert isinstance(problem, Problem)
    return problem.response()


async def answer_refusal(_: Request, refusal: Exception) -> Response:
    """FastAPI's handler of `Refusal`."""
    assert isinstance(refusal, Refusal)
    problem = Problem(refusal.code, refusal.detail)
    problem.extensions.update(refusal.extensions)
    return problem.response()


async def answer_unreachable(_: Request, why: Exception) -> Response:
    """FastAPI's handler of `StoreUnreachable`."""
    assert isinstance(why, StoreUnreachable)
    return Problem("unavailable", str(why), headers={"Retry-After": "1"}, part=why.part).response()


async def answer_invalid(_: Request, why: Exception) -> Response:
    """FastAPI's handler of a request that pydantic refused. What was sent is not sent back."""
    assert isinstance(why, RequestValidationError)
    return invalid([{"field": _field(error["loc"]), "message": error["msg"]} for error in why.errors()]).response()


async def answer_http(request: Request, why: Exception) -> Response:
    """Starlette's own refusals: no such path, no such method."""
    assert isinstance(why, HTTPException)
    if why.status_code == 405:
        allowed = ", ".join(methods_of(request.url.path.removeprefix("/api"))) or "GET"
        detail = f"{request.method} is not offered here; use one of: {allowed}"
        return Problem("method_not_allowed", detail, headers={"Allow": allowed}).response()
    if why.status_code == 404:
        return Problem("not_found", "there is no such path; see /api/openapi.json").response()
    raise why


def _field(location: Sequence[int | str]) -> str:
    """``body.title`` is ``title``; a body that is wrong as a whole is ``body``."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])
