"""The processes of one hub, and leases."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HubProcessRecord:
    """One process of the hub, alive as long as it goes on saying so."""

    id: str
    version: str
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """Who alone may do something, until when, and the number of this tenure."""

    name: str
    holder: str
    fence: int
    expires_at: datetime
