"""The append-only record: leaves, and the tree over them, in the transaction of the change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from protocol.audit_tree import HASH_BYTES, Tree, leaf_hash
from protocol.canonical import canonical_json
from protocol.timestamps import format_timestamp
from storage.errors import StorageError
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page
from storage.records import AuditLeaf, Checkpoint
from storage.repositories.base import Repository
from storage.tables.audit import audit_checkpoints, audit_leaves, audit_tree
from storage.tables.columns import TIME
from storage.transaction import BulkInsert, Prepared, Transaction

_T = audit_leaves.c
_MAPPING: Mapping[AuditLeaf] = Mapping(audit_leaves, AuditLeaf)
_CHECKPOINTS: Mapping[Checkpoint] = Mapping(audit_checkpoints, Checkpoint)
_ADD = BulkInsert(audit_leaves, _MAPPING.names)
_THE_TREE = audit_tree.c.id == bindparam("key")
_LOAD = select(audit_tree.c.size, audit_tree.c.frontier).where(_THE_TREE)
_LOOK = Prepared(_LOAD)
# One appender at a time: on Postgres the row is locked until the commit, so a second hub waits
# here and then reads what the first one left (SQLite has one writer anyway).
_TAKE = Prepared(_LOAD.with_for_update())
_SAVE = Prepared(
    update(audit_tree)
    .where(_THE_TREE)
    .values(size=bindparam("new_size"), frontier=bindparam("new_frontier"))
)


class Audit(Repository[AuditLeaf]):
    """Leaves by index, from 0, without gaps."""

    mapping = _MAPPING
    noun = "audit leaf"

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self._tree: Tree | None = None  # the log as this transaction will leave it

    def append(
        self,
        kind: str,
        actor: str,
        subject: str,
        data: dict[str, Any],
        *,
        at: datetime | None = None,
    ) -> int:
        """Append one leaf and return its index.

        The leaf is the canonical JSON of {index, at, kind, actor, subject, data}.

        Args:
            kind: what happened, such as `intent.submitted`.
            actor: who did it: a DID, `user:<uuid>` or `hub`.
            subject: what it was done to.
            data: facts, never secrets.
            at: when; the time of the transaction otherwise.
        """
        if self._tree is None:
            self._tree = self._load(_TAKE)
        index = self._tree.size
        moment = at or self._tx.now
        leaf = canonical_json(
            {
                "index": index,
                "at": format_timestamp(moment),
                "kind": kind,
                "actor": actor,
                "subject": subject,
                "data": data,
            }
        )
        digest = leaf_hash(leaf)
        self._tree.append(digest)
        self._tx.defer(_ADD, [(index, TIME.encode(moment), kind, actor, subject, leaf, digest)])
        return index

    def flush(self) -> None:
        """Keep the tree over what was appended; the end of the transaction does it."""
        if self._tree is not None:
            frontier = b"".join(self._tree.frontier)
            self._tx.run(_SAVE, key=1, new_size=self._tree.size, new_frontier=frontier)

    def size(self) -> int:
        """Return how many leaves there are."""
        return self.tree().size

    def tree(self) -> Tree:
        """Return the tree over every leaf, to name its root; not to append to."""
        tree = self._tree or self._load(_LOOK)
        return Tree(tree.size, tree.frontier)

    def _load(self, statement: Prepared) -> Tree:
        row = self._tx.row(statement, key=1)
        if row is None:
            raise StorageError("the record has lost its tree")
        size, hashes = row
        starts = range(0, len(hashes), HASH_BYTES)
        return Tree(size, [bytes(hashes[at : at + HASH_BYTES]) for at in starts])

    def leaves(self, start: int, end: int) -> list[AuditLeaf]:
        """Return the leaves with start <= index < end."""
        return self._all(_T.index >= start, _T.index < end, order=_T.index)

    def hashes(self, start: int, end: int) -> list[bytes]:
        """Return the leaf hashes with start <= index < end."""
        statement = select(_T.hash).where(_T.index >= start, _T.index < end).order_by(_T.index)
        return [bytes(hash) for hash in self._tx.core(statement).scalars()]

    def list(
        self,
        *,
        subject: str | None = None,
        actor: str | None = None,
        kind: str | None = None,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[AuditLeaf]:
        """Return a page, newest first."""
        equal = {"subject": subject, "actor": actor, "kind": kind}
        where = [_T[name] == value for name, value in equal.items() if value is not None]
        return self._page(where, key=_T.index, limit=limit, cursor=cursor)

    def of_subject(self, subject: str) -> Sequence[AuditLeaf]:
        """Return every leaf about one thing, oldest first."""
        return self._all(_T.subject == subject, order=_T.index)

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint over the most leaves, or None."""
        statement = select(*_CHECKPOINTS.columns).order_by(audit_checkpoints.c.size.desc()).limit(1)
        row = self._tx.core(statement).first()
        return None if row is None else _CHECKPOINTS.record(row)

    def save_checkpoint(self, text: str, size: int, at: datetime | None = None) -> None:
        """Keep a signed checkpoint; one of this size already there is a `ConflictError`."""
        values = _CHECKPOINTS.values(Checkpoint(size, text, at or self._tx.now))
        self._tx.core(insert(audit_checkpoints).values(values))
