"""Somebody's platform that runs elsewhere: what needs its processes, its paths or its database is not offered."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import httpx

from pytest_smartattend.errors import TargetFailed, UnsafeTarget, UsageError
from pytest_smartattend.postgres.given import allowing
from pytest_smartattend.target.adapted import AdaptedPlatform
from pytest_smartattend.target.adapter import Adapter, fill
from pytest_smartattend.target.operations import operation_of
from pytest_smartattend.target.translator import Message, Translator

#: seconds for the first answer
PATIENCE = 10.0


class UrlPlatform(AdaptedPlatform):
    """A platform behind a URL.

    Args:
        url: its root.
        adapter: how it is spoken to; must name `url` as disposable.
        allow_host: hosts other than loopback that may be written to.
        translator: see `AdaptedPlatform`.

    Raises:
        UnsafeTarget: nobody said that it may be written to.
        TargetFailed: it does not answer as a platform does; names the answer and what to do.
    """

    def __init__(
        self, url: str, adapter: Adapter, allow_host: Sequence[str] = (), translator: Translator | None = None
    ) -> None:
        super().__init__(adapter, translator)
        self.url = url.rstrip("/")
        check(self.url, adapter, allow_host)
        self._look(translator or Translator(adapter))
        if adapter.url.database:
            self._dsn = fill(adapter.url.database, {})
        try:
            self._speak(self.url)
        except BaseException:
            self.stop()
            raise

    def _look(self, translator: Translator) -> None:
        """One question, as any browser could ask it."""
        asked = Message("GET", "/health", operation=operation_of("GET", "/health"))
        theirs = translator.request(asked)
        where = f"Looking at the platform, GET {self.url}{theirs.path}"
        try:
            answer = httpx.get(self.url + theirs.path, timeout=PATIENCE, trust_env=False)
        except httpx.TimeoutException:
            raise TargetFailed(
                f"{where}: no answer within {PATIENCE:g} s. Is it up, and is this machine let through to it?"
            ) from None
        except httpx.HTTPError as why:
            raise TargetFailed(f"{where}: {type(why).__name__}: {why}. Is it up, and is the URL right?") from None
        if answer.is_redirect:
            raise TargetFailed(
                f"{where}: it redirects to {answer.headers.get('location')!r} ({answer.status_code}). Give the URL at which it "
                "answers itself; a login page before it must let tokens through."
            )
        kind = answer.headers.get("content-type", "nothing")
        if "json" not in kind:
            raise TargetFailed(
                f"{where}: answered {answer.status_code} with {kind}, not JSON: {answer.text[:200]!r}. "
                "Is this the API's root, not the web page's? Name its health path in [api.paths]."
            )
        if not answer.is_success:
            raise TargetFailed(
                f"{where}: answered {answer.status_code}: {answer.text[:300]!r}. Let it become healthy, or name its "
                "health path in [api.paths]."
            )

    def describe(self) -> Mapping[str, object]:
        """What stands in the report about it."""
        return {**super().describe(), "url": self.url}


def check(url: str, adapter: Adapter, allow_host: Sequence[str]) -> None:
    """Refuse a URL that nobody marked as disposable, or whose host was not allowed. Connects to nothing.

    Raises:
        UnsafeTarget: see above.
        UsageError: it is no URL of a web server.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in {"http", "https"} else ""
    except ValueError:  # such as http://[
        host = ""
    if not host:
        raise UsageError(f"{url!r} is no web address. Give the platform's, such as http://127.0.0.1:8000.")
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = host == "localhost"
    if not loopback and host not in allow_host:
        raise UnsafeTarget(
            f"{url} is not on this machine, and the suites write to it. If it may be written to: {allowing(host)}."
        )
    if url not in {one.rstrip("/") for one in adapter.url.disposable}:
        raise UnsafeTarget(
            f"{url} is not marked as disposable, and the suites fill it with incidents. If nothing behind it is worth "
            f'keeping, write into the adapter: [url] disposable = ["{url}"].'
        )
