"""How often something may be tried: counted in the database, so that all hubs count together."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import timedelta
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


def address_group(address: str) -> str:
    """Return what counts as one address: an IPv6 customer has a whole /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


async def count_attempt(database: Database, bounds: Sequence[Bound]) -> None:
    """Count one attempt under every bound.

    Raises:
        TooManyAttemptsError: it is one too many under some bound.
        UnavailableError: it cannot be counted, so it is not allowed.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> bool:
        hits = [uow.rate_windows.hit(one.key, WINDOW, now) for one in bounds]
        return any(hit > one.most for hit, one in zip(hits, bounds, strict=True))

    if await database.write(unit):
        left = WINDOW - timedelta(seconds=now.timestamp() % WINDOW.total_seconds())
        raise TooManyAttemptsError(
            "too many attempts: wait", retry_after_seconds=int(left.total_seconds()) + 1
        )
