"""The record: read, signed as checkpoints, proved leaf by leaf (SPEC section 9).

Leaves are appended by whoever changes something, in the same unit. Here they only are counted and
signed. The tree over them is kept in memory as its frontier and caught up from the database. Proofs
are `controlplane.audit.proofs`, what is taken away `controlplane.audit.export`. Who may read the
record of a realm reads its leaves alone; of all others they see hashes, which say nothing.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from controlplane.access.authorize import Actor, authorize, realms_with
from controlplane.audit.proofs import Proofs
from controlplane.context import Hub
from controlplane.errors import HiddenError, InvalidFieldError, RecordDamagedError
from controlplane.identity import HubIdentity
from protocol.audit_tree import Tree, leaf_hash
from protocol.checkpoint import seal_checkpoint
from storage.database import Database
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import AuditFilter, AuditLeaf, Checkpoint, PersonalValue
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

_CHUNK: Final = 1_000
"""Leaves read at a time."""


def log_origin(identity: HubIdentity) -> str:
    """Return the name of this hub's log: the first line of its checkpoints."""
    # The record outlives its root: it keeps the name it was begun with.
    rotations = identity.root_rotations
    first = rotations[0].public_key if rotations else identity.root
    return f"writ.v1/log/{first.multikey}"


class RecordKeeper:
    """Signs a checkpoint whenever the record has grown, and proves what it says."""

    def __init__(self, database: Database, identity: HubIdentity) -> None:
        self._database = database
        self._identity = identity
        self._tree = Tree()
        self._signing = asyncio.Lock()
        self._proofs = Proofs(database)

    async def sign_newest(self) -> Checkpoint | None:
        """Return a checkpoint over every leaf there is; None over an empty record.

        Raises:
            RecordDamagedError: somebody has changed leaves in the database: nothing is signed.
            UnavailableError: the database cannot be asked.
        """
        async with self._signing:  # two at once would both append what they read to the one tree
            return await self._sign_newest()

    async def _sign_newest(self) -> Checkpoint | None:
        def behind(uow: UnitOfWork) -> tuple[Tree, Checkpoint | None]:
            return uow.audit.tree(), uow.audit.latest_checkpoint()

        kept, latest = await self._database.read(behind)
        size = kept.size
        if size == 0:
            return None
        if latest is not None and latest.size >= size:
            return latest
        while self._tree.size < size:
            start, end = self._tree.size, min(size, self._tree.size + _CHUNK)
            hashes = await self._database.read(lambda uow: uow.audit.hashes(start, end))  # noqa: B023
            self._tree.extend(hashes)
        if self._tree.root() != kept.root():
            log.critical("record_damaged", leaves=size)
            raise RecordDamagedError("the leaves are not the tree that was grown with them")
        origin = log_origin(self._identity)
        text = seal_checkpoint(origin, size, kept.root(), self._identity.log_key)

        def save(uow: UnitOfWork) -> None:
            uow.audit.save_checkpoint(text, size)

        # A conflict: another hub has signed this very tree.
        with contextlib.suppress(ConflictError):
            await self._database.write(save)
        return (await self._database.read(behind))[1]

    async def prove_inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the audit path of leaf `index` in the tree of `size` leaves, which is on disk."""
        return await self._proofs.inclusion(index, size)

    async def prove_consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new` leaves, on disk, begins with that of `old`."""
        return await self._proofs.consistency(old, new)

    async def subtree_roots(self, spans: Sequence[tuple[int, int]], size: int) -> tuple[bytes, ...]:
        """Return the roots of complete subtrees of 256 leaves or more, of a tree on disk."""
        return await self._proofs.subtree_roots(spans, size)


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf with what is still there of the personal values beside it."""

    leaf: AuditLeaf
    personal: tuple[PersonalValue, ...] = ()


def read_by(reader: Actor, chosen: AuditFilter, *, realm: str | None = None) -> AuditFilter:
    """Return `chosen`, narrowed to what `reader` may read, and to one realm if asked.

    Raises:
        AccessDeniedError: they may read nothing.
        HiddenError: not that realm.
    """
    authorize(reader, "audit.read")
    held = realms_with(reader, "audit.read")
    if realm is None:
        return replace(chosen, realms=held)
    if held is not None and realm not in held:
        raise HiddenError("no such realm")
    return replace(chosen, realms=frozenset({realm}))


async def list_entries(
    hub: Hub, chosen: AuditFilter, *, limit: int, cursor: str | None
) -> Page[Entry]:
    """Return a page of the record, newest first."""

    def unit(uow: UnitOfWork) -> Page[Entry]:
        page = uow.audit.list(chosen, limit=limit, cursor=cursor)
        return Page(tuple(with_personal(uow, page.items)), page.next_cursor)

    return await hub.database.read(unit)


def with_personal(uow: UnitOfWork, leaves: Sequence[AuditLeaf]) -> list[Entry]:
    """Return leaves as entries."""
    values = uow.audit.personal([one.index for one in leaves]) if leaves else {}
    return [Entry(one, tuple(values.get(one.index, ()))) for one in leaves]


async def newest_checkpoint(hub: Hub) -> Checkpoint:
    """Return a checkpoint over the whole record; `HiddenError` when there is no leaf yet."""
    checkpoint = await hub.record.sign_newest()
    if checkpoint is None:
        raise HiddenError("the record is empty")
    return checkpoint


async def prove_inclusion(
    hub: Hub, reader: Actor | None = None, *, index: int | None, intent: str | None
) -> dict[str, Any]:
    """Return a leaf with its proof under the newest checkpoint.

    Args:
        hub: whose record.
        reader: who asks; leaves of other realms than theirs do not exist for them. None when the
            caller let somebody have this one leaf: without the personal values beside it.
        index: of the leaf.
        intent: instead of it: the leaf that ended this order, else the one that took it in.

    Raises:
        HiddenError: no such leaf.
        InvalidFieldError: neither or both are given.
    """
    if (index is None) == (intent is None):
        raise InvalidFieldError("either index or intent", pointer="?index")
    realms = None if reader is None else read_by(reader, AuditFilter()).realms
    checkpoint = await newest_checkpoint(hub)

    def unit(uow: UnitOfWork) -> Entry:
        if intent is not None:
            about = [one for one in uow.audit.of_subject(intent) if one.index < checkpoint.size]
            ends = [one for one in about if one.kind == "intent.finished"]
            found = ends or about
        else:
            assert index is not None
            found = uow.audit.leaves(index, index + 1) if 0 <= index < checkpoint.size else []
        if not found or (realms is not None and not uow.audit.is_in(found[0].index, realms)):
            raise HiddenError("no such leaf")
        return Entry(found[0]) if reader is None else with_personal(uow, found[:1])[0]

    entry = await hub.database.read(unit)
    leaf = entry.leaf
    proof = await hub.record.prove_inclusion(leaf.index, checkpoint.size)
    return {
        "index": leaf.index,
        "size": checkpoint.size,
        "leaf": leaf.leaf.decode(),
        "leafHash": _base64(leaf_hash(leaf.leaf)),
        "proof": [_base64(one) for one in proof],
        "personal": personal_view(entry.personal),
        **checkpoint_view(hub, checkpoint),
    }


async def prove_consistency(hub: Hub, old: int, new: int) -> dict[str, Any]:
    """Return the proof that the first `old` leaves are the same in the tree of `new` leaves."""
    checkpoint = await newest_checkpoint(hub)
    if not 0 <= old <= new:
        raise InvalidFieldError("0 <= old <= new", pointer="?old")
    if new > checkpoint.size:
        raise InvalidFieldError(f"the record has {checkpoint.size} leaves", pointer="?new")
    proof = await hub.record.prove_consistency(old, new)
    return {"old": old, "new": new, "proof": [_base64(one) for one in proof]}


def checkpoint_view(hub: Hub, checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint with what proves whose it is."""
    identity = hub.identity
    return {
        "checkpoint": checkpoint.text,
        "size": checkpoint.size,
        "root": identity.root_did,
        "log": identity.log_did,
        "logDelegation": identity.log_delegation.wire.decode(),
    }


def personal_view(values: Sequence[PersonalValue]) -> dict[str, Any]:
    """Return personal values with the salts that prove them, by the name of the field."""
    return {one.field: {"salt": _base64(one.salt), "value": one.value} for one in values}


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
