"""`/files`: put, list, fetch and remove files; big outputs of orders are among them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import quote

import orjson
from pydantic import Field

from controlplane import clock
from controlplane.access.authorize import authorize
from controlplane.api.form import is_form, read_form
from controlplane.api.idempotency import (
    begin_claim,
    drop_claim,
    finish_claim,
    keep_answer,
    take_claim,
)
from controlplane.api.json_body import BodyTooLargeError, parse_json_body, parse_model
from controlplane.api.operation import Body, Call, Reply, Stream, View, operation
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.errors import HubError, InvalidFieldError
from controlplane.files import service
from controlplane.files.service import UploadTimeoutError
from controlplane.files.tickets import TICKET_SECONDS, UPLOADS_PATH, Ticket, seal_ticket, ticket_end
from protocol.messages.fields import Name
from storage.files.base import PresignedUrl
from storage.records import FileRecord
from storage.unit_of_work import UnitOfWork

DEFAULT_REALM: Final = "default"
_MAX_JSON_BYTES: Final = 64 * 1024
_FORM_FIELDS: Final = {"realm", "name"}
_RANGE = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")
_PLAIN = re.compile(r"[^A-Za-z0-9._-]")
_SAFE_CONTENT: Final = {
    # Whatever it claims to be: saved, never shown, never run.
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Accept-Ranges": "bytes",
    "X-Frame-Options": "DENY",
}
_DOWNLOAD_TYPE: Final = "application/octet-stream"


class RangeNotSatisfiableError(HubError):
    """A range that begins after the last byte."""

    code = "range_not_satisfiable"


class UploadView(View):
    """Where to PUT the announced bytes, with exactly these headers; the URL is a secret."""

    url: str
    method: str
    headers: dict[str, str]
    expires: str


class FileView(View):
    """A file. `content` is its address; `intentId` the order whose output it is."""

    id: str
    realm: str
    name: str
    bytes: int
    sha256: str
    content_type: str
    created_by: str
    created_at: str
    intent_id: str | None
    state: str
    content: str
    upload: UploadView | None = None


class AnnounceFileBody(Body):
    """A file that will be put to a URL; `sha256` in hex."""

    name: Annotated[str, Field(min_length=1, max_length=service.MAX_NAME_CHARS)]
    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    realm: Name = DEFAULT_REALM
    content_type: Annotated[str, Field(max_length=200)] | None = None


class FileListQuery(PageQuery):
    """Only files of this realm, or outputs of this order."""

    realm: Name | None = None
    intent: str | None = None


def file_view(record: FileRecord) -> dict[str, Any]:
    """Return a file as clients see it."""
    return {
        "id": record.id,
        "realm": record.realm,
        "name": record.name,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "contentType": record.content_type,
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "intentId": record.intent_id,
        "state": record.state,
        "content": f"/api/v1/files/{record.id}/content",
    }


@operation(
    "POST",
    "/api/v1/files",
    permission="files.write",
    body=AnnounceFileBody,
    result=FileView,
    status=201,
    errors=("file_too_big", "upload_timeout", "rate_limited", "file_store_refused"),
    idempotency="own",
    streamed=True,
)
async def create(call: Call) -> Any:
    """Put a file: as a form, or announced as JSON and then sent to the URL of the answer."""
    kind = call.headers.get("content-type", "")
    with call.hub.uploads.take(call.hub.settings.max_uploads):
        try:
            async with asyncio.timeout(call.hub.settings.upload_seconds):
                if is_form(kind):
                    return await _take_form(call, kind)
                return await _announce(call, kind)
        except TimeoutError:
            raise UploadTimeoutError("the upload took too long") from None


async def _take_form(call: Call, kind: str) -> Any:
    hub, actor, claim = call.hub, call.actor, call.claim
    length = call.headers.get("content-length", "")
    if length.isdigit() and int(length) > hub.settings.max_file_bytes + _MAX_JSON_BYTES:
        raise BodyTooLargeError(f"a file has at most {hub.settings.max_file_bytes} bytes")
    assert call.parts is not None
    form = await read_form(call.parts, kind)
    unknown = sorted(set(form.fields) - _FORM_FIELDS)
    if unknown:
        raise InvalidFieldError("unknown field", pointer=f"/{unknown[0]}")
    new = service.describe_file(
        realm=form.fields.get("realm", DEFAULT_REALM),
        name=form.fields.get("name", form.filename),
        content_type=form.content_type,
    )
    record = await service.begin_file(hub, actor, new)
    meter = await service.store_content(hub, record, form.content)

    def unit(uow: UnitOfWork) -> Reply:
        if claim is not None:
            said = [new.realm, new.name, new.content_type, meter.sha256]
            # The boundary of a form differs each time, so what counts is what it says.
            body_hash = hashlib.sha256(orjson.dumps(said)).hexdigest()
            named = claim._replace(body_hash=body_hash)
            earlier = take_claim(uow, named, clock.now())
            if earlier is not None:
                return earlier
        made = service.finish_file(uow, actor, record, size_bytes=meter.bytes, sha256=meter.sha256)
        view = file_view(made)
        if claim is not None:
            keep_answer(uow, claim, 201, orjson.dumps(view))
        return Reply(view)

    try:
        reply = await hub.database.write(unit)
    except BaseException:
        await asyncio.shield(service.give_up_file(hub, record))
        raise
    if reply.status is not None:  # the first answer, to the first file
        await service.give_up_file(hub, record)
        return reply
    service.announce_file(hub, "file.created", await service.load_file(hub, actor, record.id))
    return reply


async def _announce(call: Call, kind: str) -> Any:
    hub, claim = call.hub, call.claim
    data = bytearray()
    assert call.parts is not None
    async for part in call.parts:
        data += part
        if len(data) > _MAX_JSON_BYTES:
            raise BodyTooLargeError("send files as a form")
    body = parse_model(AnnounceFileBody, parse_json_body(bytes(data), kind) if data else {})
    assert isinstance(body, AnnounceFileBody)
    if body.bytes > hub.settings.max_file_bytes:
        raise InvalidFieldError(f"at most {hub.settings.max_file_bytes}", pointer="/bytes")
    if claim is None:
        return await _grant(call, body)
    claim = claim._replace(body_hash=hashlib.sha256(data).hexdigest())
    earlier = await begin_claim(hub.database, claim, clock.now())
    if earlier is not None:
        return earlier
    try:
        reply = await _grant(call, body)
    except BaseException:
        await asyncio.shield(drop_claim(hub.database, claim))
        raise
    await finish_claim(hub.database, claim, reply)
    return reply


async def _grant(call: Call, body: AnnounceFileBody) -> Reply:
    hub = call.hub
    new = service.describe_file(realm=body.realm, name=body.name, content_type=body.content_type)
    record = await service.begin_file(
        hub, call.actor, new, size_bytes=body.bytes, sha256=body.sha256
    )
    key = service.incoming_key(record)
    try:
        granted = await hub.files.presign_put(
            key, TICKET_SECONDS, bytes=body.bytes, sha256=body.sha256
        )
    except BaseException:
        await asyncio.shield(service.give_up_file(hub, record))
        raise
    if granted is None:
        expires = ticket_end(clock.now())
        ticket = Ticket(record.id, key, body.bytes, body.sha256, int(expires.timestamp()))
        url = _base_url(call) + UPLOADS_PATH + seal_ticket(hub.secrets, ticket)
        granted = PresignedUrl(url, expires_at=expires)
    upload = {
        "url": granted.url,
        "method": "PUT",
        "headers": dict(granted.headers),
        "expires": time_view(granted.expires_at),
    }
    view = file_view(record)
    return Reply({**view, "upload": upload}, 201, replay={**view, "upload": None})


def _base_url(call: Call) -> str:
    told = call.hub.settings.public_url.rstrip("/")
    return told or f"{call.scheme}://{call.headers.get('host', 'localhost')}"


@operation(
    "POST",
    "/api/v1/files/{id}/complete",
    permission="files.write",
    result=FileView,
    errors=("conflict", "file_store_refused"),
)
async def complete(call: Call) -> Any:
    """Take over what was put to the URL, if it is what was announced."""
    return file_view(await service.complete_file(call.hub, call.actor, call.path["id"]))


@operation(
    "GET",
    "/api/v1/files",
    permission="files.read",
    query=FileListQuery,
    result=list[FileView],
)
async def list_(call: Call) -> Any:
    """List files, newest first."""
    query = call.query
    if query.realm is not None:
        authorize(call.actor, "files.read", realm=query.realm)
    page = await service.list_files(
        call.hub,
        call.actor,
        realm=query.realm,
        intent=query.intent,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_view(page, file_view)


@operation("GET", "/api/v1/files/{id}", permission="files.read", result=FileView)
async def show(call: Call) -> Any:
    """What is known of a file."""
    record = await service.load_file(call.hub, call.actor, call.path["id"])
    return Reply(file_view(record), headers={"ETag": _etag(record)})


@operation(
    "GET",
    "/api/v1/files/{id}/content",
    permission="files.read",
    errors=("range_not_satisfiable", "file_store_refused"),
    media_type=_DOWNLOAD_TYPE,
    also={206: "The range of it that was asked for"},
)
async def content(call: Call) -> Any:
    """The bytes of a file, whole or one range of them; always to be saved, never shown."""
    record = await service.load_file(call.hub, call.actor, call.path["id"])
    headers = {
        **_SAFE_CONTENT,
        "ETag": _etag(record),
        "Content-Disposition": _disposition(record.name),
    }
    wanted = _parse_range(call.headers.get("range"), record.bytes)
    same = call.headers.get("if-range") in (None, _etag(record))
    if wanted is None or not same:
        parts = await service.open_content(call.hub, record)
        headers["Content-Length"] = str(record.bytes)
        return Stream(parts, _DOWNLOAD_TYPE, headers)
    start, end = wanted
    parts = await service.open_content(call.hub, record, start=start, end=end)
    headers["Content-Length"] = str(end - start)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{record.bytes}"
    return Stream(_exactly(parts, end - start), _DOWNLOAD_TYPE, headers, 206)


@operation("DELETE", "/api/v1/files/{id}", permission="files.write", status=204)
async def delete(call: Call) -> Any:
    """Remove a file for good."""
    await service.delete_file(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


def _etag(record: FileRecord) -> str:
    return f'"{record.sha256}"'


def _disposition(name: str) -> str:
    """Return a header in which the name can be nothing but a name (RFC 6266)."""
    plain = _PLAIN.sub("_", name)[:100].lstrip(".") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _parse_range(text: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return start and end (not included) of the one range that is asked for, None for all.

    Raises:
        RangeNotSatisfiableError: it begins after the last byte.
    """
    found = None if text is None else _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start = int(first)
        end = min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= size_bytes:
        raise RangeNotSatisfiableError(f"the file has {size_bytes} bytes")
    return start, end


async def _exactly(parts: AsyncIterator[bytes], size_bytes: int) -> AsyncIterator[bytes]:
    """Yield the range; a store that gives more or less than it was asked for breaks the answer."""
    sent = 0
    async for part in parts:
        sent += len(part)
        if sent > size_bytes:
            raise HubError("the file store answered another range")
        yield part
    if sent != size_bytes:
        raise HubError("the file store answered another range")


OPERATIONS = [create, list_, complete, show, content, delete]
