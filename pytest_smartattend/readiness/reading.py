"""Reading a ``readiness.json`` that somebody hands over: strictly, and with every fault named."""

from __future__ import annotations

import itertools
import json
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from pytest_smartattend.errors import EvidenceError

SCHEMA = Path(__file__).parent / "schema" / "readiness-1.json"
#: bytes; no run writes as much, and a gate must not be drowned
SIZE_LIMIT = 64 * 2**20


@cache
def _validator() -> Any:  # noqa: ANN401
    from jsonschema_rs import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))


def schema_faults(document: object) -> list[str]:
    """Where the document is not to the schema: the first few faults, each with its place."""
    found = itertools.islice(_validator().iter_errors(document), 5)
    return [f"/{'/'.join(map(str, error.instance_path))}: {error.message[:200]}" for error in found]


def read(path: Path) -> dict[str, Any]:
    """The document in `path`, to the schema.

    Raises:
        EvidenceError: it cannot be read, is no JSON object, names a key twice, or is not to the schema.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise EvidenceError(f"{path} is larger than {SIZE_LIMIT} bytes. Name a readiness.json.")
        document = json.loads(path.read_bytes(), object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except OSError as problem:
        raise EvidenceError(f"{path} cannot be read ({problem.strerror}). Name a readiness.json.") from None
    except (ValueError, RecursionError) as problem:
        raise EvidenceError(f"{path} is not JSON ({problem}). Write it anew by a run.") from None
    faults = schema_faults(document)
    if faults:
        raise EvidenceError(f"{path} is not to the schema: {'; '.join(faults)}. Write it anew by a run.")
    assert isinstance(document, dict)
    return document


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number of JSON")
