"""`checkpoint_request`: proof to an agent that the record it saw before is still there."""

from __future__ import annotations

from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.audit_tree import consistency_proof
from protocol.base64_text import encode_base64
from protocol.envelope import Envelope
from protocol.errors import ProofError
from protocol.messages.audit import CheckpointProof, CheckpointRequest
from storage.unit_of_work import UnitOfWork


async def checkpoint_request(
    live: Live, connection: Connection, _envelope: Envelope, payload: CheckpointRequest
) -> None:
    """Send the RFC 6962 consistency proof between two sizes.

    Raises:
        ProofError: the record is not that long.
        UnavailableError: the database cannot answer now.
    """
    old, new = payload.from_, payload.to

    def unit(uow: UnitOfWork) -> list[bytes]:
        if new > uow.audit.size():
            raise ProofError("the record is not that long")
        return consistency_proof(uow.audit.hashes(0, new), old, new) if 0 < old < new else []

    proof = await live.hub.database.read(unit)
    connection.send(
        CheckpointProof(from_=old, to=new, proof=tuple(encode_base64(node) for node in proof))
    )
