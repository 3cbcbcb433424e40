"""Postgres when the world fails: stopped in mid-traffic, locked, gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import text

from protocol.audit_tree import root_hash
from storage.database import Database
from storage.errors import UnavailableError
from storage.unit_of_work import UnitOfWork
from tests.servers.postgres import PostgresServer


async def test_a_server_that_stops_in_mid_traffic_loses_nothing_that_was_acknowledged(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = await Database.open(postgres_url, busy_timeout_seconds=1.0)
    acknowledged: set[str] = set()
    refused = 0
    stopped, more = asyncio.Event(), asyncio.Condition()
    done = False

    async def worker(name: int) -> None:
        nonlocal refused
        number = 0
        while not done:
            key = f"{name}-{number}"
            number += 1

            def unit(uow, key=key):
                uow.settings.put(key, 1)
                uow.audit.append("test.write", "a", key, {})

            try:
                await asyncio.wait_for(database.write(unit), 40)
            except UnavailableError:
                refused += 1
                stopped.set()
            else:
                async with more:
                    acknowledged.add(key)
                    more.notify_all()

    workers = [asyncio.create_task(worker(n)) for n in range(8)]

    async def until(count: int) -> None:
        async with more:
            await more.wait_for(lambda: len(acknowledged) >= count)

    try:
        await asyncio.wait_for(until(200), 20)
        await asyncio.to_thread(postgres_server.stop)
        await asyncio.wait_for(stopped.wait(), 20)
        with pytest.raises(UnavailableError):
            await database.ping()
    finally:
        await asyncio.to_thread(postgres_server.start)
    before = len(acknowledged)
    await asyncio.wait_for(until(before + 200), 30)  # it came back by itself
    done = True
    await asyncio.gather(*workers)
    assert refused

    kept = await database.read(lambda uow: {item.key for item in uow.settings.list()})
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 1_000_000))
    assert acknowledged <= kept
    assert {leaf.subject for leaf in leaves} == kept
    assert (await database.read(lambda uow: uow.audit.size())) == len(leaves)
    # What was refused while the server went down may have been kept only where COMMIT was under
    # way: one group of at most as many units as there are workers.
    assert len(kept - acknowledged) <= len(workers)
    await database.close()


async def test_connections_cut_between_groups_are_made_anew_without_an_error(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    database = await Database.open(postgres_url)
    await database.write(lambda uow: uow.settings.put("a", 1))
    await database.read(lambda uow: uow.settings.get("a"))
    await asyncio.to_thread(
        postgres_server.sql,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'writ'",
    )
    await database.write(lambda uow: uow.settings.put("b", 1))
    assert len(await database.read(lambda uow: uow.settings.list())) == 2
    await database.close()


async def test_a_lock_held_by_another_client_is_unavailable_until_it_is_let_go(
    postgres_url: str,
) -> None:
    database = await Database.open(postgres_url, busy_timeout_seconds=0.2)
    other = await Database.open(postgres_url)
    holding, release = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with other._engine._engine.begin() as connection:
            await connection.execute(text("LOCK TABLE settings IN ACCESS EXCLUSIVE MODE"))
            holding.set()
            await release.wait()

    holder = asyncio.create_task(hold())
    await holding.wait()
    with pytest.raises(UnavailableError):
        await database.write(lambda uow: uow.settings.put("a", 1))
    with pytest.raises(UnavailableError):
        await database.read(lambda uow: uow.settings.get("a"))
    release.set()
    await holder
    await database.write(lambda uow: uow.settings.put("a", 2))
    await database.close()
    await other.close()


async def test_no_server_at_all_is_unavailable(tmp_path) -> None:
    with pytest.raises(UnavailableError):
        await Database.open(f"postgresql+asyncpg://postgres@/x?host={tmp_path}")


async def test_two_hubs_on_one_database_append_one_record(postgres_url: str) -> None:
    hubs = [await Database.open(postgres_url) for _ in range(2)]

    async def worker(hub: Database, name: str) -> None:
        for number in range(25):
            await hub.write(lambda uow, n=number: uow.audit.append("k", name, f"{name}{n}", {}))

    await asyncio.gather(
        *(worker(hub, f"h{h}w{w}") for h, hub in enumerate(hubs) for w in range(4))
    )
    leaves = await hubs[0].read(lambda uow: uow.audit.leaves(0, 1_000))
    assert [leaf.index for leaf in leaves] == list(range(200))
    tree = await hubs[1].read(lambda uow: uow.audit.tree())
    assert tree.root() == root_hash([leaf.hash for leaf in leaves])
    for hub in hubs:
        await hub.close()


async def test_the_record_is_locked_when_all_else_of_a_transaction_is_done(
    postgres_url: str,
) -> None:
    database = await Database.open(postgres_url)
    locks = text(
        "SELECT count(*) FROM pg_locks JOIN pg_class ON relation = pg_class.oid"
        " WHERE relname = 'audit_tree' AND pid = pg_backend_pid()"
    )

    def unit(uow: UnitOfWork) -> list[int]:
        held = []
        for step in (lambda: uow.audit.append("k", "a", "s", {}), uow.flush):
            step()
            held.append(uow.transaction.core(locks).scalar_one())
        return held

    before, after = await database.write(unit)
    assert (before, after > 0) == (0, True)
    await database.close()


async def test_a_deadlock_between_hubs_runs_again(postgres_url: str) -> None:
    hubs = [await Database.open(postgres_url) for _ in range(2)]
    await hubs[0].write(lambda uow: [uow.settings.put(f"k{n}", 0) for n in range(20)])

    async def worker(hub: Database, keys: list[str]) -> None:
        for number in range(5):
            await hub.write(lambda uow, n=number: [uow.settings.put(key, n) for key in keys])

    keys = [f"k{n}" for n in range(20)]
    await asyncio.gather(worker(hubs[0], keys), worker(hubs[1], keys[::-1]))
    for hub in hubs:
        await hub.close()


async def test_groups_that_take_long_become_small_so_that_others_are_not_kept_waiting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.postgres_engine.LONG_GROUP_SECONDS", 0.1)
    database = await Database.open(postgres_url)

    def slow(uow: UnitOfWork) -> int:
        uow.transaction.core(text("SELECT pg_sleep(0.02)"))
        return int(uow.transaction.core(text("SELECT txid_current()")).scalar_one())

    def quick(uow: UnitOfWork) -> int:
        return int(uow.transaction.core(text("SELECT txid_current()")).scalar_one())

    async def groups(unit: Callable[[UnitOfWork], int], count: int) -> list[int]:
        ids = await asyncio.gather(*(database.write(unit) for _ in range(count)))
        return list(Counter(ids).values())

    try:
        assert await groups(slow, 40) == [40]
        sizes = await groups(slow, 40)
        assert max(sizes[-4:]) <= 8, sizes
        # And back, as soon as the machine has time again.
        assert max(await groups(quick, 400)) > 60
    finally:
        await database.close()
