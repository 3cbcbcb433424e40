"""The record: every leaf provable, none ever changed, none without its change."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from protocol.audit_leaf import SALT_BYTES, parse_leaf, verify_personal
from protocol.audit_tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.base64_text import decode_base64
from protocol.canonical import canonical_json
from protocol.errors import ProofError
from protocol.strict_json import parse_strict_json
from protocol.timestamps import format_timestamp
from storage.database import Database
from storage.errors import ConflictError, StorageError
from storage.records import AuditFilter, Checkpoint, Cosignature
from storage.repositories.audit import MAX_WITNESSES
from storage.unit_of_work import UnitOfWork
from tests.storage.samples import LATER, NOW


async def test_a_leaf_is_the_canonical_json_of_what_happened(database: Database) -> None:
    await database.write(
        lambda uow: uow.audit.append(
            "intent.submitted", "user:1", "x", {"b": 1, "a": "ü"}, realms=["lab", "default"], at=NOW
        )
    )
    (leaf,) = await database.read(lambda uow: uow.audit.leaves(0, 10))
    assert leaf.index == 0
    said: Any = parse_strict_json(leaf.leaf)
    assert leaf.leaf == canonical_json(said)
    assert len(decode_base64(said.pop("salt"))) == SALT_BYTES
    assert said == {
        "index": 0,
        "at": format_timestamp(NOW),
        "kind": "intent.submitted",
        "actor": "user:1",
        "assurance": "enforced",
        "subject": "x",
        "realms": ["default", "lab"],
        "data": {"b": 1, "a": "ü"},
    }
    assert leaf.hash == leaf_hash(leaf.leaf)
    assert (leaf.at, leaf.kind, leaf.actor, leaf.subject) == (
        NOW,
        "intent.submitted",
        "user:1",
        "x",
    )


async def test_two_leaves_that_say_the_same_have_nothing_in_common_to_guess_from(
    database: Database,
) -> None:
    await database.write(lambda uow: [uow.audit.append("k", "a", "s", {}, at=NOW) for _ in "ab"])
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 2))
    salts = {parse_strict_json(leaf.leaf)["salt"] for leaf in leaves}  # type: ignore[call-overload,index]
    assert len(salts) == 2


async def test_a_leaf_keeps_a_salted_hash_of_what_a_person_may_want_forgotten(
    database: Database,
) -> None:
    def unit(uow: UnitOfWork) -> None:
        for person in ("user:1", "user:2"):
            uow.audit.append("k", person, "s", {}, personal={"reason": "Zoë ill", "name": ""})
        uow.audit.append("k", "hub", "s", {}, personal={"address": "::1"}, person="user:1")

    await database.write(unit)
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 9))
    assert not any("Zoë" in leaf.leaf.decode() for leaf in leaves)
    values = await database.read(lambda uow: uow.audit.personal([0, 1, 2]))
    for index, held in values.items():
        content = parse_leaf(leaves[index].leaf)
        assert set(content.personal) == {one.field for one in held}
        for one in held:
            verify_personal(content, one.field, salt=one.salt, value=one.value)
            with pytest.raises(ProofError):
                verify_personal(content, one.field, salt=one.salt, value="another")
    assert await database.write(lambda uow: uow.audit.erase_person("user:1")) == 2
    assert set(await database.read(lambda uow: uow.audit.personal([0, 1, 2]))) == {1}
    assert await database.read(lambda uow: uow.audit.leaves(0, 9)) == leaves


async def test_personal_values_are_erased_by_age_some_at_a_time(database: Database) -> None:
    def unit(uow: UnitOfWork) -> None:
        for at in (NOW, NOW, LATER):
            uow.audit.append("k", "user:1", "s", {}, personal={"reason": "why"}, at=at)

    await database.write(unit)
    erased = [await database.write(lambda uow: uow.audit.erase_before(LATER, 1)) for _ in range(3)]
    assert erased == [1, 1, 0]
    assert set(await database.read(lambda uow: uow.audit.personal([0, 1, 2]))) == {2}


async def test_leaves_are_chosen_by_kind_time_and_realm(database: Database) -> None:
    def unit(uow: UnitOfWork) -> None:
        uow.audit.append("a.one", "x", "s", {}, realms=("lab",), at=NOW)
        uow.audit.append("a.two", "x", "s", {}, realms=("lab", "plant"), at=LATER)
        uow.audit.append("ab.one", "x", "s", {}, realms=("plant",), at=LATER)
        uow.audit.append("a.one", "x", "s", {}, at=LATER)

    await database.write(unit)

    async def chosen(**fields: Any) -> list[int]:
        wanted = AuditFilter(**fields)
        page = await database.read(lambda uow: uow.audit.list(wanted))
        listed = [leaf.index for leaf in page.items]
        again = await database.read(lambda uow: uow.audit.matching(wanted, 0, 9))
        assert [leaf.index for leaf in again] == sorted(listed)
        return listed

    assert await chosen() == [3, 2, 1, 0]
    assert await chosen(kind="a.*") == [3, 1, 0]
    assert await chosen(kind="a.one", since=LATER) == [3]
    assert await chosen(until=LATER) == [0]
    assert await chosen(realms=frozenset({"lab"})) == [1, 0]
    assert await chosen(realms=frozenset({"lab", "plant"})) == [2, 1, 0]
    assert await chosen(realms=frozenset({"plant"}), kind="a.*") == [1]
    assert await chosen(realms=frozenset({"elsewhere"})) == []
    assert await chosen(realms=frozenset()) == []
    assert await database.read(lambda uow: uow.audit.is_in(1, ["plant"]))
    assert not await database.read(lambda uow: uow.audit.is_in(0, ["plant"]))


async def test_pages_of_one_realm_follow_each_other(database: Database) -> None:
    def unit(uow: UnitOfWork) -> None:
        for number in range(10):
            uow.audit.append("k", "x", "s", {}, realms=("lab",) if number % 2 else ("plant",))

    await database.write(unit)
    wanted = AuditFilter(realms=frozenset({"lab"}))
    first = await database.read(lambda uow: uow.audit.list(wanted, limit=3))
    second = await database.read(
        lambda uow: uow.audit.list(wanted, limit=3, cursor=first.next_cursor)
    )
    assert [[leaf.index for leaf in page.items] for page in (first, second)] == [[9, 7, 5], [3, 1]]
    assert second.next_cursor is None


async def test_the_newest_word_of_each_witness_is_kept_and_only_so_many(
    database: Database,
) -> None:
    def word(key: str, size: int, second: int) -> Cosignature:
        return Cosignature(key, key, size, "c", "line", NOW + timedelta(seconds=second))

    def save(one: Cosignature) -> Any:
        return lambda uow: uow.audit.save_cosignature(one)

    assert await database.write(save(word("w", 5, 0)))
    assert await database.write(save(word("w", 7, 1)))
    assert not await database.write(save(word("w", 6, 2)))
    for number in range(MAX_WITNESSES):
        await database.write(save(word(f"w{number}", 1, 10 + number)))
    kept = await database.read(lambda uow: uow.audit.cosignatures())
    assert len(kept) == MAX_WITNESSES
    assert "w" not in {one.key for one in kept}


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


async def test_a_unit_reads_and_erases_what_it_has_appended_itself(database: Database) -> None:
    def unit(uow: UnitOfWork) -> tuple[list[str], int, int]:
        uow.audit.append("k", "user:1", "s", {}, realms=("lab",), personal={"reason": "why"})
        erased = uow.audit.erase_person("user:1")
        uow.audit.append("k", "hub", "t", {})
        subjects = [leaf.subject for leaf in uow.audit.leaves(0, 9)]
        uow.audit.append("k", "hub", "u", {})
        return subjects, erased, uow.audit.size()

    assert await database.write(unit) == (["s", "t"], 1, 3)
    tree = await database.read(lambda uow: uow.audit.tree())
    assert tree.root() == root_hash(await database.read(lambda uow: uow.audit.hashes(0, 9)))


async def test_units_of_one_group_get_their_own_indexes_without_gaps(database: Database) -> None:
    class Boom(Exception):
        pass

    def unit(number: int):
        def run(uow):
            uow.audit.append("k", "a", str(number), {})
            index = uow.audit.size() - 1
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
        "UPDATE audit_leaf_realms SET realm = 'other'",
        "DELETE FROM audit_leaf_realms",
    ],
)
async def test_the_database_refuses_to_change_or_remove_a_leaf(
    database: Database, statement: str
) -> None:
    await database.write(lambda uow: uow.audit.append("k", "a", "s", {}, realms=("r",)))
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
    mine = await database.read(lambda uow: uow.audit.list(AuditFilter(actor="a1", subject="s0")))
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


async def test_rows_are_all_there_in_order_however_many_a_unit_adds(database: Database) -> None:
    # SQLite takes some at a time: counts around the sizes, and such that need all of them.
    counts = (1, 3, 4, 5, 15, 16, 17, 63, 64, 65, 64 + 16 + 4 + 1)
    for count in counts:
        await database.write(
            lambda uow: [
                uow.audit.append("intent.submitted", "hub", f"{count}-{number}", {}, realms=["r"])  # noqa: B023
                for number in range(count)  # noqa: B023
            ]
        )
    expected = [f"{count}-{number}" for count in counts for number in range(count)]
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 10_000))
    assert [one.index for one in leaves] == list(range(len(expected)))
    assert [one.subject for one in leaves] == expected
    assert await database.read(lambda uow: uow.audit.is_in(len(expected) - 1, ["r"]))
    tree = await database.read(lambda uow: uow.audit.tree())
    assert tree.root() == root_hash([one.hash for one in leaves])
