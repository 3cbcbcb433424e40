"""How much one address, one agent and all strangers together may ask of the hub (section 4).

Pure counters: time comes in as monotonic seconds. Knows nothing of sockets.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


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


def address_group(host: str | None) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    if not host:
        return "unknown"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """The bounds of section 4, all of them settings."""

    unregistered_per_address: int
    pending_per_address: int
    pending_total: int
    frames_per_second: float
    frames_burst: float


class SocketCounter:
    """How many sockets of each address have not registered yet; holds only addresses above zero."""

    def __init__(self, per_address: int) -> None:
        self._per_address = per_address
        self._open: dict[str, int] = {}

    @property
    def total(self) -> int:
        """Sockets counted now, over all addresses."""
        return sum(self._open.values())

    def enter(self, address: str) -> bool:
        """Count one more socket of `address`; False, and nothing counted, over the bound."""
        count = self._open.get(address, 0)
        if count >= self._per_address:
            return False
        self._open[address] = count + 1
        return True

    def leave(self, address: str) -> None:
        """Count one socket of `address` less."""
        count = self._open.get(address, 0) - 1
        if count > 0:
            self._open[address] = count
        else:
            self._open.pop(address, None)
