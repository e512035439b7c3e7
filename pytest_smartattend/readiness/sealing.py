"""The seal of a document: who changes a byte of it is found, and with a key also who computes the digest anew."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import rfc8785

#: environment variable with the signing key, at least this many bytes
KEY_VARIABLE = "SMARTATTEND_SEAL_KEY"
LEAST_KEY = 16
#: a fault of whoever asks, not of the document
NO_KEY = f"a signature is required, and {KEY_VARIABLE} is not set to check it"


def seal(document: Mapping[str, Any], key: bytes) -> dict[str, Any]:
    """The seal over the canonical form (RFC 8785) of the document without its key ``seal``.

    Args:
        document: plain JSON values; whole numbers within ±(2**53 - 1).
        key: the signing key; empty for integrity only.
    """
    content = _canonical(document)
    found: dict[str, Any] = {
        "canonical": "RFC 8785",
        "says": "signed" if key else "integrity only",
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    if key:
        found["hmac_sha256"] = hmac.new(key, content, hashlib.sha256).hexdigest()
    return found


def faults(document: Mapping[str, Any], key: bytes, *, must_be_signed: bool) -> list[str]:
    """What is wrong with the document's seal, in words; empty for a sound one.

    Where a key is at hand, an unsigned document is wrong: taking the signature off must not help anybody.
    """
    claimed = document["seal"]
    try:
        content = _canonical(document)
    except rfc8785.CanonicalizationError as problem:
        return [f"it has no canonical form, so no run wrote it ({problem})"]
    found = []
    if not hmac.compare_digest(claimed["sha256"], hashlib.sha256(content).hexdigest()):
        found.append("its content was changed after it was sealed")
    signature = claimed.get("hmac_sha256")
    if key and signature is None:
        found.append(f"{KEY_VARIABLE} is set and the document carries no signature")
    elif key and not hmac.compare_digest(signature, hmac.new(key, content, hashlib.sha256).hexdigest()):
        found.append("its signature was made with another key, or for another content")
    elif must_be_signed and not key:
        found.append(NO_KEY)
    return found


def _canonical(document: Mapping[str, Any]) -> bytes:
    return rfc8785.dumps({name: value for name, value in document.items() if name != "seal"})
