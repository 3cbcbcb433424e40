"""Outputs too big for a result go by upload (SPEC section 4)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import ControlPayload, Count, Id, Left, Sha256Hex, Url
from protocol.timestamps import Timestamp


class UploadRequest(ControlPayload):
    """The agent wants to upload the output of one intent; `sha256` in lowercase hex."""

    intent_id: Id
    bytes: Count
    sha256: Sha256Hex


class UploadGrant(ControlPayload):
    """Where to PUT it, with which headers, until when; grants come in the order of requests."""

    url: Url
    headers: Annotated[
        dict[
            Annotated[str, Field(min_length=1, max_length=256)],
            Annotated[str, Field(max_length=4_096)],
        ],
        Field(max_length=32),
    ]
    expires: Timestamp
    intent_id: Left[Id] = None
