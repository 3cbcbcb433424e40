"""How fast the agent speaks: below the hub's bound per agent, so a backlog never closes 4429."""

from __future__ import annotations

import time


class Pace:
    """A token bucket over frames. Pure but for the monotonic clock."""

    def __init__(self, frames_per_second: float, burst: int) -> None:
        self._rate = frames_per_second
        self._burst = float(burst)
        self._left = float(burst)
        self._at = time.monotonic()

    def take(self) -> float:
        """Take one frame and return the seconds to wait before sending it (mostly 0)."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= 1
        return 0.0 if self._left >= 0 else -self._left / self._rate
