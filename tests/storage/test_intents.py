"""Intents move forward by compare-and-set and end once."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.errors import IdReuseError
from protocol.ids import format_uuid7
from protocol.lifecycle import TERMINAL
from protocol.messages.intents import IntentState
from storage.database import Database
from storage.errors import ConflictError
from storage.records import DocumentAckRecord
from storage.repositories import tallies as tallies_module
from tests.storage.samples import LATER, NOW, agent, document, intent, new_id

QUEUED, DISPATCHED, ACCEPTED = IntentState.QUEUED, IntentState.DISPATCHED, IntentState.ACCEPTED


async def test_intents_come_back_as_they_were_added(database: Database) -> None:
    full = intent(
        on_behalf_of="user:2",
        not_before=NOW,
        source="workflow:1/a",
        delegation_ids=("a", "b"),
        approval_ids=("c",),
        attempts=3,
        result={"status": "failed"},
    )
    plain = intent(batch_id=full.batch_id)
    await database.write(lambda uow: uow.intents.add_many([full, plain]))
    assert await database.read(lambda uow: uow.intents.get(full.id)) == full
    assert await database.read(lambda uow: uow.intents.by_batch(full.batch_id)) == [full, plain]
    assert await database.read(lambda uow: uow.intents.by_source("workflow:1/a")) == [full]
    assert await database.read(lambda uow: uow.intents.get(new_id())) is None
    many = await database.read(lambda uow: uow.intents.get_many([plain.id, new_id()]))
    assert many == {plain.id: plain}


async def test_what_a_unit_added_it_can_read_and_move(database: Database) -> None:
    record = intent()

    def unit(uow):
        uow.intents.add_many([record])
        assert uow.intents.get(record.id) == record
        return uow.intents.transition(record.id, DISPATCHED, from_states=[QUEUED], at=NOW)

    moved = await database.write(unit)
    assert moved == replace(record, state=DISPATCHED, dispatched_at=NOW)


async def test_a_transition_from_elsewhere_changes_nothing(database: Database) -> None:
    record = intent()
    await database.write(lambda uow: uow.intents.add_many([record]))

    async def move(state, *froms, **changes):
        return await database.write(
            lambda uow: uow.intents.transition(
                record.id, state, from_states=froms, at=NOW, **changes
            )
        )

    assert await move(ACCEPTED, DISPATCHED) is None
    moved = await move(ACCEPTED, QUEUED, DISPATCHED, attempts=2)
    assert moved == replace(record, state=ACCEPTED, accepted_at=NOW, attempts=2)
    assert await move(ACCEPTED, QUEUED, DISPATCHED) is None
    assert await move(ACCEPTED) is None
    assert await database.read(lambda uow: uow.intents.get(record.id)) == moved


async def test_of_many_ends_exactly_one_wins(database: Database) -> None:
    record = intent()
    await database.write(lambda uow: uow.intents.add_many([record]))
    ends = sorted(TERMINAL) * 5
    outcomes = await asyncio.gather(
        *(
            database.write(
                lambda uow, s=state: uow.intents.finish(
                    record.id, s, at=LATER, result={"status": str(s)}, result_document_id="r"
                )
            )
            for state in ends
        )
    )
    won = [one for one in outcomes if one is not None]
    assert len(won) == 1
    assert won[0].finished_at == LATER
    assert won[0].result == {"status": str(won[0].state)}
    assert await database.read(lambda uow: uow.intents.get(record.id)) == won[0]


@pytest.mark.parametrize("end", sorted(TERMINAL))
async def test_nothing_leaves_a_terminal_state(database: Database, end: IntentState) -> None:
    record = intent()
    await database.write(lambda uow: uow.intents.add_many([record]))
    ended = await database.write(lambda uow: uow.intents.finish(record.id, end))
    for state in IntentState:
        assert (
            await database.write(
                lambda uow, s=state: uow.intents.transition(
                    record.id, s, from_states=list(IntentState)
                )
            )
            is None
        )
    assert await database.write(lambda uow: uow.intents.set_cancel_requested(record.id)) is None
    assert await database.read(lambda uow: uow.intents.get(record.id)) == ended


async def test_finish_takes_only_ends(database: Database) -> None:
    with pytest.raises(ValueError, match="no end"):
        await database.write(lambda uow: uow.intents.finish("x", QUEUED))


async def test_many_queued_intents_are_dispatched_at_once(database: Database) -> None:
    records = [intent() for _ in range(3)]
    await database.write(lambda uow: uow.intents.add_many(records))
    await database.write(lambda uow: uow.intents.finish(records[1].id, IntentState.CANCELLED))
    ids = [record.id for record in records]
    moved = await database.write(
        lambda uow: uow.intents.move_many(
            [ids[2], "unknown", ids[1], ids[0]], DISPATCHED, from_states=[QUEUED], at=NOW
        )
    )
    expected = [replace(records[n], state=DISPATCHED, dispatched_at=NOW) for n in (2, 0)]
    assert moved == expected
    found = await database.read(lambda uow: uow.intents.get_many(ids))
    assert found[ids[2]] == expected[0]
    assert found.keys() == set(ids)


async def test_only_an_agents_own_orders_are_its_own(database: Database) -> None:
    ours, theirs = intent(agent_did="did:a"), intent(agent_did="did:b")
    await database.write(lambda uow: uow.intents.add_many([ours, theirs]))
    ids = [theirs.id, "unknown", ours.id]
    assert await database.read(lambda uow: uow.intents.of_agent("did:a", ids)) == [ours.id]


async def test_cancel_is_a_flag_beside_the_state(database: Database) -> None:
    record = intent()
    await database.write(lambda uow: uow.intents.add_many([record]))
    flagged = await database.write(
        lambda uow: uow.intents.set_cancel_requested(record.id, cancel_document_id="c")
    )
    assert flagged == replace(record, cancel_requested=True, cancel_document_id="c")


async def test_open_and_due_intents_are_found(database: Database) -> None:
    late = intent(agent_did="did:a", expires_at=NOW - timedelta(seconds=1))
    due = intent(agent_did="did:a", expires_at=NOW)
    fresh, other = intent(agent_did="did:a"), intent(agent_did="did:b")
    ended = intent(agent_did="did:a", expires_at=NOW)
    await database.write(lambda uow: uow.intents.add_many([due, late, fresh, other, ended]))
    await database.write(lambda uow: uow.intents.finish(ended.id, IntentState.FAILED))
    open_ids = await database.read(
        lambda uow: [one.id for one in uow.intents.open_for_agent("did:a")]
    )
    assert open_ids == [late.id, due.id, fresh.id]
    due_ids = await database.read(lambda uow: [one.id for one in uow.intents.due_expired(NOW)])
    assert due_ids == [late.id, due.id]
    assert await database.read(lambda uow: uow.intents.count_open()) == 4


async def test_due_intents_of_agents_that_are_away_are_found_apart(database: Database) -> None:
    online, seen, away, never = [agent() for _ in range(4)]
    hour = timedelta(hours=1)
    orders = {
        one.did: intent(agent_did=one.did, expires_at=NOW) for one in (online, seen, away, never)
    }
    unknown = intent(agent_did="did:unknown", expires_at=NOW)

    def unit(uow):
        for one in (online, seen, away, never):
            uow.agents.add(one)
        for one, at in ((online, NOW - hour), (seen, NOW + hour), (away, NOW)):
            uow.agents.set_presence(one.did, True, at, "s")
            if one is not online:
                uow.agents.set_presence(one.did, False, at, "s")
        uow.intents.add_many([*orders.values(), unknown])

    await database.write(unit)
    found = await database.read(lambda uow: uow.intents.due_expired(NOW, agent_away=True))
    expected = {orders[away.did].id, orders[never.did].id, unknown.id}
    assert {one.id for one in found} == expected


async def test_listings_filter_and_page(database: Database) -> None:
    records = [intent(realm=f"r{n % 2}", agent_did=f"did:{n % 3}") for n in range(12)]
    await database.write(lambda uow: uow.intents.add_many(records))
    await database.write(lambda uow: uow.intents.finish(records[0].id, IntentState.FAILED))

    async def ids(**filters):
        page = await database.read(lambda uow: uow.intents.list(**filters))
        return [one.id for one in page.items]

    newest_first = [record.id for record in records[::-1]]
    assert await ids() == newest_first
    assert await ids(realm="r1") == [r.id for r in records[::-1] if r.realm == "r1"]
    assert await ids(realms=["r0"], agent_did="did:0") == [records[6].id, records[0].id]
    assert await ids(state=IntentState.FAILED) == [records[0].id]
    assert await ids(state=[IntentState.FAILED, QUEUED], limit=3) == newest_first[:3]
    page = await database.read(lambda uow: uow.intents.list(limit=5))
    rest = await database.read(lambda uow: uow.intents.list(cursor=page.next_cursor))
    assert [one.id for one in (*page.items, *rest.items)] == newest_first


async def test_progress_is_kept_once_per_index(database: Database) -> None:
    record = intent()
    await database.write(lambda uow: uow.intents.add_many([record]))

    async def report(index: int) -> bool:
        return await database.write(
            lambda uow: uow.intents.add_progress(record.id, index, "log", {"n": index}, NOW)
        )

    assert [await report(index) for index in (0, 1, 1, 2)] == [True, True, False, True]
    found = await database.read(lambda uow: uow.intents.progress(record.id, after=0))
    assert [(one.index, one.data) for one in found] == [(1, {"n": 1}), (2, {"n": 2})]


async def test_a_document_is_kept_byte_for_byte_once(database: Database) -> None:
    record = document(wire=bytes(range(256)) * 10)
    assert await database.write(lambda uow: uow.documents.put_once(record))
    assert not await database.write(lambda uow: uow.documents.put_once(record))
    assert await database.read(lambda uow: uow.documents.get(record.id)) == record
    assert await database.read(lambda uow: uow.documents.get(record.id, record.signer)) == record
    assert await database.read(lambda uow: uow.documents.get(record.id, "did:other")) is None
    seen = await database.read(lambda uow: uow.documents.seen_digest(record.signer, record.id))
    assert seen == record.digest
    assert await database.read(lambda uow: uow.documents.seen_digest("did:x", record.id)) is None
    with pytest.raises(IdReuseError):
        await database.write(lambda uow: uow.documents.put_once(replace(record, digest="other")))
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.documents.put(record))
    theirs = replace(record, signer="did:other", wire=b"theirs")
    await database.write(lambda uow: uow.documents.put(theirs))
    assert await database.read(lambda uow: uow.documents.get(record.id, "did:other")) == theirs


async def test_the_same_document_twice_in_one_group_is_seen(database: Database) -> None:
    record = document()
    outcomes = await asyncio.gather(
        *(database.write(lambda uow: uow.documents.put_once(record)) for _ in range(10))
    )
    assert outcomes.count(True) == 1


async def test_a_replay_is_still_seen_when_the_first_unit_failed(database: Database) -> None:
    record = document()

    def fails(uow):
        uow.documents.put_once(record)
        raise ConflictError("mine")

    outcomes = await asyncio.gather(
        database.write(fails),
        database.write(lambda uow: uow.documents.put_once(record)),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], ConflictError)
    assert outcomes[1] is True
    assert await database.read(lambda uow: uow.documents.get(record.id)) == record


async def test_expired_documents_can_be_forgotten(database: Database) -> None:
    old, fresh = document(type="policy_update", expires_at=NOW), document(type="policy_update")
    kept = document(type="intent", expires_at=NOW)
    await database.write(lambda uow: [uow.documents.put(d) for d in (old, fresh, kept)])
    assert await database.write(lambda uow: uow.documents.forget("policy_update", NOW)) == 1
    left = await database.read(
        lambda uow: uow.documents.get_many([d.id for d in (old, fresh, kept)])
    )
    assert {one.id for one in left} == {fresh.id, kept.id}


async def test_the_newest_ack_of_a_document_counts(database: Database) -> None:
    ack = DocumentAckRecord("did:a", "doc", "digest", "refused", NOW, "old_version")
    await database.write(lambda uow: uow.documents.record_ack(ack))
    newer = replace(ack, state="accepted", code=None, at=LATER)
    await database.write(lambda uow: uow.documents.record_ack(newer))
    assert await database.read(lambda uow: uow.documents.acks("did:a")) == {"doc": newer}


@pytest.mark.parametrize("at_once", [1, 2, 2_000])
async def test_orders_are_counted_by_when_they_were_given_and_found_by_their_ids(
    database: Database, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(tallies_module, "_GROUPED_AT_ONCE", at_once)
    stretch = timedelta(minutes=30)
    since = datetime.fromtimestamp(time.time() // 1_800 * 1_800, UTC) - 3 * stretch
    moments = [since, since + stretch - timedelta(milliseconds=1), since + 2 * stretch]
    given = since + stretch  # all of them at once, whatever their signers' clocks say
    orders = [
        replace(intent(realm=realm, created_at=given), id=format_uuid7(moment, bytes([n] * 10)))
        for n, (moment, realm) in enumerate(zip(moments, ("a", "a", "b"), strict=True))
    ]
    before = replace(orders[0], id=format_uuid7(since - timedelta(milliseconds=1), bytes(10)))
    ahead = replace(
        orders[0], id=format_uuid7(since + 9 * stretch, bytes(10)), created_at=since + 9 * stretch
    )
    await database.write(lambda uow: uow.intents.add_many([*orders, before, ahead]))
    for one, tokens in zip(orders, (3, None, 4), strict=True):
        await database.write(
            lambda uow, one=one, tokens=tokens: uow.intents.finish(
                one.id, IntentState.SUCCEEDED, tokens=tokens, millicents=tokens
            )
        )

    async def tallies(realms: set[str] | None) -> list[tuple[Any, ...]]:
        found = await database.read(lambda uow: uow.tallies.intents(since, stretch, realms))
        return [tuple(one) for one in found]

    last = (since + 9 * stretch, "queued", 1, 0, 0)
    assert await tallies(None) == [(given, "succeeded", 3, 7, 7), last]
    assert await tallies({"a"}) == [(given, "succeeded", 2, 3, 3), last]
    assert await tallies({"b", "c"}) == [(given, "succeeded", 1, 4, 4)]
    assert await tallies(set()) == []
