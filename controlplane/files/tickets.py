"""Upload tickets: leave to put one file to this hub, where the file store has no URLs of its own.

A ticket is sealed by this hub: it names one file, its size, its digest and its end, and is all
that its holder needs and can use.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from controlplane.errors import HiddenError, SecretError
from controlplane.secret_keeper import SecretKeeper
from protocol.errors import ExpiredError

UPLOADS_PATH: Final = "/uploads/"
TICKET_SECONDS: Final = 3_600
MAX_UPLOAD_BYTES: Final = 1024**3
_PLACE: Final = "upload tickets"
_MAX_TICKET_CHARS: Final = 2_048


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to put one file: `sha256` in hex, `expires` in seconds since 1970."""

    file_id: str
    key: str
    bytes: int
    sha256: str
    expires: int


def seal_ticket(secrets: SecretKeeper, ticket: Ticket) -> str:
    """Return the text that stands for `ticket` in a URL."""
    return secrets.seal(json.dumps(asdict(ticket)).encode(), place=_PLACE).hex()


def open_ticket(secrets: SecretKeeper, text: str, now: datetime) -> Ticket:
    """Return the ticket that this hub sealed.

    Raises:
        HiddenError: it is none of this hub's.
        ExpiredError: its time is over.
    """
    try:
        if len(text) > _MAX_TICKET_CHARS:
            raise ValueError
        ticket = Ticket(**json.loads(secrets.open(bytes.fromhex(text), place=_PLACE)))
    except (ValueError, TypeError, SecretError):
        raise HiddenError("no such upload") from None
    if now.timestamp() >= ticket.expires:
        raise ExpiredError("the upload was granted for a shorter time")
    return ticket


def ticket_end(now: datetime) -> datetime:
    """Return when a ticket made now expires."""
    return now + timedelta(seconds=TICKET_SECONDS)
