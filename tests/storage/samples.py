"""Records for the tests, each complete and each different where it must be."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from storage.records import AgentRecord, DocumentRecord, IntentRecord, RegistrationRecord

NOW = datetime(2026, 5, 4, 3, 2, 1, 123000, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
_numbers = itertools.count(1)


def new_id() -> str:
    """An id shaped like a UUIDv7, rising with every call."""
    return f"01900000-0000-7000-8000-{next(_numbers):012x}"


def agent(**changes: Any) -> AgentRecord:
    """An enrolled agent."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "did": f"did:key:z6Mkagent{number}",
        "public_key": f"z6Mkagent{number}",
        "name": f"agent-{number}",
        "enrolled_at": NOW,
        "updated_at": NOW,
    }
    return AgentRecord(**(values | changes))


def intent(**changes: Any) -> IntentRecord:
    """A queued order."""
    values: dict[str, Any] = {
        "id": new_id(),
        "batch_id": new_id(),
        "agent_did": "did:key:z6Mkagent",
        "agent_name": "agent",
        "action": "files.read",
        "params": {"path": "README.md", "lines": [1, 2.5, None, True], "ü": {"deep": "\x7f"}},
        "realm": "default",
        "submitted_by": "user:1",
        "signer": "did:key:z6Mkhub",
        "digest": "ZGlnZXN0",
        "created_at": NOW,
        "expires_at": LATER,
        "timeout_seconds": 60,
    }
    return IntentRecord(**(values | changes))


def document(**changes: Any) -> DocumentRecord:
    """A signed document; the bytes need not be one here."""
    values: dict[str, Any] = {
        "id": new_id(),
        "signer": "did:key:z6Mkhub",
        "type": "intent",
        "digest": "ZGlnZXN0",
        "wire": b'{"exact":  "bytes \x00\xff"}',
        "audience": "did:key:z6Mkagent",
        "expires_at": LATER,
        "created_at": NOW,
    }
    return DocumentRecord(**(values | changes))


def registration(**changes: Any) -> RegistrationRecord:
    """A pending request."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": new_id(),
        "public_key": f"z6Mkwish{number}",
        "did": f"did:key:z6Mkwish{number}",
        "name": "wish",
        "requested_at": NOW,
        "updated_at": NOW,
        "expires_at": LATER,
        "address": "192.0.2.1",
    }
    return RegistrationRecord(**(values | changes))
