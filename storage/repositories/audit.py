"""The append-only record: leaves, and the tree over them, in the transaction of the change."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Fields
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, insert, literal_column, select, update

from protocol.audit_leaf import (
    SALT_BYTES,
    Assurance,
    LeafDraft,
    assurance_of,
    draft_leaf,
    number_leaf,
    personal_hash,
)
from protocol.audit_tree import HASH_BYTES, Tree, leaf_hash
from storage.errors import StorageError
from storage.in_list import InList, list_value
from storage.mapping import Mapping
from storage.pages import DEFAULT_PAGE_LIMIT, Page, bound_limit, page_of, parse_cursor
from storage.records import AuditFilter, AuditLeaf, Checkpoint, Cosignature, PersonalValue
from storage.repositories.base import Repository
from storage.tables.audit import (
    audit_checkpoints,
    audit_leaf_realms,
    audit_leaves,
    audit_personal,
    audit_tree,
    audit_witnesses,
)
from storage.tables.columns import TIME, encode_json
from storage.transaction import BulkInsert, Prepared, Transaction

_T = audit_leaves.c
_R = audit_leaf_realms.c
_P = audit_personal.c
MAX_WITNESSES: Final = 16
"""One more, and the one that has been silent for longest is forgotten."""
_MAPPING: Mapping[AuditLeaf] = Mapping(audit_leaves, AuditLeaf)
_CHECKPOINTS: Mapping[Checkpoint] = Mapping(audit_checkpoints, Checkpoint)
_PERSONAL: Mapping[PersonalValue] = Mapping(audit_personal, PersonalValue)
_WITNESSES: Mapping[Cosignature] = Mapping(audit_witnesses, Cosignature)
_ADD = BulkInsert(audit_leaves, _MAPPING.names)
_ADD_REALM = BulkInsert(audit_leaf_realms, ("realm", "index"))
_ADD_PERSONAL = BulkInsert(audit_personal, _PERSONAL.names)
_LATEST_CHECKPOINT = Prepared(
    select(*_CHECKPOINTS.columns)
    .order_by(audit_checkpoints.c.size.desc())
    .limit(literal_column("1"))
)
_THE_TREE = audit_tree.c.id == bindparam("key")
_LOAD = select(audit_tree.c.size, audit_tree.c.frontier).where(_THE_TREE)
_LOOK = Prepared(_LOAD)
_SPAN = (_T.index >= bindparam("start"), _T.index < bindparam("end"))
_HASHES = Prepared(select(_T.hash).where(*_SPAN).order_by(_T.index))
_OF_KINDS = Prepared(
    select(*_MAPPING.columns).where(*_SPAN, InList(_T.kind, "kinds")).order_by(_T.index)
)
# One appender at a time: on Postgres the row is locked until the commit, so a second hub waits
# here and then reads what the first one left (SQLite has one writer anyway). Taken last, when all
# else of the transaction is written: whatever stands between this and the commit, all hubs share.
_TAKE = Prepared(_LOAD.with_for_update())
_SAVE = Prepared(
    update(audit_tree)
    .where(_THE_TREE)
    .values(size=bindparam("new_size"), frontier=bindparam("new_frontier"))
)


Leaves = list[AuditLeaf]
Rows = list[tuple[Any, ...]]


# When, kind, actor, subject, realms, what stands around its index, what is personal, whose that is.
_Unnumbered = tuple[
    datetime,
    str,
    str,
    str,
    tuple[str, ...],
    LeafDraft,
    Sequence[tuple[str, bytes, Any]],
    str,
]


class Audit(Repository[AuditLeaf]):
    """Leaves by index, from 0, without gaps; in the order in which units appended them."""

    mapping = _MAPPING
    noun = "audit leaf"

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction)
        self._tree: Tree | None = None  # the log as this transaction will leave it
        self._unnumbered: list[_Unnumbered] = []

    def append(
        self,
        kind: str,
        actor: str,
        subject: str,
        data: dict[str, Any],
        *,
        realms: Collection[str] = (),
        assurance: Assurance | None = None,
        personal: Fields[str, Any] | None = None,
        person: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Append one leaf; it has its index once the transaction, or whoever reads, asks for it.

        Args:
            kind: what happened, such as `intent.submitted`.
            actor: who did it: a DID, `user:<uuid>`, `key:<uuid>` or `hub`.
            subject: what it was done to.
            data: facts, never secrets.
            realms: whose readers may read it; none for what concerns the hub as a whole.
            assurance: how the actor is known, where the form of their name does not tell.
            personal: what a person may want forgotten, by name; what is empty is left out.
            person: whose that is; the actor's otherwise.
            at: when; the time of the transaction otherwise.
        """
        moment = at or self._tx.now
        hashes: dict[str, bytes] = {}
        beside: list[tuple[str, bytes, Any]] = []
        if personal:
            for name, value in personal.items():
                if value is None or value == "":
                    continue
                salt = os.urandom(SALT_BYTES)
                hashes[name] = personal_hash(salt, value)
                beside.append((name, salt, encode_json(value)))
        ordered = tuple(realms) if len(realms) < 2 else tuple(sorted(set(realms)))
        try:
            draft = draft_leaf(
                at=moment,
                kind=kind,
                actor=actor,
                subject=subject,
                data=data,
                assurance=assurance or assurance_of(actor),
                realms=ordered,
                personal=hashes,
                salt=os.urandom(SALT_BYTES),
            )
        except ValueError as exc:
            raise StorageError("an entry of the record is too long") from exc
        self._tx.check_writable()
        self._unnumbered.append(
            (moment, kind, actor, subject, ordered, draft, beside, person or actor)
        )

    def number(self) -> None:
        """Give every new leaf its index and write it; no other hub appends until the commit.

        The end of the transaction does it, after everything else. What reads the record does it
        too, so that it sees what its own transaction appended.

        Raises:
            StorageError: a leaf is too long.
        """
        waiting, self._unnumbered = self._unnumbered, []
        if not waiting:
            return
        if self._tree is None:
            self._tree = self._load(_TAKE)
        digests: list[bytes] = []
        leaves: Rows = []
        realms: Rows = []
        personal: Rows = []
        for index, one in enumerate(waiting, self._tree.size):
            moment, kind, actor, subject, its_realms, draft, its_personal, person = one
            at = TIME.encode(moment)
            try:
                leaf = number_leaf(draft, index)
            except ValueError as exc:
                raise StorageError("an entry of the record is too long") from exc
            digest = leaf_hash(leaf)
            digests.append(digest)
            leaves.append((index, at, kind, actor, subject, leaf, digest))
            for realm in its_realms:
                realms.append((realm, index))
            for beside in its_personal:
                personal.append((index, *beside, person, at))
        self._tree.extend(digests)
        for bulk, rows in ((_ADD, leaves), (_ADD_REALM, realms), (_ADD_PERSONAL, personal)):
            if rows:
                self._tx.defer(bulk, rows)
                self._tx.flush(bulk)
        frontier = b"".join(self._tree.frontier)
        self._tx.run(_SAVE, key=1, new_size=self._tree.size, new_frontier=frontier)

    def size(self) -> int:
        """Return how many leaves there are."""
        return self.tree().size

    def tree(self) -> Tree:
        """Return the tree over every leaf, to name its root; not to append to."""
        self.number()
        tree = self._tree or self._load(_LOOK)
        return Tree(tree.size, tree.frontier)

    def _whole(self) -> Transaction:
        self.number()
        return self._tx

    def _all(
        self, *where: ColumnElement[bool], order: Any = None, limit: int | None = None
    ) -> Leaves:
        self.number()
        return super()._all(*where, order=order, limit=limit)

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

    def of_kinds(self, start: int, end: int, kinds: Collection[str]) -> list[AuditLeaf]:
        """Return the leaves with start <= index < end of these kinds, in order."""
        if not kinds:
            return []
        listed = list_value(sorted(kinds), is_sqlite=self._tx.is_sqlite)
        rows = self._whole().rows(_OF_KINDS, start=start, end=end, kinds=listed)
        return [_MAPPING.record(row) for row in rows]

    def hashes(self, start: int, end: int) -> list[bytes]:
        """Return the leaf hashes with start <= index < end."""
        return [bytes(row[0]) for row in self._whole().rows(_HASHES, start=start, end=end)]

    def is_in(self, index: int, realms: Collection[str]) -> bool:
        """Whether readers of one of these realms may read a leaf."""
        where = (_R.index == index, _R.realm.in_(realms))
        return self._whole().core(select(_R.index).where(*where).limit(1)).first() is not None

    def personal(self, indexes: Sequence[int]) -> dict[int, list[PersonalValue]]:
        """Return what is still there of the personal values of these leaves."""
        found: dict[int, list[PersonalValue]] = {}
        statement = select(*_PERSONAL.columns).where(_P.index.in_(indexes)).order_by(_P.field)
        for row in self._whole().core(statement):
            value = _PERSONAL.record(row)
            found.setdefault(value.index, []).append(value)
        return found

    def erase_person(self, person: str) -> int:
        """Erase every personal value of somebody; return how many there were."""
        return self._whole().core(delete(audit_personal).where(_P.person == person)).rowcount

    def erase_before(self, moment: datetime, limit: int) -> int:
        """Erase up to `limit` personal values from before a time; return how many."""
        oldest = select(_P.index).where(_P.at < TIME.encode(moment)).order_by(_P.at).limit(limit)
        indexes = [int(one) for one in self._whole().core(oldest).scalars()]
        if not indexes:
            return 0
        return self._tx.core(delete(audit_personal).where(_P.index.in_(indexes))).rowcount

    def list(
        self,
        chosen: AuditFilter | None = None,
        *,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
    ) -> Page[AuditLeaf]:
        """Return a page, newest first."""
        chosen = chosen or AuditFilter()
        limit = bound_limit(limit)
        where, key = _where(chosen), _T.index
        if chosen.realms is not None and len(chosen.realms) == 1:
            # Along the realm's own index: a small realm in a long record is not searched for.
            key = _R.index
            where = [*_where(chosen, with_realms=False), _R.realm == next(iter(chosen.realms))]
            where.append(_R.index == _T.index)
        if cursor is not None:
            (before,) = parse_cursor(cursor, (int,))
            where.append(key < before)
        statement = select(*_MAPPING.columns).where(*where).order_by(key.desc()).limit(limit + 1)
        leaves = [_MAPPING.record(row) for row in self._whole().core(statement)]
        return page_of(leaves, limit, [(leaf.index,) for leaf in leaves])

    def matching(self, chosen: AuditFilter, start: int, end: int) -> Sequence[AuditLeaf]:
        """Return the chosen leaves with start <= index < end, oldest first."""
        where = [*_where(chosen), _T.index >= start, _T.index < end]
        return self._all(*where, order=_T.index)

    def of_subject(self, subject: str) -> Sequence[AuditLeaf]:
        """Return every leaf about one thing, oldest first."""
        return self._all(_T.subject == subject, order=_T.index)

    def latest_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint over the most leaves, or None."""
        self._tx.flush()
        row = self._tx.row(_LATEST_CHECKPOINT)
        return None if row is None else _CHECKPOINTS.record(row)

    def checkpoint(self, size: int) -> Checkpoint | None:
        """Return the checkpoint over so many leaves, or None."""
        where = audit_checkpoints.c.size == size
        row = self._tx.core(select(*_CHECKPOINTS.columns).where(where)).first()
        return None if row is None else _CHECKPOINTS.record(row)

    def forget_checkpoints(self, keep: int) -> None:
        """Forget all but the newest `keep`; what a witness has signed is kept with its word."""
        column = audit_checkpoints.c.size
        last = select(column).order_by(column.desc()).offset(keep).limit(1)
        if (oldest := self._tx.core(last).scalar()) is not None:
            self._tx.core(delete(audit_checkpoints).where(column <= oldest))

    def save_checkpoint(self, text: str, size: int, at: datetime | None = None) -> None:
        """Keep a signed checkpoint; one of this size already there is a `ConflictError`."""
        values = _CHECKPOINTS.values(Checkpoint(size, text, at or self._tx.now))
        self._tx.core(insert(audit_checkpoints).values(values))

    def save_cosignature(self, cosignature: Cosignature) -> bool:
        """Keep a witness's newest word; an older one than is kept changes nothing (False)."""
        key = audit_witnesses.c.key
        held = self._tx.core(select(audit_witnesses.c.size).where(key == cosignature.key)).scalar()
        if held is not None and held > cosignature.size:
            return False
        self._tx.core(delete(audit_witnesses).where(key == cosignature.key))
        self._tx.core(insert(audit_witnesses).values(_WITNESSES.values(cosignature)))
        for one in self.cosignatures()[MAX_WITNESSES:]:
            self._tx.core(delete(audit_witnesses).where(key == one.key))
        return True

    def cosignatures(self) -> Sequence[Cosignature]:
        """Return the newest cosignature of each witness, the latest first."""
        order = (audit_witnesses.c.at.desc(), audit_witnesses.c.key)
        rows = self._tx.core(select(*_WITNESSES.columns).order_by(*order))
        return [_WITNESSES.record(row) for row in rows]


def _where(chosen: AuditFilter, *, with_realms: bool = True) -> list[ColumnElement[bool]]:
    where: list[ColumnElement[bool]] = []
    for name in ("subject", "actor"):
        value = getattr(chosen, name)
        if value is not None:
            where.append(_T[name] == value)
    if chosen.kind is not None and chosen.kind.endswith(".*"):
        where.append(_T.kind.startswith(chosen.kind.removesuffix("*"), autoescape=True))
    elif chosen.kind is not None:
        where.append(_T.kind == chosen.kind)
    if chosen.since is not None:
        where.append(_T.at >= TIME.encode(chosen.since))
    if chosen.until is not None:
        where.append(_T.at < TIME.encode(chosen.until))
    if chosen.realms is not None and with_realms:
        theirs = select(_R.index).where(_R.index == _T.index, _R.realm.in_(chosen.realms))
        where.append(theirs.exists())
    return where
