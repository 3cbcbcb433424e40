"""When an attempt that failed is made again. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

FACTOR: Final = 6
"""Each wait is this much longer than the one before: 5 s, 30 s, 3 min, 18 min, 2 h, 11 h, a day."""
JITTER: Final = 0.2
"""How far a wait may be off, as a part of it, so that not everything comes back at once."""
MAX_ASKED: Final = timedelta(days=1)
"""The longest wait a receiver may ask for."""


def wait_before_retry(
    attempts: int, *, first_seconds: float, max_seconds: float, chance: float
) -> timedelta:
    """Return how long to wait after `attempts` failures.

    Args:
        attempts: made so far, at least 1.
        first_seconds: after the first.
        max_seconds: after any.
        chance: drawn from 0 to 1.
    """
    exponent = min(attempts - 1, 32)
    seconds = min(first_seconds * FACTOR**exponent, max_seconds)
    return timedelta(seconds=seconds * (1 - JITTER + 2 * JITTER * chance))


def wait_asked_for(retry_after: str | None) -> timedelta | None:
    """Return the wait that a `Retry-After` of seconds asks for, bounded; None for any other."""
    if retry_after is None or not retry_after.isascii() or not retry_after.strip().isdigit():
        return None
    return min(timedelta(seconds=int(retry_after.strip()[:9])), MAX_ASKED)
