"""What the value of an option may look like: from the text that somebody gave to what the run works with.

Each raises ValueError with what it takes instead; `options` adds where the text stood.
"""

from __future__ import annotations

import re
from pathlib import Path

TARGETS = ("reference", "command", "url")
POSTGRES = ("auto", "embedded", "embedded-musl", "system", "container")


def text(value: str) -> str:
    """Words as they are, without the space around them."""
    return value.strip()


def names(value: str) -> tuple[str, ...]:
    """Words between commas or spaces."""
    return tuple(part for part in re.split(r"[,\s]+", value) if part)


def seconds(value: str) -> float:
    """A length of time in seconds; without a unit they are seconds, and 0 or nothing is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", value.strip().lower())
    if value.strip() in {"", "0"}:
        return 0.0
    if not found or not float(found[1]):
        raise ValueError("such as 90s, 5m or 1h")
    return float(found[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[found[2] or "s"]


def ids(value: str) -> tuple[str, ...]:
    """Words between commas, which may hold spaces."""
    return tuple(part.strip() for part in value.split(",") if part.strip())


def folder(value: str) -> Path:
    """An absolute path."""
    if not value.strip():
        raise ValueError("a folder")
    return Path(value).expanduser().absolute()


def count(value: str) -> int:
    """A whole number from 0."""
    number = int(value)
    if number < 0:
        raise ValueError("a whole number from 0")
    return number


def workers(value: str) -> int:
    """How many processes."""
    number = int(value)
    if not 1 <= number <= 64:
        raise ValueError("a whole number from 1 to 64")
    return number


def seed(value: str) -> int:
    """A seed of the dice, also as 0x…."""
    number = int(value, 0)
    if not 0 <= number < 2**64:
        raise ValueError("a whole number from 0 to 2**64 - 1")
    return number


def flag(value: str) -> bool:
    """Yes or no, in the usual words."""
    word = value.strip().lower()
    if word not in {"1", "true", "yes", "on", "0", "false", "no", "off", ""}:
        raise ValueError("yes or no")
    return word in {"1", "true", "yes", "on"}


def postgres(value: str) -> str:
    """Where PostgreSQL comes from: a provider's name, or a URL as it is."""
    word = value.strip()
    if word not in {"", *POSTGRES} and not re.match(r"postgres(ql)?://", word, re.IGNORECASE):
        raise ValueError("neither a provider nor a URL of PostgreSQL")
    return word or POSTGRES[0]


def version(value: str) -> str:
    """Which versions of PostgreSQL will do, without spaces."""
    if value and not re.fullmatch(r"\s*(>=|==|)\s*\d{2}(\.\d{1,2})?\s*", value):
        raise ValueError('a PostgreSQL version such as "18", "==17" or ">=16"')
    return value.replace(" ", "")


def clock(value: str) -> str:
    """The mode of the platform's clock."""
    word = value.strip().lower()
    if word not in {"discrete", "real"} and not re.fullmatch(r"(?!0+(\.0+)?x)\d{1,9}(\.\d{1,9})?x", word):
        raise ValueError("'discrete', 'real', or how many times as fast as the wall's clock, such as '60x'")
    return word


def shard(value: str) -> tuple[int, int] | None:
    """Which part of how many; None where nothing is said."""
    found = re.fullmatch(r"(\d{1,4})/(\d{1,4})", value.strip())
    if value.strip() and (not found or not 1 <= int(found[1]) <= int(found[2])):
        raise ValueError("k/n with k from 1 to n, such as 2/3")
    return (int(found[1]), int(found[2])) if found else None


def target(value: str) -> str:
    """Which kind of target."""
    if value not in {"", *TARGETS}:
        raise ValueError("'reference', the platform that ships with this package; 'command' or 'url' for yours")
    return value


def url(value: str) -> str:
    """A base URL without its last slash."""
    text = value.strip().rstrip("/")
    if text and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise ValueError("a base URL such as https://staging.example.test, without query and without user")
    return text
