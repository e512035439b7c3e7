"""Secrets are taken out of everything that outlives a run: journals, documents, pages, and reports of other plugins.

Passwords in URLs and connection strings, bearer and signed tokens, what stands under the name of a secret, and the
values of this process's own secret environment variables, wherever they turn up.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

SHOWN = "[redacted]"

#: one of these, in lower case, is in every text that any pattern could match: most texts have none
_HINTS = (
    "://", "password", "passwd", "pwd", "secret", "token", "bearer", "basic ", "authorization", "cookie",
    "api_key", "api-key", "apikey", "private_key", "eyj",
)  # fmt: skip
_NAMES = r"(?:[a-z0-9]+[_-])*(?:password|passwd|pwd|secret|token|api[_-]?key|private[_-]key|(?:proxy-)?authorization|(?:set-)?cookie)"
_PATTERNS = tuple(
    (re.compile(pattern, re.IGNORECASE), put)
    for pattern, put in (
        # {"password": "…"} within a text, where the quotation marks may have backslashes before them
        (rf'((\\*["\']){_NAMES}\2\s*:\s*(\\*["\']))(?:(?!(?<!\\)\3).)+', rf"\1{SHOWN}"),
        (r"\b([a-z][a-z0-9+.-]*://[^\s/@:?#\"'\\]*):[^\s/@\"'\\]+@", rf"\1:{SHOWN}@"),
        (r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?", SHOWN),
        (r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", rf"\1 {SHOWN}"),
        (rf"\b({_NAMES}\s*=\s*)[^\s\"'\\&,;)}}\]]+", rf"\1{SHOWN}"),
        (r"\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)(?!\\*[\"'])[^\r\n\"'\\]+", rf"\1\2{SHOWN}"),
    )
)
_NAMED = re.compile(_NAMES, re.IGNORECASE)
_VARIABLE = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|SEAL_KEY|API_?KEY|PRIVATE_KEY", re.IGNORECASE)
#: shorter values could be a part of anything
_LEAST = 12


@cache
def _own_secrets() -> tuple[str, ...]:
    found = {value for name, value in os.environ.items() if _VARIABLE.search(name) and len(value) >= _LEAST}
    return tuple(sorted((one for one in found if "/" not in one[:1]), key=len, reverse=True))  # a path is no secret


def has_a_hint(text: str) -> bool:
    """Whether a secret could be in `text`. Cheap: storms ask it ten thousand times."""
    lower = text.lower()
    return any(hint in lower for hint in _HINTS) or any(secret in text for secret in _own_secrets())


def redacted_values(value: Any) -> Any:  # noqa: ANN401
    """JSON values with every text redacted; a text under the name of a secret goes as a whole."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list | tuple):
        return [redacted_values(one) for one in value]
    if isinstance(value, Mapping):
        return {
            redacted(key): SHOWN if isinstance(one, str) and one and _NAMED.fullmatch(key) else redacted_values(one)
            for key, one in value.items()
        }
    return value


def redacted(text: str) -> str:
    """`text` without secrets."""
    for secret in _own_secrets():
        if secret in text:
            text = text.replace(secret, SHOWN)
    if has_a_hint(text):
        for pattern, put in _PATTERNS:
            text = pattern.sub(put, text)
    return text


def redact_within(value: Any) -> Any:  # noqa: ANN401
    """`value` with every text in it redacted: lists and plain objects in place, as pytest's reports are made of."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, list):
        value[:] = [redact_within(one) for one in value]
    elif isinstance(value, tuple):
        return tuple(redact_within(one) for one in value)
    elif hasattr(value, "__dict__") and not isinstance(value, type) and not callable(value):
        for name, member in list(vars(value).items()):
            vars(value)[name] = redact_within(member)
    return value
