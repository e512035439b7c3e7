"""What the validation endpoints refuse, beyond what the platform does; the same shape (RFC 9457)."""

from __future__ import annotations

import json

from starlette.responses import Response

from pytest_smartattend.reference.api.problems import MEDIA_TYPE, Problem

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
