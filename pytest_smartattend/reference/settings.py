"""What the operator decides, read from the environment once, at the start."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

#: HS256 signs with a hash of 32 bytes; a shorter secret is easier to guess than the signature
LEAST_SECRET_BYTES = 32


class SettingsError(ValueError):
    """A setting is missing or not what is accepted. Names the variable and what is accepted, never a secret."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that differs between two installations of the platform.

    Attributes:
        database_url: libpq URL of tenants and users; connect as ``smartattend_app``.
        incidents_database_url: libpq URL of the incident store; often the same.
        token_secret: signs bearer tokens and cursors; at least `LEAST_SECRET_BYTES` bytes.
        token_ttl: how long a bearer token holds.
        health_deadline: how long the databases may take to answer the health check.
        connect_timeout: how long a connection may take to come up.
        store_deadline: how long one transaction may take in all before its connection is cut.
        pool_size: connections per worker and database.
        sla_scan: how long a worker's SLA monitor goes at most without asking the database what falls due next, for
            what other workers were told. Under the twelve minutes after which the first window can be at risk.
        handoff_ttl: how long a handoff waits for its person to accept.
        export_key: signs exported incidents; at least `LEAST_SECRET_BYTES` bytes, or empty for no signature.
        pseudonyms: what makes the pseudonyms in exports; the token secret where it is empty.
    """

    database_url: str = field(repr=False)
    incidents_database_url: str = field(repr=False)
    token_secret: bytes = field(repr=False)
    token_ttl: timedelta = timedelta(minutes=15)
    health_deadline: timedelta = timedelta(seconds=2)
    connect_timeout: timedelta = timedelta(seconds=2)
    store_deadline: timedelta = timedelta(seconds=5)
    pool_size: int = 8
    sla_scan: timedelta = timedelta(minutes=1)
    spool: Path | None = None
    alert_webhook: str = ""
    drain_idle: timedelta = timedelta(seconds=5)
    handoff_ttl: timedelta = timedelta(minutes=30)
    export_key: bytes = field(default=b"", repr=False)
    pseudonyms: bytes = field(default=b"", repr=False)

    @property
    def pseudonym_key(self) -> bytes:
        """What pseudonyms are made with: a key of its own, good for nothing else."""
        return hmac.digest(self.pseudonyms or self.token_secret, b"smartattend pseudonyms", "sha256")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            SettingsError: naming the variable and what is accepted.
        """
        database_url = environment.get("DATABASE_URL", "")
        if not database_url:
            raise SettingsError("DATABASE_URL is not set; give a libpq URL: postgresql://smartattend_app@host/database")
        secret = environment.get("TOKEN_SECRET", "").encode()
        if len(secret) < LEAST_SECRET_BYTES:
            raise SettingsError(f"TOKEN_SECRET has {len(secret)} bytes; give at least {LEAST_SECRET_BYTES} random ones")
        return cls(
            export_key=_key(environment, "EXPORT_SIGNING_KEY"),
            pseudonyms=_key(environment, "PSEUDONYM_KEY"),
            database_url=database_url,
            incidents_database_url=environment.get("INCIDENTS_DATABASE_URL") or database_url,
            token_secret=secret,
            token_ttl=timedelta(seconds=number(environment, "TOKEN_TTL_SECONDS", 900)),
            health_deadline=timedelta(milliseconds=number(environment, "HEALTH_DEADLINE_MS", 2000)),
            connect_timeout=timedelta(seconds=number(environment, "DB_CONNECT_TIMEOUT", 2)),
            store_deadline=timedelta(milliseconds=number(environment, "DB_DEADLINE_MS", 5000)),
            pool_size=number(environment, "DB_POOL_SIZE", 8),
            sla_scan=timedelta(seconds=number(environment, "SLA_SCAN_SECONDS", 60, most=600)),
            spool=_folder(environment, "SPOOL_FOLDER"),
            alert_webhook=_web_address(environment, "ALERT_WEBHOOK_URL"),
            drain_idle=timedelta(milliseconds=number(environment, "DRAIN_IDLE_MS", 5000, least=0)),
            handoff_ttl=timedelta(seconds=number(environment, "HANDOFF_TTL_SECONDS", 1800)),
        )


def _key(environment: Mapping[str, str], name: str) -> bytes:
    """The key in the variable `name`; empty where it is not set."""
    key = environment.get(name, "").encode()
    if key and len(key) < LEAST_SECRET_BYTES:
        raise SettingsError(f"{name} has {len(key)} bytes; give at least {LEAST_SECRET_BYTES} random ones, or none")
    return key


def number(environment: Mapping[str, str], name: str, default: int, *, least: int = 1, most: int = 999_999_999) -> int:
    """The whole number in the variable `name`, from `least` to `most`; `default` where it is not set.

    Raises:
        SettingsError: it is something else.
    """
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not least <= int(text) <= most:
        raise SettingsError(f"{name} is {text!r}; give a whole number from {least} to {most}")
    return int(text)


def _folder(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "").strip()
    if text and not Path(text).is_absolute():
        raise SettingsError(f"{name} is {text!r}; give the whole path of a folder")
    return Path(text) if text else None


def _web_address(environment: Mapping[str, str], name: str) -> str:
    text = environment.get(name, "").strip()
    parts = urlsplit(text)
    if text and not (parts.scheme in {"http", "https"} and parts.hostname):
        raise SettingsError(f"{name} is not a web address; give one that begins with https:// or http://")
    return text
