"""The agent's only reader of time and of randomness for ids. Time never runs backwards here.

Two readings: `now` is the wall clock, for what is sent and for the freshness of control frames;
`later` is the highest clock ever seen, for judging expiry (SPEC section 3): setting the machine's
clock back does not bring an expired order or policy back to life.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime

from protocol.ids import format_uuid7


def wall_now() -> datetime:
    """Return the wall clock, aware UTC, cut to milliseconds (what the wire can carry)."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def new_id() -> str:
    """Return a fresh UUIDv7."""
    return format_uuid7(datetime.now(UTC), os.urandom(10))


def to_ms(moment: datetime) -> int:
    """Return milliseconds since 1970 of an aware time."""
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


class Clock:
    """Wall time, and the highest time seen so far (restored from disk at start)."""

    def __init__(self, highest: datetime | None = None) -> None:
        self._highest = highest or datetime.fromtimestamp(0, UTC)

    def now(self) -> datetime:
        """Return the wall clock, whatever it says."""
        moment = wall_now()
        if moment > self._highest:
            self._highest = moment
        return moment

    def later(self) -> datetime:
        """Return the later of the wall clock and the highest time seen."""
        self.now()
        return self._highest
