"""Rows of signed documents: what the database keeps beside the exact bytes. Pure."""

from __future__ import annotations

from datetime import datetime

from protocol.envelope import Envelope
from protocol.timestamps import parse_timestamp
from storage.records import DelegationRecord, DocumentRecord


def delegation_record(
    envelope: Envelope, *, source: str, created_by: str, now: datetime
) -> DelegationRecord:
    """Return the row of a delegation whose payload has been checked."""
    payload = envelope.payload
    parent = payload.get("parent")
    budget = payload.get("budget")
    conditions = payload["conditions"]
    capabilities = payload["capabilities"]
    depth = payload["maxDepth"]
    assert isinstance(conditions, list)
    assert isinstance(capabilities, list)
    assert isinstance(depth, int)
    assert envelope.expires is not None
    return DelegationRecord(
        id=envelope.id,
        issuer=envelope.sender_did,
        subject=str(payload["subject"]),
        digest=envelope.digest,
        wire=envelope.wire,
        capabilities=[dict(one) for one in capabilities if isinstance(one, dict)],
        not_before=parse_timestamp(payload["notBefore"]),
        expires_at=envelope.expires,
        created_by=created_by,
        created_at=now,
        parent_digest=None if parent is None else str(parent),
        conditions=tuple(str(one) for one in conditions),
        max_depth=depth,
        budget=dict(budget) if isinstance(budget, dict) else None,
        source=source,
    )


def document_record(envelope: Envelope, now: datetime) -> DocumentRecord:
    """Return the row of a signed document."""
    assert envelope.expires is not None
    return DocumentRecord(
        id=envelope.id,
        signer=envelope.sender_did,
        type=envelope.type,
        digest=envelope.digest,
        wire=envelope.wire,
        audience=envelope.audience,
        expires_at=envelope.expires,
        created_at=now,
    )
