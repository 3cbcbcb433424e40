"""The agent's receipt for documents that are not intents (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from protocol.messages.fields import ControlPayload, Digest, Id, Left, Many


class DocumentAckItem(ControlPayload):
    """One document that is in force now, or why it is not."""

    id: Id
    digest: Digest
    state: Literal["accepted", "refused"]
    code: Left[
        Literal["old_version", "old_epoch", "not_authorised", "forbidden_lift", "expired"]
    ] = None


class DocumentAck(ControlPayload):
    """What became of documents the hub sent, alone or inside another frame."""

    documents: Annotated[Many[DocumentAckItem], Field(min_length=1, max_length=1_000)]
