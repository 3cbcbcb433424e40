"""Processes of one hub on one database: who lives, who leads, whose connection an agent's is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.database import Database
from storage.errors import FencedError, LeaseLostError
from tests.storage.samples import LATER, NOW, agent

LONG, NO_TIME = timedelta(minutes=5), timedelta(0)


async def test_a_lease_has_one_holder_and_every_new_one_a_higher_fence(database: Database) -> None:
    assert await database.write(lambda uow: uow.leases.take("lead", "a", LONG)) == 1
    assert await database.write(lambda uow: uow.leases.take("lead", "a", LONG)) == 1
    assert await database.write(lambda uow: uow.leases.take("lead", "b", LONG)) is None
    assert not await database.read(lambda uow: uow.leases.is_free_for("lead", "b"))
    await database.write(lambda uow: uow.leases.release("lead", "a"))
    assert await database.read(lambda uow: uow.leases.is_free_for("lead", "b"))
    assert await database.write(lambda uow: uow.leases.take("lead", "b", NO_TIME)) == 2
    assert await database.write(lambda uow: uow.leases.take("lead", "a", LONG)) == 3


async def test_a_guarded_write_keeps_nothing_once_the_lease_is_lost(database: Database) -> None:
    await database.write(lambda uow: uow.leases.take("lead", "a", NO_TIME))
    held = database.guarded(lambda uow: uow.leases.check("lead", "a", 1))
    await held.write(lambda uow: uow.settings.put("in time", 1))
    await database.write(lambda uow: uow.leases.take("lead", "b", NO_TIME))
    with pytest.raises(LeaseLostError):
        await held.write(lambda uow: uow.settings.put("late", 1))
    # Not by a later tenure of the same process either: it began anew.
    await database.write(lambda uow: uow.leases.take("lead", "a", LONG))
    with pytest.raises(LeaseLostError):
        await held.write(lambda uow: uow.settings.put("late", 1))
    assert await database.read(lambda uow: uow.settings.get("late")) is None
    assert await database.read(lambda uow: uow.settings.get("in time")) is not None


async def test_processes_are_alive_as_long_as_they_say_so(database: Database) -> None:
    await database.write(lambda uow: uow.hub_processes.beat("a", "0.1.0"))
    await database.write(lambda uow: uow.hub_processes.beat("b", "0.1.0"))
    assert await database.read(lambda uow: uow.hub_processes.lives("a", LONG))
    assert not await database.read(lambda uow: uow.hub_processes.lives("nobody", LONG))
    await database.write(lambda uow: uow.hub_processes.leave("a"))
    living = await database.read(lambda uow: uow.hub_processes.living(LONG))
    assert [one.id for one in living] == ["b"]
    assert await database.write(lambda uow: uow.hub_processes.forget(-LONG)) == 1


async def test_agents_of_dead_processes_go_offline_and_those_of_living_ones_do_not(
    database: Database,
) -> None:
    ours, theirs = agent(), agent()

    def unit(uow):
        for one, hub in ((ours, "here"), (theirs, "dead")):
            uow.agents.add(one)
            assert uow.agents.set_presence(one.did, True, NOW, f"s-{hub}", hub=hub)
        uow.outbox.add(ours.did, "document", "d", b"x")

    await database.write(unit)
    gone = await database.write(lambda uow: uow.agents.clear_presence(LATER, living=["here"]))
    assert list(gone) == [theirs.did]
    held = await database.read(lambda uow: uow.agents.connections_of("here"))
    assert held == {ours.did: "s-here"}
    everywhere = await database.read(lambda uow: uow.agents.connections_of(None))
    assert everywhere == held
    due = await database.read(
        lambda uow: uow.outbox.agents_due_at("here", now=LATER, resend_before=NOW)
    )
    assert due == [ours.did]


async def test_where_there_is_one_process_all_that_is_due_online_is_its_own(
    database: Database,
) -> None:
    here, away, idle = agent(), agent(), agent()

    def unit(uow):
        for one in (here, away, idle):
            uow.agents.add(one)
        for one in (here, idle):
            uow.agents.set_presence(one.did, True, NOW, "s")
        for one in (here, away):
            uow.outbox.add(one.did, "document", "d", b"x")

    await database.write(unit)
    due = await database.read(
        lambda uow: uow.outbox.agents_due_at(None, now=LATER, resend_before=NOW)
    )
    assert due == [here.did]


async def test_a_connection_that_was_replaced_writes_nothing_more(database: Database) -> None:
    record = agent()
    await database.write(lambda uow: uow.agents.add(record))
    await database.write(lambda uow: uow.agents.set_presence(record.did, True, NOW, "old", hub="a"))
    fenced = database.guarded(lambda uow: uow.agents.hold_connection(record.did, "old"))
    await fenced.write(lambda uow: uow.settings.put("mine", 1))
    seen = await database.read(lambda uow: uow.agents.get(record.did))
    assert await database.write(
        lambda uow: uow.agents.set_presence(record.did, True, NOW, "new", hub="b", over=seen)
    )
    # Nobody registers over a connection that has changed since they looked.
    assert not await database.write(
        lambda uow: uow.agents.set_presence(record.did, True, NOW, "third", hub="a", over=seen)
    )
    with pytest.raises(FencedError) as lost:
        await fenced.write(lambda uow: uow.settings.put("late", 1))
    assert lost.value.replaced
    await database.write(lambda uow: uow.agents.clear_presence(LATER))
    with pytest.raises(FencedError) as gone:
        await fenced.write(lambda uow: uow.settings.put("late", 1))
    assert not gone.value.replaced


async def test_two_appenders_on_one_postgres_make_one_record_without_gaps(
    postgres_url: str,
) -> None:
    first, second = await Database.open(postgres_url), await Database.open(postgres_url)
    try:

        async def append(database: Database, name: str) -> None:
            for number in range(50):
                await database.write(
                    lambda uow, n=number: uow.audit.append("test", name, str(n), {})
                )

        await asyncio.gather(*(append(one, name) for one in (first, second) for name in ("x", "y")))
        leaves = await first.read(lambda uow: uow.audit.leaves(0, 1_000))
        tree = await second.read(lambda uow: uow.audit.tree())
        assert [one.index for one in leaves] == list(range(200))
        assert tree.size == 200
    finally:
        await first.close()
        await second.close()


async def test_an_agent_record_keeps_its_process(database: Database) -> None:
    record = replace(agent(), online=True, session="s", hub="a")
    await database.write(lambda uow: uow.agents.add(record))
    found = await database.read(lambda uow: uow.agents.get(record.did))
    assert found is not None
    assert found.hub == "a"
