"""A backend that is seeded by requests and gives opaque tokens to who logs in: real sockets, everything in memory."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "the key of those who seed"

ADAPTER = """
name = "small"

[url]
disposable = ["@url@"]

[api]
prefix = ""
authorization = "Token {token}"
headers = { authorization = "x-session" }
not_offered = [
    "GET /openapi.json", "POST /time/*", "GET /incidents", "GET /incidents/{id}/*", "PATCH *", "POST /incidents/{id}/*", "* /school/*", "* /corporate/*",
    "* /attendance/*", "* /corrections/*", "* /metrics/*", "* /validation/*",
]

[api.paths]
"POST /auth/login" = "POST /sessions"
"GET /auth/me" = "GET /sessions/mine"

[api.names]
access_token = "session"
expires_at = "validUntil"

[tokens]
kind = "login"

[seed]
kind = "steps"
password = "of everybody"
headers = { x-seed-key = "{env:SEED_KEY}" }
tenant = { call = "POST /seed/orgs", body = { label = "{name}", about = { kind = "{kind}" } }, id = "data.ref" }
user = { call = "POST /seed/orgs/{tenant_id}/people", body = { mail = "{email}", word = "{password}", role = "{role}" }, id = "data.ref" }
superadmin = { call = "POST /seed/people", body = { mail = "{email}", word = "{password}", role = "superadmin" }, id = "data.ref" }
drift_limits = { call = "PUT /seed/orgs/{tenant_id}/limits", body = { ok = "{accepted_ms}", odd = "{flagged_ms}", no = "up to {blocked_ms}" } }
"""


class SmallBackend(ThreadingHTTPServer):
    """Answers from the moment it is made until `server_close`.

    Attributes:
        url: its root.
        orgs: reference → what was said of it.
        people: mail → a person, with their password.
        token_name: under which name a login tells the token.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.orgs: dict[str, Any] = {}
        self.people: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, dict[str, Any]] = {}
        self.incidents: dict[str, dict[str, Any]] = {}
        self.token_name = "session"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SmallBackend

    def _handle(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        said = json.loads(self.rfile.read(length) or b"{}")
        status, body = self._answer(self.path.partition("?")[0].strip("/").split("/"), said)
        self.send_response(status)
        content = json.dumps(body).encode()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = _handle  # noqa: N815 - as the base class calls them

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    def _answer(self, path: list[str], said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match (self.command, *path):
            case ("GET", "health"):
                return 200, {"status": "ok", "parts": {}}
            case ("GET", "time", "sync"):
                return 200, {"now": datetime.now(UTC).isoformat()}
            case (_, "seed", *where):
                if self.headers.get("x-seed-key") != KEY:
                    return 403, {"code": "forbidden", "detail": "who seeds has the key"}
                return 201, {"data": {"ref": self._seeded(where, said)}}
            case ("POST", "sessions"):
                return self._login(said)
        person = self.server.sessions.get((self.headers.get("x-session") or "").removeprefix("Token "))
        if person is None:
            return 401, {"code": "unauthenticated", "detail": "log in"}
        return self._of(person, path, said)

    def _seeded(self, where: list[str], said: dict[str, Any]) -> str:
        reference = uuid.uuid4().hex
        if where == ["orgs"]:
            self.server.orgs[reference] = said
        elif where[2:] == ["limits"]:
            self.server.orgs[where[1]]["limits"] = said
        else:
            org = where[1] if where[0] == "orgs" else None
            assert org is None or org in self.server.orgs
            self.server.people[said["mail"]] = {"id": reference, "tenant_id": org, **said}
        return reference

    def _login(self, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        person = self.server.people.get(said["email"])
        if person is None or person["word"] != said["password"]:
            return 401, {"code": "invalid_credentials", "detail": "who?"}
        token = secrets.token_urlsafe(24)
        self.server.sessions[token] = person
        until = datetime.now(UTC) + timedelta(minutes=15)
        return 200, {self.server.token_name: token, "validUntil": until.isoformat()}

    def _of(self, person: dict[str, Any], path: list[str], said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        match (self.command, *path):
            case ("GET", "sessions", "mine"):
                return 200, {name: person[name] for name in ("id", "role", "tenant_id")}
            case ("POST", "incidents"):
                incident = {"id": str(uuid.uuid4()), "status": "open", "tenant_id": person["tenant_id"], **said}
                self.server.incidents[incident["id"]] = incident
                return 201, incident
            case ("GET", "incidents", reference):
                incident = self.server.incidents.get(reference, {})
                if incident.get("tenant_id") == person["tenant_id"]:
                    return 200, incident
        return 404, {"code": "not_found", "detail": "nothing is here"}
