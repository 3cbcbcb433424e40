"""Proof that the hub's record only grows (SPEC sections 4 and 9)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from protocol.messages.fields import ControlPayload, Count, Digest, Many


class CheckpointRequest(ControlPayload):
    """The agent asks for a consistency proof between two tree sizes."""

    from_: Annotated[Count, Field(alias="from")]
    to: Count

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.from_ > self.to:
            raise ValueError("from is larger than to")
        return self


class CheckpointProof(ControlPayload):
    """The RFC 6962 consistency proof between the two sizes."""

    from_: Annotated[Count, Field(alias="from")]
    to: Count
    proof: Annotated[Many[Digest], Field(max_length=128)]
