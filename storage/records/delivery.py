"""The outbox, answers remembered under an idempotency key, and files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class OutboxRecord:
    """Something to send to an agent; `wire` is filled in on reading, whoever keeps the bytes."""

    id: int
    agent_did: str
    kind: str
    ref_id: str
    wire: bytes
    not_before: datetime | None
    sent_at: datetime | None
    attempts: int


@dataclass(frozen=True, slots=True)
class Begin:
    """The key is new: do the work, then `finish`."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The work was done before: this was the answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class InProgress:
    """The first request with this key has not been answered yet."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used with another body."""


IdempotencyOutcome = Begin | Replay | InProgress | Mismatch


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that the file store keeps under `key`. `state` is uploading or ready."""

    id: str
    realm: str
    name: str
    key: str
    bytes: int
    sha256: str
    content_type: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None = None
    intent_id: str | None = None
    state: str = "ready"
