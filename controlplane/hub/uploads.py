"""Where agents put outputs too big for a result, when the file store has no URLs of its own.

An upload ticket is sealed by this hub: it names one file, its size, its digest and its end, and is
all that its holder needs and can use. Knows the file store; what an upload is for, it does not.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from controlplane import clock
from controlplane.api.errors import problem_of
from controlplane.context import Hub
from controlplane.errors import HiddenError, InvalidFieldError, SecretError
from controlplane.secrets import SecretBox
from protocol.errors import Error, ExpiredError
from storage.errors import ConflictError

log = structlog.get_logger(__name__)

UPLOADS_PATH: Final = "/uploads/"
TICKET_SECONDS: Final = 3_600
MAX_UPLOAD_BYTES: Final = 1024**3
UPLOAD_TIMEOUT_SECONDS: Final = 900
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


def seal_ticket(secrets: SecretBox, ticket: Ticket) -> str:
    """Return the text that stands for `ticket` in a URL."""
    return secrets.seal(json.dumps(asdict(ticket)).encode(), place=_PLACE).hex()


def open_ticket(secrets: SecretBox, text: str, now: datetime) -> Ticket:
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


class UploadEndpoint:
    """The ASGI application behind `PUT /uploads/{ticket}`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one upload; the file is there whole, or not at all."""
        request = Request(scope, receive)
        response: Response
        try:
            async with asyncio.timeout(UPLOAD_TIMEOUT_SECONDS):
                await self._take(request)
            response = Response(status_code=201)
        except Error as error:
            status, problem = problem_of(error, clock.new_id())
            response = JSONResponse(problem, status, media_type="application/problem+json")
        except (ClientDisconnect, TimeoutError):
            log.info("upload_broken_off")
            return
        await response(scope, receive, send)

    async def _take(self, request: Request) -> None:
        hub = self._hub
        if request.method != "PUT" or hub.files is None:
            raise HiddenError("no such upload")
        text = request.url.path.removeprefix(UPLOADS_PATH)
        ticket = open_ticket(hub.secrets, text, clock.now())
        try:
            await hub.files.put(ticket.key, _checked(request.stream(), ticket), if_absent=True)
        except ConflictError:
            # The same content is there already: an answer was lost, nothing else.
            info = await hub.files.stat(ticket.key)
            if info.bytes != ticket.bytes:
                raise
        await hub.database.write(lambda uow: uow.files.update(ticket.file_id, state="ready"))


async def _checked(parts: AsyncIterator[bytes], ticket: Ticket) -> AsyncIterator[bytes]:
    """Yield the parts of a body; fail, so that nothing is kept, when they are other bytes."""
    digest = hashlib.sha256()
    size_bytes = 0
    async for part in parts:
        size_bytes += len(part)
        if size_bytes > ticket.bytes:
            break
        digest.update(part)
        yield part
    if size_bytes != ticket.bytes or digest.hexdigest() != ticket.sha256:
        raise InvalidFieldError("not the bytes that were named", pointer="")
