"""`checkpoint_request`: proof to an agent that the record it saw before is still there."""

from __future__ import annotations

import time

from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.base64_text import encode_base64
from protocol.envelope import Envelope
from protocol.errors import ProofError, RateLimitedError
from protocol.messages.audit import CheckpointProof, CheckpointRequest


async def checkpoint_request(
    live: Live, connection: Connection, _envelope: Envelope, payload: CheckpointRequest
) -> None:
    """Send the RFC 6962 consistency proof between two sizes.

    Raises:
        RateLimitedError: this agent asks too often.
        ProofError: the record is not that long.
        UnavailableError: the database cannot answer now.
    """
    if not connection.proofs.take(time.monotonic()):
        raise RateLimitedError("one proof a second is enough for a record that grows")
    old, new = payload.from_, payload.to
    if new > await live.hub.database.read(lambda uow: uow.audit.size()):
        raise ProofError("the record is not that long")
    proof = await live.hub.record.prove_consistency(old, new)
    connection.send(
        CheckpointProof(from_=old, to=new, proof=tuple(encode_base64(node) for node in proof))
    )
