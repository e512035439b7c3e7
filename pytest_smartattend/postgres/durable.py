"""Servers whose data must survive: their settings, and how their clusters are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_smartattend.postgres.cluster import SUPERUSER

#: The oldest major version that drills run on: its standbys change their primary without a restart.
OLDEST = 13

#: Durability as PostgreSQL ships it, written out, for it is what a drill relies on; and no waits of seconds between
#: two attempts at what a drill is waiting for.
SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_level": "replica",
    "wal_log_hints": "on",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "hot_standby": "on",
    # A standby that lost its primary looks for the next piece of WAL this often. With the 5 s of the server's own
    # default a promotion at the wrong moment takes 5.01 s in place of 15 ms (2 of 10 on PostgreSQL 15).
    "wal_retrieve_retry_interval": "10ms",
    # Room for a node to come back by pg_rewind, which reads WAL since the two parted.
    "wal_keep_size": "256MB",
    "shared_buffers": "16MB",
    "huge_pages": "off",
    "dynamic_shared_memory_type": "mmap",  # nothing in /dev/shm that a kill would leave there
    "max_connections": "100",
    "max_logical_replication_workers": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "restart_after_crash": "on",
}
_NEWER: Mapping[int, Mapping[str, str]] = {18: {"io_method": "sync"}}


def settings_for(major: int) -> dict[str, str]:
    """Every setting of a durable server of this major version, before those of its node."""
    found = dict(SETTINGS)
    for since, more in _NEWER.items():
        if major >= since:
            found.update(more)
    return found


def initdb_words(major: int, locale: str) -> list[str]:
    """How a durable cluster is made: with checksums on its pages, and WAL segments of 16 MB, the server's default."""
    words = ["-U", SUPERUSER, "-A", "trust", "--data-checksums", f"--locale={locale}", "-E", "UTF8"]
    if major >= 16:  # it starts servers of its own, which a full /dev/shm must not stop
        words += ["-c", "dynamic_shared_memory_type=mmap"]
    return words


def write_configuration(path: Path, settings: Mapping[str, str]) -> None:
    """Write a configuration file by rename: a server that reads it sees the old one or the new one."""
    lines = [f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()]
    making = path.with_name(f".{path.name}.new")
    making.write_text("".join(lines))
    making.chmod(0o644)  # the server may be another user
    making.rename(path)
