"""Intents, their progress, and signed documents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.messages.intents import IntentState


@dataclass(frozen=True, slots=True)
class IntentRecord:
    """One order to one agent.

    `id` is the id of the intent document that `signer` signed and `digest` names; `batch_id`
    holds together what one submission made; `source` names what made it when no person did, such
    as `workflow:<run>/<step>`. `result` is {status, output, error, ...} once it has ended; `tokens`
    and `millicents` are what it says it has used, None where it says nothing.
    """

    id: str
    batch_id: str
    agent_did: str
    agent_name: str
    action: str
    params: dict[str, Any]
    realm: str
    submitted_by: str
    signer: str
    digest: str
    created_at: datetime
    expires_at: datetime
    timeout_seconds: int
    state: IntentState = IntentState.QUEUED
    on_behalf_of: str | None = None
    not_before: datetime | None = None
    source: str | None = None
    cancel_requested: bool = False
    unconfirmed: bool = False
    attempts: int = 0
    dispatched_at: datetime | None = None
    accepted_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: dict[str, Any] | None = None
    result_document_id: str | None = None
    tokens: int | None = None
    millicents: int | None = None
    cancel_document_id: str | None = None
    delegation_ids: tuple[str, ...] = ()
    approval_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProgressRecord:
    """One report of a running intent; `index` counts from 0."""

    intent_id: str
    index: int
    kind: str
    data: Any
    at: datetime


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A signed document, byte for byte. `signer` is a DID; `digest` is over its signed bytes."""

    id: str
    signer: str
    type: str
    digest: str
    wire: bytes
    audience: str
    expires_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DocumentAckRecord:
    """What an agent said to a document: accepted, or refused with a code."""

    agent_did: str
    document_id: str
    digest: str
    state: str
    at: datetime
    code: str | None = None
