"""Being there: heartbeat and pong (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import Checkpoint, ControlPayload, Count, Id, JsonObject, Many
from protocol.timestamps import Timestamp


class Heartbeat(ControlPayload):
    """The agent is alive; `load` is its one-minute load average."""

    uptime_seconds: Count
    load: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    memory_bytes: Count
    running: Annotated[Many[Id], Field(max_length=1_000)]
    token_usage: JsonObject


class Pong(ControlPayload):
    """The hub is alive, this is its clock, and the record has grown this far."""

    time: Timestamp
    checkpoint: Checkpoint | None
    revocation_epoch: Count | None
