"""Passwords, as scrypt hashes that carry their own parameters."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

#: scrypt's cost: 2**14 rounds over blocks of 8 take about 16 MiB and some 50 ms
ROUNDS, BLOCKS = 1 << 14, 8

#: longer ones are refused before they are hashed
LONGEST_PASSWORD = 1024


def hash_password(password: str, *, rounds: int = ROUNDS) -> str:
    """``scrypt$rounds$blocks$salt$hash``, with a fresh salt. Blocks for some 50 ms.

    Args:
        password: any text.
        rounds: a power of two; fewer only for accounts that guard nothing, as in tests.
    """
    salt = secrets.token_bytes(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=rounds, r=BLOCKS, p=1)
    parts = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["scrypt", str(rounds), str(BLOCKS), *parts])


class Passwords:
    """Compares passwords beside the event loop, two at a time, so that logins do not hold up other work."""

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        self._nobodys: str | None = None

    async def matches(self, password: str, stored: str | None) -> bool:
        """Whether `password` is the one behind `stored`.

        Takes as long when there is nothing stored, so that the time does not tell which accounts exist.
        """
        loop = asyncio.get_running_loop()
        if self._threads is None:  # made on first use: threads do not survive a fork
            self._threads = ThreadPoolExecutor(2, thread_name_prefix="passwords")
        if stored is None:
            if self._nobodys is None:
                self._nobodys = await loop.run_in_executor(self._threads, hash_password, secrets.token_hex())
            await loop.run_in_executor(self._threads, _matches, password, self._nobodys)
            return False
        return await loop.run_in_executor(self._threads, _matches, password, stored)

    def close(self) -> None:
        """End the threads."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None


def _matches(password: str, stored: str) -> bool:
    _, rounds, blocks, salt, digest = stored.split("$")
    seen = hashlib.scrypt(password.encode(), salt=base64.b64decode(salt), n=int(rounds), r=int(blocks), p=1)
    return hmac.compare_digest(seen, base64.b64decode(digest))
