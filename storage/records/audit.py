"""The append-only record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditLeaf:
    """One leaf: `leaf` are the exact bytes that were hashed into `hash`."""

    index: int
    at: datetime
    kind: str
    actor: str
    subject: str
    leaf: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed note over the tree when it had `size` leaves."""

    size: int
    text: str
    at: datetime
