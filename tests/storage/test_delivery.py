"""The outbox, remembered answers and files."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.database import Database
from storage.errors import ConflictError, NotFoundError
from storage.records import Begin, FileRecord, InProgress, Mismatch, Replay
from tests.storage.samples import LATER, NOW, document, new_id

A, B = "did:key:a", "did:key:b"


async def test_the_outbox_keeps_the_order_per_agent(database: Database) -> None:
    def unit(uow):
        for number in range(5):
            uow.outbox.add(A, "intent", f"a{number}", b"%d" % number)
            uow.outbox.add(B, "intent", f"b{number}", b"x")

    await database.write(unit)
    await database.write(lambda uow: uow.outbox.add(A, "intent", "a5", b"5"))
    found = await database.read(lambda uow: uow.outbox.pending(A, 4))
    assert [(one.ref_id, one.wire) for one in found] == [
        (f"a{n}", str(n).encode()) for n in range(4)
    ]
    assert await database.read(lambda uow: uow.outbox.agents_due()) == [A, B]
    assert await database.read(lambda uow: uow.outbox.count()) == 11


async def test_a_row_without_bytes_sends_the_document_it_names(database: Database) -> None:
    wire = document(wire=b"signed \x00 bytes")
    decoy = document(id=wire.id, signer="did:other", wire=b"other")

    def unit(uow):
        uow.documents.put(decoy)
        uow.documents.put(wire)
        uow.outbox.add(A, "intent", wire.id, signer=wire.signer)

    await database.write(unit)
    (row,) = await database.read(lambda uow: uow.outbox.pending(A))
    assert row.wire == wire.wire
    with pytest.raises(ValueError, match="either"):
        await database.write(lambda uow: uow.outbox.add(A, "intent", "x"))
    await database.write(lambda uow: uow.outbox.add(B, "intent", "nowhere", signer="s"))
    with pytest.raises(NotFoundError):
        await database.read(lambda uow: uow.outbox.pending(B))


async def test_rows_wait_for_their_time_and_come_again_until_acked(database: Database) -> None:
    await database.write(lambda uow: uow.outbox.add(A, "intent", "now", b"1"))
    await database.write(lambda uow: uow.outbox.add(A, "intent", "later", b"2", LATER))

    async def due(now, resend_before=None):
        rows = await database.read(
            lambda uow: uow.outbox.pending(A, now=now, resend_before=resend_before)
        )
        return {row.ref_id: row for row in rows}

    first = await due(NOW)
    assert set(first) == {"now"}
    await database.write(lambda uow: uow.outbox.mark_sent([first["now"].id], NOW))
    assert await due(NOW) == {}
    assert set(await due(LATER)) == {"later"}
    assert await due(NOW, NOW - timedelta(seconds=1)) == {}
    again = await due(NOW, NOW)
    assert again["now"] == replace(first["now"], sent_at=NOW, attempts=1)
    for back, expected in ((timedelta(minutes=1), set()), (timedelta(minutes=2), {"now"})):
        assert set(await due(NOW - back, NOW - back)) == expected  # the clock has gone back
    assert await database.read(lambda uow: uow.outbox.agents_due(now=NOW)) == []
    assert await database.read(lambda uow: uow.outbox.sent_again(A, ["now"])) == set()
    await database.write(lambda uow: uow.outbox.mark_sent([first["now"].id], NOW))
    found = await database.read(lambda uow: uow.outbox.sent_again(A, ["now", "later"]))
    assert found == {"now"}
    assert await database.read(lambda uow: uow.outbox.sent_again(B, ["now"])) == set()
    assert await database.write(lambda uow: uow.outbox.reset(A)) == 1
    assert set(await due(NOW)) == {"now"}
    assert await database.write(lambda uow: uow.outbox.delete_refs(B, ["now"])) == 0
    assert await database.read(lambda uow: uow.outbox.holds(A, "now")) is True
    assert await database.write(lambda uow: uow.outbox.delete_refs(A, ["now", "no"])) == 1
    assert await database.read(lambda uow: uow.outbox.holds(A, "now")) is False
    assert await database.read(lambda uow: uow.outbox.holds(B, "later")) is False
    await database.write(lambda uow: uow.outbox.delete([row.id for row in again.values()]))
    assert await database.write(lambda uow: uow.outbox.delete_agent(A)) == 1
    assert await database.read(lambda uow: uow.outbox.count()) == 0


async def test_a_key_is_begun_by_one_and_answered_to_all(database: Database) -> None:
    async def begin(body="h", **options):
        return await database.write(
            lambda uow: uow.idempotency.begin("scope", "key", body, NOW, **options)
        )

    outcomes = await asyncio.gather(*(begin() for _ in range(6)))
    assert outcomes.count(Begin()) == 1
    assert outcomes.count(InProgress()) == 5
    assert await begin("other") == Mismatch()
    await database.write(lambda uow: uow.idempotency.finish("scope", "key", 201, b'{"id":1}'))
    assert await begin() == Replay(201, b'{"id":1}')
    assert await begin("other") == Mismatch()
    other = await database.write(lambda uow: uow.idempotency.begin("scope2", "key", "h", NOW))
    assert other == Begin()


async def test_a_key_whose_request_died_or_gave_up_is_free_again(database: Database) -> None:
    async def begin(at, **options):
        return await database.write(lambda uow: uow.idempotency.begin("s", "k", "h", at, **options))

    assert await begin(NOW) == Begin()
    assert await begin(LATER, stale_before=NOW) == InProgress()
    assert await begin(LATER, stale_before=NOW + timedelta(seconds=1)) == Begin()
    assert await begin(LATER, stale_before=LATER) == InProgress()
    await database.write(lambda uow: uow.idempotency.give_up("s", "k"))
    assert await begin(LATER) == Begin()
    await database.write(lambda uow: uow.idempotency.finish("s", "k", 200, b""))
    await database.write(lambda uow: uow.idempotency.give_up("s", "k"))
    assert await begin(LATER) == Replay(200, b"")
    assert await database.write(lambda uow: uow.idempotency.forget(LATER)) == 0
    gone = await database.write(
        lambda uow: uow.idempotency.forget(LATER + timedelta(milliseconds=1))
    )
    assert gone == 1


async def test_files_are_kept_listed_and_forgotten(database: Database) -> None:
    def file(**changes):
        id = new_id()
        values = {
            "id": id,
            "realm": "default",
            "name": "a.txt",
            "key": f"files/{id}",
            "bytes": 3,
            "sha256": "00",
            "content_type": "text/plain",
            "created_by": "user:1",
            "created_at": NOW,
        }
        return FileRecord(**(values | changes))

    one, two = file(), file(realm="lab", intent_id="i", state="uploading", expires_at=NOW)
    await database.write(lambda uow: [uow.files.add(f) for f in (one, two)])
    assert await database.read(lambda uow: uow.files.get(one.id)) == one
    assert (await database.read(lambda uow: uow.files.list())).items == (one,)
    both = await database.read(lambda uow: uow.files.list(state=None, realms=["lab", "default"]))
    assert both.items == (two, one)
    assert await database.read(lambda uow: uow.files.of_intent("i")) == [two]
    assert await database.read(lambda uow: uow.files.due_expired(NOW)) == [two]
    ready = await database.write(lambda uow: uow.files.update(two.id, state="ready"))
    assert ready == replace(two, state="ready")
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.files.add(file(key=one.key)))
    assert await database.write(lambda uow: uow.files.delete(one.id))
    assert not await database.write(lambda uow: uow.files.delete(one.id))
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.files.update(one.id, state="ready"))
