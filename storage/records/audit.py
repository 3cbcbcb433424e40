"""The append-only record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


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
class PersonalValue:
    """A value that a leaf keeps only the salted hash of, for as long as nobody has erased it."""

    index: int
    field: str
    salt: bytes
    value: Any
    person: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which leaves; None for all.

    `kind` may end in `.*`. `realms` are those whose readers ask: leaves of no realm are for who
    reads everything.
    """

    subject: str | None = None
    actor: str | None = None
    kind: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    realms: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness's word on a checkpoint: one line of a signed note."""

    key: str
    name: str
    size: int
    checkpoint: str
    line: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A signed note over the tree when it had `size` leaves."""

    size: int
    text: str
    at: datetime
