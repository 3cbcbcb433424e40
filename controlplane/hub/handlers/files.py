"""`upload_request`: where an agent may put an output that is too big for a result."""

from __future__ import annotations

from controlplane import clock
from controlplane.files import tickets
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from protocol.envelope import Envelope
from protocol.errors import ForbiddenTypeError, OutputTooBigError, UnknownIntentError
from protocol.lifecycle import TERMINAL
from protocol.messages.files import UploadGrant, UploadRequest
from storage.records import FileRecord
from storage.unit_of_work import UnitOfWork

MAX_FILES_PER_INTENT = 16


async def upload_request(
    live: Live, connection: Connection, _envelope: Envelope, payload: UploadRequest
) -> None:
    """Answer with a URL that takes exactly these bytes; the same request gets the same file.

    Raises:
        ForbiddenTypeError: this hub keeps no files.
        OutputTooBigError: more bytes than it takes, or too many files of one order.
        UnknownIntentError: no open order of this agent.
        UnavailableError: the file store cannot answer now.
    """
    files = live.hub.files
    if files is None:
        raise ForbiddenTypeError("this hub keeps no files")
    if payload.bytes > tickets.MAX_UPLOAD_BYTES:
        raise OutputTooBigError(f"a file has at most {tickets.MAX_UPLOAD_BYTES} bytes")
    did = connection.agent_did
    record = await live.hub.database.write(lambda uow: _file_row(uow, did, payload))
    granted = await files.presign_put(
        record.key, tickets.TICKET_SECONDS, bytes=record.bytes, sha256=record.sha256
    )
    if granted is not None:
        url, headers, expires = granted.url, dict(granted.headers), granted.expires_at
    else:
        expires = tickets.ticket_end(clock.now())
        ticket = tickets.Ticket(
            record.id, record.key, record.bytes, record.sha256, int(expires.timestamp())
        )
        url = connection.base_url + tickets.UPLOADS_PATH
        url += tickets.seal_ticket(live.hub.secrets, ticket)
        headers = {}
    connection.send(
        UploadGrant(url=url, headers=headers, expires=expires, intent_id=payload.intent_id)
    )


def _file_row(uow: UnitOfWork, did: str, payload: UploadRequest) -> FileRecord:
    intent = uow.intents.get(payload.intent_id)
    if intent is None or intent.agent_did != did or intent.state in TERMINAL:
        raise UnknownIntentError("no open order of this agent")
    files = uow.files.of_intent(intent.id)
    known = next((one for one in files if one.sha256 == payload.sha256), None)
    if known is not None and known.bytes == payload.bytes:
        return known
    if len(files) >= MAX_FILES_PER_INTENT:
        raise OutputTooBigError("too many files of one order")
    record = FileRecord(
        id=clock.new_id(),
        realm=intent.realm,
        name=f"output-{intent.id}",
        key=f"outputs/{intent.id}/{payload.sha256}-{payload.bytes}",
        bytes=payload.bytes,
        sha256=payload.sha256,
        content_type="application/octet-stream",
        created_by=did,
        created_at=clock.now(),
        intent_id=intent.id,
        state="uploading",
    )
    uow.files.add(record)
    return record


def note_output_file(uow: UnitOfWork, intent_id: str, sha256: str) -> None:
    """Mark the file that a result names as ready, where the store took it without telling us."""
    for record in uow.files.of_intent(intent_id):
        if record.sha256 == sha256 and record.state != "ready":
            uow.files.update(record.id, state="ready")
