"""Signatures of webhooks as the Standard Webhooks specification has them (version 1, HMAC). Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable
from datetime import datetime
from typing import Final

_PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 32


def new_secret() -> str:
    """Return a fresh secret, as receivers are given it."""
    return _PREFIX + base64.b64encode(os.urandom(_SECRET_BYTES)).decode("ascii")


def secret_place(webhook_id: str) -> str:
    """Return what a webhook's sealed secrets are bound to."""
    return f"webhooks/{webhook_id}/secret"


def signed_headers(secrets: Iterable[str], *, id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the three headers that prove a body: any one of `secrets` proves it.

    Args:
        secrets: each as `new_secret` makes them.
        id: of the message; the same at every attempt.
        at: of this attempt.
        body: as it is sent.
    """
    moment = str(int(at.timestamp()))
    signed = b".".join((id.encode(), moment.encode(), body))
    marks = [
        base64.b64encode(hmac.new(_key_of(one), signed, hashlib.sha256).digest()).decode("ascii")
        for one in secrets
    ]
    return {
        "webhook-id": id,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{mark}" for mark in marks),
    }


def _key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX))
