"""The frames that open, end and explain a connection (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.limits import MAX_CLOCK_SKEW_SECONDS, MIN_CLOCK_SKEW_SECONDS
from protocol.messages.fields import Code, ControlPayload, Did, Digest, Embedded, Id, Left, Many


class HelloLimits(ControlPayload):
    """What the hub holds its agents to, for as long as the connection lives."""

    max_frame_bytes: Annotated[int, Field(ge=65_536, le=67_108_864)]
    max_frame_bytes_before_registration: Annotated[int, Field(ge=4_096, le=67_108_864)]
    heartbeat_seconds: Annotated[int, Field(ge=1, le=3_600)]
    clock_skew_seconds: Annotated[int, Field(ge=MIN_CLOCK_SKEW_SECONDS, le=MAX_CLOCK_SKEW_SECONDS)]


class Hello(ControlPayload):
    """The hub's first frame: a challenge, and its own authority from the root.

    `root_rotations` lead from earlier roots to `root`, oldest first.
    """

    challenge: Digest
    root: Did
    delegation: Embedded
    limits: HelloLimits
    versions: Annotated[
        Many[Annotated[str, Field(min_length=1, max_length=16)]], Field(min_length=1, max_length=16)
    ]
    root_rotations: Left[Annotated[Many[Embedded], Field(max_length=8)]] = None


class Drain(ControlPayload):
    """The hub is about to close 4503; come back no sooner than told."""

    retry_after_seconds: Annotated[int, Field(ge=0, le=86_400)]


class ErrorMessage(ControlPayload):
    """Something of the peer's was refused; `in_reply_to` is its id where that could be read."""

    code: Code
    message: Annotated[str, Field(max_length=1_000)]
    in_reply_to: Left[Id] = None
