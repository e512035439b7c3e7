"""The checksum that PostgreSQL writes into each page, computed without it.

The algorithm is PostgreSQL's own (``checksum_impl.h``): 32 sums of the FNV-1a kind run over the page side by side, one
for each column of 32-bit words in rows of 128 bytes, two rows of zeros follow, and the sums are folded into 16 bits
together with the block's number. Here all 32 run at once, as 64-bit lanes of one long integer: a product of 32 and 25
bits does not reach the next lane.
"""

from __future__ import annotations

from typing import Final

#: bytes of a page; a server built with another size is not supported
PAGE: Final = 8192
_ROW: Final = 128
_PRIME: Final = 16777619
_LANES: Final = 16
_LOW: Final = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * _LANES, "little")
#: what is left of a 32-bit word that moved 17 bits down; above it is what came from the next lane
_SHIFTED: Final = int.from_bytes(b"\xff\x7f\0\0\0\0\0\0" * _LANES, "little")
#: where each sum begins: part of the format, and of no meaning
_OFFSETS: Final = (
    *(0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C),
    *(0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB),
    *(0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4),
    *(0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756),
)


def _lanes(words: tuple[int, ...]) -> int:
    return sum(word << 64 * lane for lane, word in enumerate(words))


_EVEN: Final = _lanes(_OFFSETS[0::2])
_ODD: Final = _lanes(_OFFSETS[1::2])


def stored(page: bytes) -> int:
    """The checksum that stands in the page."""
    return int.from_bytes(page[8:10], "little")


def is_new(page: bytes) -> bool:
    """Whether the page was never filled: it has no checksum then. Its ``pd_upper`` is zero."""
    return page[14:16] == b"\0\0"


def checksum(page: bytes, block: int) -> int:
    """What the checksum of `page` must be, `block` being its number in the relation, over all of its segments."""
    clean = page[:8] + b"\0\0" + page[10:]
    even, odd = _EVEN, _ODD
    for start in range(0, PAGE, _ROW):
        row = int.from_bytes(clean[start : start + _ROW], "little")
        even ^= row & _LOW
        odd ^= row >> 32 & _LOW
        even = (even * _PRIME ^ even >> 17 & _SHIFTED) & _LOW
        odd = (odd * _PRIME ^ odd >> 17 & _SHIFTED) & _LOW
    for _ in range(2):
        even = (even * _PRIME ^ even >> 17 & _SHIFTED) & _LOW
        odd = (odd * _PRIME ^ odd >> 17 & _SHIFTED) & _LOW
    folded = even ^ odd
    for half in (512, 256, 128, 64):
        folded ^= folded >> half
    return ((folded & 0xFFFFFFFF) ^ block) % 65535 + 1
