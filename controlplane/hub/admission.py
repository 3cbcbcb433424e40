"""How much one address, one agent and all strangers together may ask of the hub (section 4).

Pure counters: time comes in as monotonic seconds. Knows nothing of sockets.
"""

from __future__ import annotations

from collections import OrderedDict

MAX_TURN_SECONDS = 60.0
"""As long as agents wait by themselves at most."""
MAX_TURN_ADDRESSES = 4_096


class TokenBucket:
    """Lets `per_second` things through on average and `burst` at once."""

    __slots__ = ("_at", "_burst", "_per_second", "_tokens")

    def __init__(self, per_second: float, burst: float, now_seconds: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._at = now_seconds

    def take(self, now_seconds: float) -> bool:
        """Whether one more may pass at `now_seconds` (monotonic); takes it when so."""
        elapsed = now_seconds - self._at
        if elapsed > 0:
            self._tokens = min(self._burst, self._tokens + elapsed * self._per_second)
            self._at = now_seconds
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Turns:
    """Gives those who come too many at a time turns to come back, one after another.

    Each address has its own row of turns, so that nobody pushes others back by asking often. Only
    the newest addresses are remembered.
    """

    __slots__ = ("_last", "_seconds_each")

    def __init__(self, per_second: float) -> None:
        self._seconds_each = 1 / per_second
        self._last: OrderedDict[str, float] = OrderedDict()

    def next_seconds(self, address: str, now_seconds: float) -> float:
        """Return how long from now the next one of `address` waits; past the longest, anew."""
        turn = max(self._last.pop(address, 0.0), now_seconds) + self._seconds_each
        if turn - now_seconds > MAX_TURN_SECONDS:
            turn = now_seconds + self._seconds_each
        self._last[address] = turn
        if len(self._last) > MAX_TURN_ADDRESSES:
            self._last.popitem(last=False)
        return turn - now_seconds


class SocketCounter:
    """How many sockets of each address have not registered yet; holds only addresses above zero."""

    def __init__(self, per_address: int, in_all: int) -> None:
        self._per_address = per_address
        self._in_all = in_all
        self._open: dict[str, int] = {}
        self.total = 0
        """Sockets counted now, over all addresses."""

    @property
    def is_full(self) -> bool:
        """Whether nobody more may come in, from wherever."""
        return self.total >= self._in_all

    def enter(self, address: str) -> bool:
        """Count one more socket of `address`; False, and nothing counted, over a bound."""
        count = self._open.get(address, 0)
        if count >= self._per_address or self.is_full:
            return False
        self._open[address] = count + 1
        self.total += 1
        return True

    def leave(self, address: str) -> None:
        """Count one socket of `address` less."""
        count = self._open.pop(address, 0)
        if count > 0:
            self.total -= 1
        if count > 1:
            self._open[address] = count - 1
