"""Keys of secrets at rest, and sealed values wherever they lie."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class WrappingKeyRecord:
    """A key that wraps data keys, by its id; the key itself is never in the database."""

    id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DataKeyRecord:
    """A data key, wrapped. Without a realm it is the hub's own; a retired one seals no more."""

    id: str
    realm: str | None
    wrapping_key: str
    wrapped: bytes = field(repr=False)
    created_at: datetime
    retired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A sealed value: `kind` and `key` say where it lies."""

    kind: str
    key: str
    sealed: bytes = field(repr=False)
    realm: str | None = None


@dataclass(frozen=True, slots=True)
class TokenKeyRecord:
    """A key that signs tokens from `active_at` on, until the next one does."""

    id: str
    public_key: str
    sealed_key: bytes = field(repr=False)
    created_at: datetime
    active_at: datetime
