"""The hub's only reader of the clock and of randomness for ids.

Everything else takes `now` and ids as arguments, so that one place decides what time it is.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

from protocol.ids import format_uuid7

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def now() -> datetime:
    """Return the present as an aware UTC time, cut to the milliseconds the wire can carry."""
    return _EPOCH + (time.time_ns() // 1_000_000) * _MILLISECOND


def new_id() -> str:
    """Return a fresh lowercase UUIDv7."""
    return format_uuid7(now(), os.urandom(10))


def new_ids(count: int, moment: datetime) -> list[str]:
    """Return `count` fresh UUIDv7 of one moment, with one read of randomness for all of them."""
    block = os.urandom(10 * count)
    return [format_uuid7(moment, block[start : start + 10]) for start in range(0, 10 * count, 10)]


def in_a_week(moment: datetime) -> datetime:
    """Return the same time a week later."""
    return moment + timedelta(days=7)
