"""How often something may be tried: counted in the database, so that all hubs count together."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from controlplane import clock
from controlplane.errors import TooManyAttemptsError

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

WINDOW: Final = timedelta(minutes=5)


class Bound(NamedTuple):
    """At most `most` attempts under `key` in five minutes."""

    key: str
    most: int


def bound_by(kind: str, *parts: str, most: int) -> Bound:
    """Return a bound; what it counts is kept as a hash, because it may be somebody's name."""
    digest = hashlib.sha256("\x00".join(parts).encode()).hexdigest()
    return Bound(f"{kind}:{digest[:32]}", most)


def address_group(host: str | None) -> str:
    """Return what counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    if not host:
        return "unknown"
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        # A hub that listens on `::` sees IPv4 like this; else all of IPv4 would be one address.
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def count_in(uow: UnitOfWork, bound: Bound, now: datetime) -> bool:
    """Count one attempt under `bound` in a unit that is kept; return whether it is one too many."""
    return uow.rate_windows.hit(bound.key, WINDOW, now) > bound.most


def tried_too_often(uow: UnitOfWork, bound: Bound, now: datetime) -> bool:
    """Return whether there were as many attempts under `bound` as there may be; counts none."""
    return uow.rate_windows.hits(bound.key, WINDOW, now) >= bound.most


async def count_attempt(database: Database, bounds: Sequence[Bound]) -> None:
    """Count one attempt under every bound.

    Raises:
        TooManyAttemptsError: it is one too many under some bound.
        UnavailableError: it cannot be counted, so it is not allowed.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> bool:
        over = [count_in(uow, one, now) for one in bounds]
        return any(over)

    if await database.write(unit):
        left = WINDOW - timedelta(seconds=now.timestamp() % WINDOW.total_seconds())
        raise TooManyAttemptsError(
            "too many attempts: wait", retry_after_seconds=int(left.total_seconds()) + 1
        )
