"""The record: every leaf provable, none ever changed, none without its change."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from protocol.audit_tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.canonical import canonical_json
from protocol.strict_json import parse_strict_json
from protocol.timestamps import format_timestamp
from storage.database import Database
from storage.errors import ConflictError, StorageError
from storage.records import Checkpoint
from tests.storage.samples import LATER, NOW


async def test_a_leaf_is_the_canonical_json_of_what_happened(database: Database) -> None:
    index = await database.write(
        lambda uow: uow.audit.append("intent.submitted", "user:1", "x", {"b": 1, "a": "ü"}, at=NOW)
    )
    (leaf,) = await database.read(lambda uow: uow.audit.leaves(0, 10))
    assert index == leaf.index == 0
    assert leaf.leaf == canonical_json(
        {
            "index": 0,
            "at": format_timestamp(NOW),
            "kind": "intent.submitted",
            "actor": "user:1",
            "subject": "x",
            "data": {"b": 1, "a": "ü"},
        }
    )
    assert leaf.hash == leaf_hash(leaf.leaf)
    assert (leaf.at, leaf.kind, leaf.actor, leaf.subject) == (
        NOW,
        "intent.submitted",
        "user:1",
        "x",
    )


async def test_the_tree_is_the_tree_over_all_leaves_at_every_size(database: Database) -> None:
    assert (await database.read(lambda uow: uow.audit.tree())).root() == EMPTY_ROOT
    roots = []
    for number in range(20):
        await database.write(
            lambda uow, n=number: [uow.audit.append("k", "a", str(n), {}) for _ in range(n % 4)]
        )
        tree = await database.read(lambda uow: uow.audit.tree())
        hashes = await database.read(lambda uow: uow.audit.hashes(0, 1_000))
        assert tree.size == len(hashes) == await database.read(lambda uow: uow.audit.size())
        assert tree.root() == root_hash(hashes)
        roots.append((tree.size, tree.root()))
    old_size, old_root = roots[9]
    proof = consistency_proof(hashes, old_size, len(hashes))
    verify_consistency(
        old_size=old_size,
        new_size=len(hashes),
        proof=proof,
        old_root=old_root,
        new_root=roots[-1][1],
    )
    verify_inclusion(
        hashes[5],
        index=5,
        size=len(hashes),
        proof=inclusion_proof(hashes, 5, len(hashes)),
        root=roots[-1][1],
    )


async def test_units_of_one_group_get_their_own_indexes_without_gaps(database: Database) -> None:
    class Boom(Exception):
        pass

    def unit(number: int):
        def run(uow):
            index = uow.audit.append("k", "a", str(number), {})
            if number % 5 == 0:
                raise Boom
            return index

        return run

    outcomes = await asyncio.gather(
        *(database.write(unit(number)) for number in range(60)), return_exceptions=True
    )
    indexes = [one for one in outcomes if not isinstance(one, Boom)]
    assert indexes == list(range(48))
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 100))
    assert [leaf.index for leaf in leaves] == indexes
    assert [parse_strict_json(leaf.leaf)["index"] for leaf in leaves] == indexes  # type: ignore


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_leaves SET kind = 'other'",
        "DELETE FROM audit_leaves",
        'DELETE FROM audit_leaves WHERE "index" = 0',
    ],
)
async def test_the_database_refuses_to_change_or_remove_a_leaf(
    database: Database, statement: str
) -> None:
    await database.write(lambda uow: uow.audit.append("k", "a", "s", {}))
    before = await database.read(lambda uow: uow.audit.leaves(0, 9))
    with pytest.raises(StorageError):
        await database.write(lambda uow: uow.transaction.core(text(statement)).rowcount)
    assert await database.read(lambda uow: uow.audit.leaves(0, 9)) == before


async def test_a_leaf_cannot_be_replaced(database: Database, database_url: str) -> None:
    await database.write(lambda uow: uow.audit.append("k", "a", "s", {}))
    before = await database.read(lambda uow: uow.audit.leaves(0, 9))
    values = """ INTO audit_leaves ("index", at, kind, actor, subject, leaf, hash)
        SELECT "index", at, 'other', actor, subject, leaf, hash FROM audit_leaves"""
    verb = "INSERT OR REPLACE" if database_url.startswith("sqlite") else "INSERT"
    with pytest.raises(StorageError):
        await database.write(lambda uow: uow.transaction.core(text(verb + values)).rowcount)
    assert await database.read(lambda uow: uow.audit.leaves(0, 9)) == before


async def test_the_record_is_listed_newest_first_and_by_subject(database: Database) -> None:
    def unit(uow):
        for number in range(7):
            uow.audit.append("k", f"a{number % 2}", f"s{number % 3}", {"n": number}, at=NOW)

    await database.write(unit)
    page = await database.read(lambda uow: uow.audit.list(limit=3))
    assert [leaf.index for leaf in page.items] == [6, 5, 4]
    rest = await database.read(lambda uow: uow.audit.list(cursor=page.next_cursor))
    assert [leaf.index for leaf in rest.items] == [3, 2, 1, 0]
    mine = await database.read(lambda uow: uow.audit.list(actor="a1", subject="s0"))
    assert [leaf.index for leaf in mine.items] == [3]
    about = await database.read(lambda uow: uow.audit.of_subject("s1"))
    assert [leaf.index for leaf in about] == [1, 4]


async def test_the_checkpoint_over_the_most_leaves_is_the_newest(database: Database) -> None:
    assert await database.read(lambda uow: uow.audit.latest_checkpoint()) is None
    for size in (1, 10, 2):
        await database.write(lambda uow, s=size: uow.audit.save_checkpoint(f"note {s}", s, LATER))
    found = await database.read(lambda uow: uow.audit.latest_checkpoint())
    assert found == Checkpoint(10, "note 10", LATER)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.audit.save_checkpoint("other", 10, LATER))
