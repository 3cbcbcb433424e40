"""What somebody has begun and comes back to end: kept for minutes, taken once."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.access.session_tokens import secret_hash
from controlplane.context import Hub
from storage.records import CeremonyRecord

_LIFETIME: Final = timedelta(minutes=5)


async def begin_ceremony(hub: Hub, kind: str, data: dict[str, Any]) -> str:
    """Keep `data`; return the secret under which it is taken back."""
    ceremony = secrets.token_urlsafe(32)
    now = clock.now()
    record = CeremonyRecord(secret_hash(ceremony), kind, data, now, now + _LIFETIME)
    await hub.database.write(lambda uow: uow.ceremonies.add(record))
    return ceremony


async def take_ceremony(hub: Hub, ceremony: str, kind: str) -> dict[str, Any] | None:
    """Return what was kept, which is then gone; None when there is none, or no longer."""
    found = await hub.database.write(lambda uow: uow.ceremonies.take(secret_hash(ceremony), kind))
    return None if found is None else dict(found.data)
