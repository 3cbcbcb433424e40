"""Conversation: context for agents that are members of a channel, never work (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from protocol.messages.fields import ControlPayload, Count, Id, Left, Many, Sha256Hex, Url


class Attachment(ControlPayload):
    """A file that goes with a message; `url` is where the receiver may fetch it."""

    name: Annotated[str, Field(min_length=1, max_length=255)]
    bytes: Count
    sha256: Sha256Hex
    media_type: Annotated[str, Field(min_length=1, max_length=127)]
    url: Left[Url] = None


class ChannelMessageSend(ControlPayload):
    """A message; from the hub it has `message_id`, from an agent that posts it `client_id`."""

    channel_id: Id
    message_id: Left[Id] = None
    client_id: Left[Id] = None
    thread_id: Left[Id] = None
    author: Annotated[str, Field(min_length=1, max_length=200)]
    content: Annotated[str, Field(max_length=65_536)]
    attachments: Annotated[Many[Attachment], Field(max_length=32)]

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if (self.message_id is None) == (self.client_id is None):
            raise ValueError("either messageId (from the hub) or clientId (from an agent)")
        return self
