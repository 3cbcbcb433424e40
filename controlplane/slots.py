"""A bound on how many of one kind run at a time in this process; the next one is told to wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from protocol.errors import RateLimitedError


class Slots:
    """Counts what runs."""

    def __init__(self) -> None:
        self.taken = 0

    @contextmanager
    def take(self, most: int) -> Iterator[None]:
        """Hold a slot inside the block.

        Raises:
            RateLimitedError: `most` are taken.
        """
        if self.taken >= most:
            raise RateLimitedError(f"at most {most} at a time")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
