"""The record taken away: as proof that needs no hub, as lines for other programs, as CEF.

The proof holds every leaf its reader chose and may read, and of all others the hash, so that the
whole tree stands in it and leads to one signed checkpoint, however little of it is shown.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import orjson

from controlplane.audit.cef import cef_line
from controlplane.audit.service import (
    Entry,
    checkpoint_view,
    newest_checkpoint,
    personal_view,
    with_personal,
)
from controlplane.audit.witnesses import cosigned_note, load_cosignatures
from controlplane.context import Hub
from protocol.audit_leaf import Assurance
from protocol.timestamps import format_timestamp
from storage.records import AuditFilter
from storage.unit_of_work import UnitOfWork

_CHUNK: Final = 1_000
"""Leaves read at a time."""
_HASHES_A_LINE: Final = 256

FORMATS: Final = ("proof", "jsonl", "cef")


async def export_proof(hub: Hub, chosen: AuditFilter) -> AsyncIterator[bytes]:
    """Yield JSON lines: a header with checkpoint and keys, then leaves, and hashes of the rest.

    The checkpoint covers exactly the leaves and hashes that follow it, so the file proves itself.
    """
    checkpoint = await newest_checkpoint(hub)
    words = await load_cosignatures(hub, checkpoint.size)
    whole = chosen == AuditFilter()
    header = {
        "kind": "header",
        "version": 1,
        "whole": whole,
        "cosigned": [cosigned_note(one) for one in words],
        **checkpoint_view(hub, checkpoint),
    }
    yield orjson.dumps(header) + b"\n"
    for start in range(0, checkpoint.size, _CHUNK):
        end = min(checkpoint.size, start + _CHUNK)

        def unit(uow: UnitOfWork) -> tuple[list[Entry], list[bytes]]:
            leaves = uow.audit.matching(chosen, start, end)  # noqa: B023
            hashes = [] if whole else uow.audit.hashes(start, end)  # noqa: B023
            return with_personal(uow, leaves), hashes

        entries, hashes = await hub.database.read(unit)
        lines: list[bytes] = []
        at = start
        for entry in entries:
            if not whole:
                lines += _hash_lines(at, hashes[at - start : entry.leaf.index - start])
            lines.append(_proof_line(entry))
            at = entry.leaf.index + 1
        if not whole:
            lines += _hash_lines(at, hashes[at - start :])
        yield b"".join(lines)


async def export_lines(
    hub: Hub, chosen: AuditFilter, line: Callable[[Entry], bytes]
) -> AsyncIterator[bytes]:
    """Yield one line an entry, oldest first, of every entry there is when it begins."""
    size = await hub.database.read(lambda uow: uow.audit.size())
    for start in range(0, size, _CHUNK):
        end = min(size, start + _CHUNK)
        entries = await hub.database.read(
            lambda uow: with_personal(uow, uow.audit.matching(chosen, start, end))  # noqa: B023
        )
        yield b"".join(line(one) for one in entries)


def export_as(hub: Hub, chosen: AuditFilter, form: str) -> AsyncIterator[bytes]:
    """Return the record in one of `FORMATS`."""
    if form == "proof":
        return export_proof(hub, chosen)
    return export_lines(hub, chosen, json_line if form == "jsonl" else cef_entry)


def entry_view(entry: Entry) -> dict[str, Any]:
    """Return an entry as people and programs read it; a personal value that was erased is null."""
    leaf, content = entry.leaf, orjson.loads(entry.leaf.leaf)
    personal: dict[str, Any] = dict.fromkeys(content.get("personal", ()))
    personal.update({one.field: one.value for one in entry.personal})
    return {
        "index": leaf.index,
        "at": format_timestamp(leaf.at),
        "kind": leaf.kind,
        "actor": leaf.actor,
        "assurance": content.get("assurance", Assurance.UNKNOWN.value),
        "subject": leaf.subject,
        "realms": content.get("realms", []),
        "data": content["data"],
        "personal": personal,
        "hash": leaf.hash.hex(),
    }


def json_line(entry: Entry) -> bytes:
    """Return an entry as one line of JSON."""
    return orjson.dumps(entry_view(entry)) + b"\n"


def cef_entry(entry: Entry) -> bytes:
    """Return an entry as one line of CEF."""
    return cef_line(entry_view(entry)).encode()


def _proof_line(entry: Entry) -> bytes:
    leaf = entry.leaf
    line: dict[str, Any] = {
        "kind": "leaf",
        "index": leaf.index,
        "leaf": leaf.leaf.decode(),
        # As it was noted beside the leaf: a leaf that was changed since is found by it.
        "hash": base64.b64encode(leaf.hash).decode(),
    }
    if entry.personal:
        line["personal"] = personal_view(entry.personal)
    return orjson.dumps(line) + b"\n"


def _hash_lines(start: int, hashes: Sequence[bytes]) -> list[bytes]:
    lines = []
    for at in range(0, len(hashes), _HASHES_A_LINE):
        some = [base64.b64encode(one).decode() for one in hashes[at : at + _HASHES_A_LINE]]
        lines.append(orjson.dumps({"kind": "hashes", "start": start + at, "hashes": some}) + b"\n")
    return lines
