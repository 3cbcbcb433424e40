"""Short-lived tokens that tell other services which agent works on which order (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import ControlPayload, Id
from protocol.timestamps import Timestamp

Audience = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]
"""The service a token is for, as that service calls itself: visible ASCII, mostly its URL."""


class TokenRequest(ControlPayload):
    """The agent wants to show itself to a service, for an order it is working on."""

    intent_id: Id
    audience: Audience


class TokenGrant(ControlPayload):
    """A JWT for that service, and when it ends."""

    intent_id: Id
    audience: Audience
    token: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,4096}$")]
    expires: Timestamp
