"""Room for what is remembered comes back only when documents expire."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from agentd import documents_room
from agentd.clock import to_ms
from agentd.documents_room import DocumentsRoom
from agentd.state import StateDatabase
from agentd.state.documents import add_seen, forget_expired
from protocol.envelope import Envelope
from protocol.errors import RateLimitedError
from tests.agentd.hub_double import new_key, now, seal


def test_room_comes_back_when_documents_expire_and_not_before(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_room, "RECOUNT_SECONDS", 0.0)
    state = StateDatabase.open(data_dir, create=True)
    signer, other = new_key(), new_key()
    room = DocumentsRoom(state.reader, 3)

    def document(key=signer, kind: str = "skills_config") -> Envelope:
        return seal(kind, key, signer.public_key.did, {})

    def remember(envelope: Envelope) -> None:
        room.take(envelope)
        state.write_now(lambda connection: add_seen(connection, envelope, "accepted"))

    for _ in range(3):
        remember(document())
    with pytest.raises(RateLimitedError):
        room.take(document())
    with pytest.raises(RateLimitedError):  # a new process counts what is on disk
        DocumentsRoom(state.reader, 3).take(document())
    remember(document(other))
    remember(document(kind="quarantine"))
    with pytest.raises(RateLimitedError):
        room.take(document(kind="revocations"))
    later = to_ms(now() + timedelta(hours=2))
    state.write_now(lambda connection: forget_expired(connection, later))
    remember(document())
    state.close()


def test_what_was_let_through_and_never_kept_is_not_counted_for_ever(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_room, "RECOUNT_SECONDS", 0.0)
    state = StateDatabase.open(data_dir, create=True)
    signer = new_key()
    room = DocumentsRoom(state.reader, 3)
    for _ in range(20):
        room.take(seal("skills_config", signer, signer.public_key.did, {}))
    state.close()
