"""A place in the write-ahead log, as PostgreSQL writes it: ``0/3000060``."""

from __future__ import annotations

import re

from pytest_smartattend.errors import UsageError

_WRITTEN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


class Lsn(int):
    """Bytes of write-ahead log since the cluster was made. Two of them compare, and differ by bytes."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Lsn:
        """The place that `text` names.

        Raises:
            UsageError: it is not written as PostgreSQL does.
        """
        parts = _WRITTEN.fullmatch(text.strip())
        if parts is None:
            raise UsageError(f"{text!r} is no place in the write-ahead log. Give it as PostgreSQL does: 0/3000060.")
        return cls(int(parts[1], 16) << 32 | int(parts[2], 16))

    def __str__(self) -> str:
        return f"{self >> 32:X}/{self & 0xFFFFFFFF:X}"

    __repr__ = __str__


def segment_name(timeline: int, lsn: int, size: int) -> str:
    """The name of the file that holds `lsn`, where a segment has `size` bytes."""
    number, per_id = lsn // size, 0x100000000 // size
    return f"{timeline:08X}{number // per_id:08X}{number % per_id:08X}"
