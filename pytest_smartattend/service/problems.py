"""What the validation endpoints refuse, beyond what the platform does; the same shape (RFC 9457)."""

from __future__ import annotations

import json

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pytest_smartattend.reference.api import problems
from pytest_smartattend.reference.api.problems import MEDIA_TYPE, Problem
from pytest_smartattend.service.endpoints import methods_of


async def answer_http(request: Request, why: Exception) -> Response:
    """Starlette's own refusals, for the service's paths with the methods that they offer."""
    allowed = ", ".join(methods_of(request.url.path.removeprefix("/api")))
    if isinstance(why, HTTPException) and why.status_code == 405 and allowed:
        detail = f"{request.method} is not offered here; use one of: {allowed}"
        return Problem("method_not_allowed", detail, headers={"Allow": allowed}).response()
    return await problems.answer_http(request, why)


#: code → status, title
KINDS: dict[str, tuple[int, str]] = {
    "job_running": (409, "A job of this tenant runs"),
    "no_tenant": (409, "A simulation needs a tenant"),
    "too_many_jobs": (429, "Too many jobs run"),
    "results_damaged": (500, "The stored results cannot be trusted"),
}


class ServiceProblem(Problem):
    """A request to the validation endpoints is refused. `code` is one of `KINDS`; see `Problem`."""

    @property
    def body(self) -> dict[str, object]:
        """The answer's JSON."""
        status, title = KINDS[self.code]
        return {
            "type": f"urn:smartattend:problem:{self.code}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": self.code,
            **self.extensions,
        }

    def response(self) -> Response:
        """The answer."""
        return Response(json.dumps(self.body), KINDS[self.code][0], self.headers, MEDIA_TYPE)
