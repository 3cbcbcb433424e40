"""The record: read, signed as checkpoints, proved leaf by leaf, taken away whole (SPEC section 9).

Leaves are appended by whoever changes something, in the same unit. Here they only are counted and
signed. The tree over them is kept in memory as its frontier and caught up from the database; proofs
are `controlplane.audit.proofs`.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from controlplane.access.authorize import Actor, authorize
from controlplane.audit.proofs import Proofs
from controlplane.context import Hub
from controlplane.errors import HiddenError, InvalidFieldError
from controlplane.identity import HubIdentity
from protocol.audit_tree import Tree, leaf_hash
from protocol.checkpoint import seal_checkpoint
from storage.database import Database
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import AuditLeaf, Checkpoint
from storage.unit_of_work import UnitOfWork

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
        self._proofs = Proofs(database)

    async def sign_newest(self) -> Checkpoint | None:
        """Return a checkpoint over every leaf there is; None over an empty record.

        Raises:
            UnavailableError: the database cannot be asked.
        """

        def behind(uow: UnitOfWork) -> tuple[int, Checkpoint | None]:
            return uow.audit.size(), uow.audit.latest_checkpoint()

        size, latest = await self._database.read(behind)
        if size == 0:
            return None
        if latest is not None and latest.size >= size:
            return latest
        while self._tree.size < size:
            start, end = self._tree.size, min(size, self._tree.size + _CHUNK)
            for one in await self._database.read(lambda uow: uow.audit.hashes(start, end)):  # noqa: B023
                self._tree.append(one)
        size = self._tree.size
        text = seal_checkpoint(
            log_origin(self._identity), size, self._tree.root(), self._identity.log_key
        )

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


async def list_leaves(
    hub: Hub, reader: Actor, *, limit: int, cursor: str | None, **filters: Any
) -> Page[AuditLeaf]:
    """Return a page of the record, newest first; `AccessDeniedError` for who may not read it."""
    authorize(reader, "audit.read")
    return await hub.database.read(
        lambda uow: uow.audit.list(limit=limit, cursor=cursor, **filters)
    )


async def newest_checkpoint(hub: Hub) -> Checkpoint:
    """Return a checkpoint over the whole record; `HiddenError` when there is no leaf yet."""
    checkpoint = await hub.record.sign_newest()
    if checkpoint is None:
        raise HiddenError("the record is empty")
    return checkpoint


async def prove_inclusion(hub: Hub, *, index: int | None, intent: str | None) -> dict[str, Any]:
    """Return a leaf with its proof under the newest checkpoint.

    Args:
        hub: whose record.
        index: of the leaf.
        intent: instead of it: the leaf that ended this order, else the one that took it in.

    Raises:
        HiddenError: no such leaf.
        InvalidFieldError: neither or both are given.
    """
    if (index is None) == (intent is None):
        raise InvalidFieldError("either index or intent", pointer="?index")
    checkpoint = await newest_checkpoint(hub)

    def unit(uow: UnitOfWork) -> AuditLeaf:
        if intent is not None:
            about = [one for one in uow.audit.of_subject(intent) if one.index < checkpoint.size]
            ends = [one for one in about if one.kind == "intent.finished"]
            found = ends or about
        else:
            assert index is not None
            found = uow.audit.leaves(index, index + 1) if 0 <= index < checkpoint.size else []
        if not found:
            raise HiddenError("no such leaf")
        return found[0]

    leaf = await hub.database.read(unit)
    proof = await hub.record.prove_inclusion(leaf.index, checkpoint.size)
    return {
        "index": leaf.index,
        "size": checkpoint.size,
        "leaf": leaf.leaf.decode(),
        "leafHash": _base64(leaf_hash(leaf.leaf)),
        "proof": [_base64(one) for one in proof],
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


async def export_record(hub: Hub) -> AsyncIterator[bytes]:
    """Yield the record as JSON lines: a header with checkpoint and keys, then every leaf.

    The checkpoint covers exactly the leaves that follow it, so the file proves itself: hash the
    leaves, compare the root, verify the note under the log key that the root delegated to.
    """
    checkpoint = await newest_checkpoint(hub)
    header = {"kind": "header", "version": 1, **checkpoint_view(hub, checkpoint)}
    yield orjson.dumps(header) + b"\n"
    for start in range(0, checkpoint.size, _CHUNK):
        end = min(checkpoint.size, start + _CHUNK)
        leaves = await hub.database.read(lambda uow: uow.audit.leaves(start, end))  # noqa: B023
        lines = [
            orjson.dumps({"kind": "leaf", "index": one.index, "leaf": one.leaf.decode()})
            for one in leaves
        ]
        yield b"\n".join(lines) + b"\n"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
