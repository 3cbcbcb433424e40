"""Files of people: put, listed, fetched and removed. The file store keeps bytes, the database rows.

A row stands in the database before its bytes stand in the store, and longer than they do, so that
whatever breaks off is found and cleared by `clear_unfinished`. A file that can be seen is whole.
Names are data: where the bytes lie is made of the row's id alone.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import structlog

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.errors import HiddenError, HubError, InvalidFieldError, StateConflictError
from controlplane.files.content import Meter, check_content
from controlplane.files.tickets import TICKET_SECONDS
from protocol.errors import Error
from storage.errors import NotFoundError
from storage.files.base import DEFAULT_CONTENT_TYPE
from storage.pages import Page
from storage.records import FileRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

READY: Final = "ready"
UPLOADING: Final = "uploading"
REMOVING: Final = "removing"
MAX_NAME_CHARS: Final = 255
SPARE_SECONDS: Final = 2 * TICKET_SECONDS
"""What is unfinished so long after its upload had to end will never be finished."""

_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,90}")


class UploadTimeoutError(HubError):
    """The bytes did not come in the time they have."""

    code = "upload_timeout"


@dataclass(frozen=True, slots=True)
class NewFile:
    """What is said of a file before its bytes come; parsed, see `describe_file`."""

    realm: str
    name: str
    content_type: str


def describe_file(*, realm: str, name: str, content_type: str | None) -> NewFile:
    """Return the description of a new file.

    Raises:
        InvalidFieldError: a name that cannot be shown. A media type that is none is left out.
    """
    shown = unicodedata.normalize("NFC", name)
    if not 1 <= len(shown) <= MAX_NAME_CHARS or not shown.isprintable() or not shown.strip():
        raise InvalidFieldError(f"1 to {MAX_NAME_CHARS} printable characters", pointer="/name")
    kind = (content_type or "").strip()
    return NewFile(realm, shown, kind if _MEDIA_TYPE.fullmatch(kind) else DEFAULT_CONTENT_TYPE)


async def begin_file(
    hub: Hub, actor: Actor, new: NewFile, *, size_bytes: int = 0, sha256: str = ""
) -> FileRecord:
    """Make room for a file and return its row, which nobody sees yet.

    Raises:
        AccessDeniedError: the caller may not put files into that realm.
        InvalidFieldError: no such realm.
    """
    authorize(actor, "files.write", realm=new.realm)
    id, now = clock.new_id(), clock.now()
    record = FileRecord(
        id=id,
        realm=new.realm,
        name=new.name,
        key=f"files/{id}",
        bytes=size_bytes,
        sha256=sha256,
        content_type=new.content_type,
        created_by=actor.subject,
        created_at=now,
        expires_at=now + timedelta(seconds=hub.settings.upload_seconds + SPARE_SECONDS),
        state=UPLOADING,
    )

    def unit(uow: UnitOfWork) -> None:
        if uow.realms.get(new.realm) is None:
            raise InvalidFieldError(f"no realm {new.realm}", pointer="/realm")
        uow.files.add(record)

    await hub.database.write(unit)
    return record


async def store_content(hub: Hub, record: FileRecord, parts: AsyncIterator[bytes]) -> Meter:
    """Put the bytes of a file that was begun into the store; nothing is kept when that fails.

    Raises:
        ContentTooBigError, UploadTimeoutError: more bytes, or longer, than this hub allows.
        FileStoreError, UnavailableError: the store does not take them.
    """
    meter = Meter(hub.settings.max_file_bytes)
    try:
        async with asyncio.timeout(hub.settings.upload_seconds):
            await hub.files.put(record.key, meter.measure(parts), content_type=record.content_type)
    except TimeoutError:
        await give_up_file(hub, record)
        raise UploadTimeoutError("the upload took too long") from None
    except BaseException:
        await asyncio.shield(give_up_file(hub, record))
        raise
    return meter


def finish_file(
    uow: UnitOfWork, actor: Actor, record: FileRecord, *, size_bytes: int, sha256: str
) -> FileRecord:
    """Make a file whose bytes are in the store visible, with its leaf in the record."""
    made = uow.files.update(
        record.id, state=READY, bytes=size_bytes, sha256=sha256, expires_at=None
    )
    uow.audit.append(
        "file.created",
        actor.subject,
        record.id,
        {"realm": record.realm, "bytes": size_bytes, "sha256": sha256},
        realms=(record.realm,),
        personal={"name": record.name},
    )
    return made


async def give_up_file(hub: Hub, record: FileRecord) -> None:
    """Remove what there is of a file that nobody will see."""
    try:
        await _remove(hub, record)
    except Error as exc:
        # The row stays and expires; clearing up tries again.
        log.info("file_left_for_later", id=record.id, error=exc.code)


async def complete_file(
    hub: Hub,
    actor: Actor,
    file_id: str,
) -> FileRecord:
    """Take over what was put to the URL of a grant, if it is what was announced.

    The bytes move to a place that no URL leads to, hashed on the way: whoever still holds the URL
    can change nothing any more. Completing again gives the same file.

    Raises:
        HiddenError: no such file, or none of the caller's.
        StateConflictError, WrongContentError: nothing was put there, or other bytes.
    """
    record = await hub.database.read(lambda uow: uow.files.get(file_id))
    record = _visible(actor, record, "files.write")
    if record.state == READY:
        return record
    if record.state != UPLOADING or not record.sha256 or record.intent_id is not None:
        raise HiddenError("no such upload")
    if record.created_by != actor.subject:
        raise HiddenError("no such upload")
    incoming = incoming_key(record)
    try:
        info = await hub.files.stat(incoming)
        if info.bytes != record.bytes:
            raise StateConflictError(f"{info.bytes} bytes were put there, not {record.bytes}")
        parts = await hub.files.get(incoming)
    except NotFoundError:
        raise StateConflictError("nothing was put to its URL yet") from None
    checked = check_content(parts, size_bytes=record.bytes, sha256=record.sha256)
    await hub.files.put(record.key, checked, content_type=record.content_type)

    def unit(uow: UnitOfWork) -> FileRecord:
        present = uow.files.get(file_id)
        if present is None:
            raise HiddenError("no such upload")
        if present.state == READY:
            return present
        return finish_file(uow, actor, present, size_bytes=present.bytes, sha256=present.sha256)

    try:
        made = await hub.database.write(unit)
    except HiddenError:
        await _forget_quietly(hub, record.key)
        raise
    await _forget_quietly(hub, incoming)
    announce_file(hub, "file.created", made)
    return made


def incoming_key(record: FileRecord) -> str:
    """Return where the holder of a grant puts a file, before anybody has looked at it."""
    return f"incoming/{record.id}"


async def list_files(
    hub: Hub, actor: Actor, *, realm: str | None, intent: str | None, limit: int, cursor: str | None
) -> Page[FileRecord]:
    """Return a page of the files the caller may see, newest first."""
    realms = realms_with(actor, "files.read")

    def unit(uow: UnitOfWork) -> Page[FileRecord]:
        if intent is None:
            return uow.files.list(realm=realm, realms=realms, limit=limit, cursor=cursor)
        found = [
            one
            for one in uow.files.of_intent(intent)
            if one.state == READY
            and realm in (None, one.realm)
            and (realms is None or one.realm in realms)
        ]
        return Page(tuple(found))

    return await hub.database.read(unit)


async def load_file(hub: Hub, actor: Actor, file_id: str) -> FileRecord:
    """Return a file's row.

    Raises:
        HiddenError: no such file, none the caller may see, or not whole yet.
    """
    record = await hub.database.read(lambda uow: uow.files.get(file_id))
    if record is None or record.state != READY:
        raise HiddenError("no such file")
    return _visible(actor, record, "files.read")


async def open_content(
    hub: Hub, record: FileRecord, *, start: int = 0, end: int | None = None
) -> AsyncIterator[bytes]:
    """Return bytes `start` up to `end` of a file; a whole one is checked against its digest.

    Raises:
        HiddenError: the store has lost it.
        FileStoreError, UnavailableError: the store does not answer.
    """
    try:
        if start == 0 and end in (None, record.bytes):
            parts = await hub.files.get(record.key)
            return check_content(parts, size_bytes=record.bytes, sha256=record.sha256)
        return await hub.files.get(record.key, start=start, end=end)
    except NotFoundError:
        log.error("file_lost", id=record.id, key=record.key)
        raise HiddenError("the file store no longer has this file") from None


async def delete_file(hub: Hub, actor: Actor, file_id: str) -> None:
    """Remove a file for good; it is gone for everybody at once.

    Raises:
        HiddenError: no such file, or none the caller may see.
        AccessDeniedError: the caller may see it only.
    """

    def unit(uow: UnitOfWork) -> FileRecord:
        record = uow.files.get(file_id)
        if record is None or record.state != READY:
            raise HiddenError("no such file")
        _visible(actor, record, "files.write")
        uow.audit.append(
            "file.deleted",
            actor.subject,
            record.id,
            {"realm": record.realm, "sha256": record.sha256},
            realms=(record.realm,),
            personal={"name": record.name},
        )
        return uow.files.update(file_id, state=REMOVING, expires_at=uow.now)

    record = await hub.database.write(unit)
    announce_file(hub, "file.deleted", record)
    await give_up_file(hub, record)


async def outputs_of(hub: Hub, intent_id: str) -> Sequence[FileRecord]:
    """Return the whole files that an order's result speaks of."""
    found = await hub.database.read(lambda uow: uow.files.of_intent(intent_id))
    return [one for one in found if one.state == READY]


async def clear_unfinished(hub: Hub) -> None:
    """Remove uploads that were never finished and files whose removal broke off."""
    now = clock.now()
    for record in await hub.database.read(lambda uow: uow.files.due_expired(now)):
        if record.state != READY:
            await give_up_file(hub, record)


def announce_file(hub: Hub, type: str, record: FileRecord) -> None:
    """Tell live views of a file that came or went."""
    data = {"id": record.id, "name": record.name, "bytes": record.bytes}
    hub.events.emit(type, realm=record.realm, data=data, subject=record.id)


def _visible(actor: Actor, record: FileRecord | None, permission: str) -> FileRecord:
    if record is None:
        raise HiddenError("no such file")
    authorize_one(actor, permission, (record.realm,), see="files.read")
    return record


async def _remove(hub: Hub, record: FileRecord) -> None:
    await hub.files.delete(record.key)
    if record.intent_id is None:
        await hub.files.delete(incoming_key(record))
    await hub.database.write(_forget(record.id))


def _forget(file_id: str) -> Callable[[UnitOfWork], None]:
    def unit(uow: UnitOfWork) -> None:
        present = uow.files.get(file_id)
        # What became visible in the meantime is somebody's file.
        if present is not None and present.state != READY:
            uow.files.delete(file_id)

    return unit


async def _forget_quietly(hub: Hub, key: str) -> None:
    try:
        await hub.files.delete(key)
    except Error as exc:
        log.info("file_left_for_later", key=key, error=exc.code)
