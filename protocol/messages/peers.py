"""Agents that order from each other; the hub forwards, and signs nothing (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import ControlPayload, Embedded, Many


class PeerIntent(ControlPayload):
    """An intent signed by the calling agent, and the delegations its `proof` names."""

    intent: Embedded
    delegations: Annotated[Many[Embedded], Field(max_length=16)]


class PeerResult(ControlPayload):
    """The peer's result, unchanged."""

    result: Embedded
