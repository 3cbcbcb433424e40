"""Gives memory back that nobody uses.

Readers of the database work in threads, and glibc keeps a heap for each: what an answer took stays
there in holes that the next one does not fit, a few megabytes more every hour. Only asked for does
it give back whole pages in the midst of a heap. Another C library has nothing of this.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return trim


def give_back_unused() -> bool:
    """Return whether some was given back; takes milliseconds, in which others may have to wait."""
    trim = _trim()
    return trim is not None and bool(trim(0))
