"""`heartbeat` and `pong`: each end knows that the other lives, and how far the record has grown."""

from __future__ import annotations

import time

from controlplane import clock
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.messages.presence import Heartbeat, Pong


async def heartbeat(
    live: Live, connection: Connection, _envelope: Envelope, payload: Heartbeat
) -> None:
    """Answer with the hub's time, newest checkpoint and epoch; the heartbeat is kept."""
    connection.heard_at = time.monotonic()
    if connection.is_online:
        live.note_heartbeat(connection.agent_did, payload.model_dump(mode="json", by_alias=True))
    newest = await live.newest()
    connection.send(
        Pong(
            time=clock.now(),
            checkpoint=newest.checkpoint,
            revocation_epoch=newest.revocation_epoch,
        )
    )
