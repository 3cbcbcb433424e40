"""Where agents put outputs too big for a result, when the file store has no URLs of its own.

An upload ticket (`controlplane.files.tickets`) is all that its holder needs and can use. Knows the
file store; what an upload is for, it does not.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Final

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from controlplane import clock
from controlplane.api.errors import problem_of
from controlplane.context import Hub
from controlplane.errors import HiddenError, InvalidFieldError
from controlplane.files.tickets import UPLOADS_PATH, Ticket, open_ticket
from protocol.errors import Error
from storage.errors import ConflictError
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

UPLOAD_TIMEOUT_SECONDS: Final = 900


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
        await hub.database.write(lambda uow: _mark(uow, ticket.file_id))


def _mark(uow: UnitOfWork, file_id: str) -> None:
    # A file of a person is only ready when they say so; an order's output has nobody to say it.
    record = uow.files.get(file_id)
    if record is not None and record.intent_id is not None:
        uow.files.update(file_id, state="ready")


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
