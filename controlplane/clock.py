"""The hub's only reader of the clock and of randomness for ids.

Everything else takes `now` and ids as arguments, so that one place decides what time it is.
"""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime, timedelta

from protocol.ids import format_uuid7, uuid7_at

_READ_AHEAD_BYTES = 2_560


def now() -> datetime:
    """Return the present as an aware UTC time, cut to the milliseconds the wire can carry."""
    # Exact: what a double has left behind whole milliseconds is far below half a microsecond.
    return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1_000, UTC)


class _Randomness(threading.local):
    """Random bytes read ahead, per thread: one system call for many ids, no id twice."""

    def __init__(self) -> None:
        self._block = b""
        self._used = 0

    def forget(self) -> None:
        """Draw afresh from now on: a forked child must not hand out its parent's bytes."""
        self._block, self._used = b"", 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes; none is handed out twice."""
        start = self._used
        if start + count > len(self._block):
            self._block, start = os.urandom(max(_READ_AHEAD_BYTES, count)), 0
        self._used = start + count
        return self._block[start : start + count]


_randomness = _Randomness()
os.register_at_fork(after_in_child=_randomness.forget)


def new_id() -> str:
    """Return a fresh lowercase UUIDv7."""
    return uuid7_at(time.time_ns() // 1_000_000, _randomness.take(10))


def new_ids(count: int, moment: datetime) -> list[str]:
    """Return `count` fresh UUIDv7 of one moment, with one read of randomness for all of them."""
    block = _randomness.take(10 * count)
    return [format_uuid7(moment, block[start : start + 10]) for start in range(0, 10 * count, 10)]


def in_a_week(moment: datetime) -> datetime:
    """Return the same time a week later."""
    return moment + timedelta(days=7)
