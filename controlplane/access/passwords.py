"""Passwords as argon2id, hashed off the event loop and never more than two at a time.

Each hash takes about 20 MiB and some 50 ms (OWASP's parameters), so a flood of attempts waits in
line instead of taking the hub's memory and both its cores.
"""

from __future__ import annotations

import asyncio
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_CHARS: Final = 12
MAX_CHARS: Final = 256
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_NOBODYS: Final = _HASHER.hash("nobody has this password")
_AT_ONCE: Final = 2


class Passwords:
    """Hashes and checks passwords for one hub process."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what is kept of a password."""
        async with self._room:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def fits(self, kept: str | None, password: str) -> bool:
        """Whether `password` is the one `kept` was made from; takes as long when there is none."""
        async with self._room:
            return await asyncio.to_thread(_fits, kept or _NOBODYS, password) and kept is not None


def _fits(kept: str, password: str) -> bool:
    try:
        return _HASHER.verify(kept, password)
    except (VerificationError, InvalidHashError):
        return False
