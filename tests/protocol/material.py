"""Keys, times and envelopes for the protocol tests; published vectors where they are at hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from protocol.envelope import Envelope, seal_control, seal_document
from protocol.keys import SigningKey

NOW = datetime(2026, 3, 1, 12, 0, 0, 123000, UTC)
SESSION = "0195534c-7000-7000-8000-0000000000aa"

ROOT = SigningKey.from_seed(b"\x01" * 32)
HUB = SigningKey.from_seed(b"\x02" * 32)
AGENT = SigningKey.from_seed(b"\x03" * 32)
OTHER = SigningKey.from_seed(b"\x04" * 32)

INTENT: dict[str, Any] = {
    "action": "files.read",
    "params": {"path": "notes/été.txt", "limit": 10, "ratio": 0.5},
    "realm": "default",
    "timeoutSeconds": 60,
}
CANCEL: dict[str, Any] = {"intentId": SESSION, "reason": "not needed"}
HEARTBEAT: dict[str, Any] = {
    "uptimeSeconds": 1,
    "load": 0.25,
    "memoryBytes": 1024,
    "running": [],
    "tokenUsage": {},
}


def an_id(number: int = 1) -> str:
    return f"0195534c-7000-7000-8000-{number:012x}"


def a_document(
    payload: dict[str, Any] | None = None,
    *,
    type: str = "intent",
    number: int = 1,
    audience: str | None = None,
    signer: SigningKey = HUB,
    timestamp: datetime = NOW,
    expires: datetime = NOW + timedelta(hours=1),
) -> Envelope:
    return seal_document(
        type=type,
        id=an_id(number),
        timestamp=timestamp,
        expires=expires,
        audience=AGENT.public_key.did if audience is None else audience,
        payload=INTENT if payload is None else payload,
        signer=signer,
    )


def a_control_frame(
    payload: dict[str, Any] | None = None,
    *,
    type: str = "heartbeat",
    sequence: int = 2,
    session: str = SESSION,
    audience: str | None = None,
    signer: SigningKey = AGENT,
    timestamp: datetime = NOW,
) -> Envelope:
    return seal_control(
        type=type,
        id=an_id(9),
        timestamp=timestamp,
        audience=HUB.public_key.did if audience is None else audience,
        session=session,
        sequence=sequence,
        payload=HEARTBEAT if payload is None else payload,
        signer=signer,
    )


def published(name: str) -> Path:
    """Return the path of a published vector; skip the test, and say so, where there is none."""
    path = Path(__file__).resolve().parents[3] / "shared" / "vectors" / name
    if not path.exists():
        pytest.skip(f"PUBLISHED VECTORS ABSENT: {name} is not beside the checkout; NOT PROVED here")
    return path


def published_json(name: str) -> Any:
    return json.loads(published(name).read_text("utf-8"))
