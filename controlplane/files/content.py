"""Bytes on their way: counted, hashed, bounded in time, and never passed on when they are wrong."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from controlplane.errors import HubError


class WrongContentError(HubError):
    """The bytes are not those that were named."""

    code = "conflict"


class ContentTooBigError(HubError):
    """More bytes than this hub takes."""

    code = "file_too_big"


class Meter:
    """Counts and hashes the bytes that run through it.

    Args:
        max_bytes: the most it lets through.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._digest = hashlib.sha256()
        self.bytes = 0

    @property
    def sha256(self) -> str:
        """Hex digest of what has run through so far."""
        return self._digest.hexdigest()

    async def measure(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield `parts` unchanged.

        Raises:
            ContentTooBigError: before the part that is too much.
        """
        async for part in parts:
            self.bytes += len(part)
            if self.bytes > self._max_bytes:
                raise ContentTooBigError(f"a file has at most {self._max_bytes} bytes")
            self._digest.update(part)
            yield part


async def check_content(
    parts: AsyncIterator[bytes], *, size_bytes: int, sha256: str
) -> AsyncIterator[bytes]:
    """Yield `parts`, the last one only when all of them are the bytes that were named.

    Raises:
        WrongContentError: they are not; whoever reads has not got them all.
    """
    meter = Meter(size_bytes)
    held = b""
    try:
        async for part in meter.measure(parts):
            if held:
                yield held
            held = part
    except ContentTooBigError:
        raise WrongContentError("more bytes than were named") from None
    if meter.bytes != size_bytes or meter.sha256 != sha256:
        raise WrongContentError("not the bytes that were named")
    if held:
        yield held
