"""Units share a commit and keep their own fate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from protocol.errors import IdReuseError
from protocol.messages.intents import IntentState
from storage.database import Database
from storage.errors import BadValueError, ConflictError, StorageError, UnavailableError
from storage.groups import Outcome, UnitFailed, settle
from storage.unit_of_work import UnitOfWork
from tests.storage.samples import NOW, agent, document, intent


class Boom(Exception):
    pass


async def test_a_unit_returns_what_it_computed_after_it_is_on_disk(database: Database) -> None:
    record = agent()
    assert await database.write(lambda uow: uow.agents.add(record) or "done") == "done"
    assert await database.read(lambda uow: uow.agents.get(record.did)) == record


async def test_only_the_failing_unit_of_a_group_fails(database: Database) -> None:
    error = Boom("mine")

    def make(number: int) -> Any:
        def unit(uow: UnitOfWork) -> int:
            uow.settings.put(f"k{number:03}", number)
            if number % 7 == 3:
                raise error
            return number

        return unit

    outcomes = await asyncio.gather(
        *(database.write(make(number)) for number in range(100)), return_exceptions=True
    )
    bad = {number for number in range(100) if number % 7 == 3}
    assert {n for n, outcome in enumerate(outcomes) if outcome is error} == bad
    assert [o for n, o in enumerate(outcomes) if n not in bad] == sorted(set(range(100)) - bad)
    kept = await database.read(lambda uow: {item.value for item in uow.settings.list()})
    assert kept == set(range(100)) - bad


async def test_a_deferred_row_that_does_not_fit_fails_its_own_unit(database: Database) -> None:
    taken, others = intent(), [intent() for _ in range(20)]
    await database.write(lambda uow: uow.intents.add_many([taken]))
    batch = [*others[:10], taken, *others[10:]]
    outcomes = await asyncio.gather(
        *(database.write(lambda uow, r=r: uow.intents.add_many([r])) for r in batch),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [
        ConflictError if record is taken else type(None) for record in batch
    ]
    kept = await database.read(lambda uow: uow.intents.get_many([r.id for r in others]))
    assert len(kept) == 20


async def test_a_domain_error_reaches_its_caller_unchanged(database: Database) -> None:
    first = document(digest="one")
    await database.write(lambda uow: uow.documents.put(first))
    other = document(id=first.id, digest="two")
    with pytest.raises(IdReuseError):
        await database.write(lambda uow: uow.documents.put_once(other))


async def test_an_error_no_future_can_carry_leaves_nobody_waiting(database: Database) -> None:
    outcomes = await asyncio.wait_for(
        asyncio.gather(
            database.write(lambda uow: next(iter(()))),
            database.write(lambda uow: uow.settings.put("a", 1)),
            return_exceptions=True,
        ),
        5,
    )
    assert isinstance(outcomes[0], RuntimeError)
    assert await database.read(lambda uow: uow.settings.get("a")) == outcomes[1]


@pytest.mark.parametrize(
    "write",
    [
        lambda uow: uow.agents.add(agent(name="half \ud800 a pair")),
        lambda uow: uow.documents.put(document(audience="half \ud800 a pair")),
        lambda uow: uow.intents.add_many([intent(timeout_seconds=2**70)]),
        lambda uow: uow.agents.list(q="\ud800"),
    ],
)
async def test_a_value_no_database_can_hold_is_a_storage_error(
    database: Database, write: Any
) -> None:
    with pytest.raises(BadValueError):
        await database.write(write)
    await database.ping()


async def test_a_refused_statement_is_a_storage_error_with_its_cause(database: Database) -> None:
    for run in (database.read, database.write):
        with pytest.raises(StorageError) as caught:
            await run(lambda uow: uow.transaction.core(text("SELECT * FROM nowhere")).all())
        assert caught.value.__cause__ is not None
        assert "nowhere" not in caught.value.message


async def test_what_a_failed_unit_wrote_is_gone(database: Database) -> None:
    def unit(uow: UnitOfWork) -> None:
        uow.agents.add(agent(did="did:key:gone"))
        uow.audit.append("x", "a", "s", {})
        raise Boom

    with pytest.raises(Boom):
        await database.write(unit)
    assert await database.read(lambda uow: (uow.agents.get("did:key:gone"), uow.audit.size())) == (
        None,
        0,
    )


async def test_counting_up_from_many_tasks_loses_no_update(database: Database) -> None:
    await database.write(lambda uow: uow.settings.put("n", 0))

    def add_one(uow: UnitOfWork) -> None:
        found = uow.settings.get("n")
        assert found is not None
        uow.settings.put("n", found.value + 1)

    async def worker() -> None:
        for _ in range(40):
            await database.write(add_one)

    await asyncio.gather(*(worker() for _ in range(4)))
    found = await database.read(lambda uow: uow.settings.get("n"))
    assert found is not None
    assert found.value == 160


async def test_a_reader_sees_one_snapshot_and_never_waits_for_the_writer(
    database: Database,
) -> None:
    import threading

    await database.write(lambda uow: uow.settings.put("a", 1))
    inside, release = threading.Event(), threading.Event()

    def slow(uow: UnitOfWork) -> None:
        uow.settings.put("a", 2)
        inside.set()
        release.wait(5)

    async def run_slow() -> None:
        await database.write(slow)

    if type(database._engine).__name__ == "PostgresEngine":
        release.set()  # its units run on the loop, so nothing can overlap with one
    writing = asyncio.create_task(run_slow())
    await asyncio.to_thread(inside.wait, 5)
    try:
        seen = await asyncio.wait_for(database.read(lambda uow: uow.settings.get("a")), 2)
    finally:
        release.set()
        await writing
    assert seen is not None
    assert seen.value in ({1} if not release.is_set() else {1, 2})


@pytest.mark.parametrize(
    "write",
    [
        lambda uow: uow.agents.add(agent(did="did:key:sneaky")),
        lambda uow: uow.documents.put(document()),
        lambda uow: uow.agents.touch("did:key:sneaky"),
        lambda uow: uow.audit.append("k", "a", "s", {}),
        lambda uow: uow.intents.finish("x", IntentState.FAILED),
    ],
)
async def test_a_reading_unit_that_writes_is_told_so(database: Database, write: Any) -> None:
    with pytest.raises(StorageError, match="a reading unit tried to write"):
        await database.read(write)


async def test_the_database_itself_refuses_writes_of_readers(database: Database) -> None:
    statement = text("DELETE FROM agents")
    with pytest.raises(StorageError):
        await database.read(lambda uow: uow.transaction.core(statement))
    await database.ping()


async def test_a_cancelled_caller_does_not_hurt_the_group(database: Database) -> None:
    task = asyncio.create_task(database.write(lambda uow: uow.settings.put("c", 1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(lambda uow: uow.settings.put("d", 1))
    assert await database.read(lambda uow: uow.settings.get("d")) is not None


async def test_closing_finishes_what_was_queued_and_then_refuses(database_url: str) -> None:
    database = await Database.open(database_url)
    tasks = [
        asyncio.create_task(database.write(lambda uow, n=n: uow.settings.put(f"q{n}", n)))
        for n in range(300)
    ]
    await asyncio.sleep(0)
    await database.close()
    await asyncio.gather(*tasks)
    with pytest.raises(UnavailableError):
        await database.write(lambda uow: None)
    with pytest.raises(UnavailableError):
        await database.read(lambda uow: None)
    again = await Database.open(database_url)
    assert len(await again.read(lambda uow: uow.settings.list())) == 300
    await again.close()


async def test_a_full_queue_refuses_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    import storage.postgres_engine
    import storage.sqlite_engine

    monkeypatch.setattr(storage.sqlite_engine, "MAX_QUEUED_UNITS", 8)
    monkeypatch.setattr(storage.postgres_engine, "MAX_QUEUED_UNITS", 8)
    outcomes = await asyncio.gather(
        *(database.write(lambda uow, n=n: uow.settings.put(f"q{n}", n)) for n in range(50)),
        return_exceptions=True,
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, UnavailableError)]
    assert 50 - len(refused) == len(await database.read(lambda uow: uow.settings.list())) == 8
    assert all(error.retryable for error in refused)
    await database.write(lambda uow: uow.settings.put("after", 1))


async def test_audit_times_and_the_unit_use_the_clock_the_database_was_opened_with(
    database_url: str,
) -> None:
    database = await Database.open(database_url, now=lambda: NOW)
    assert await database.write(lambda uow: uow.now) == NOW
    await database.close()


Step = tuple[str, int]


@given(st.lists(st.sampled_from(["good", "raises", "misfit"]), max_size=40))
def test_settling_keeps_exactly_the_good_units_in_order(kinds: list[str]) -> None:
    kept: list[int] = []
    commits = 0

    def unit(number: int) -> Any:
        def run(work: list[Step]) -> int:
            if kinds[number] == "raises":
                raise Boom(str(number))
            work.append((kinds[number], number))
            return number

        return run

    def attempt(units: Sequence[Any]) -> list[Any]:
        nonlocal commits
        work: list[Step] = []
        values = []
        for index, run in enumerate(units):
            try:
                values.append(run(work))
            except Boom as exc:
                raise UnitFailed(index, exc) from exc
        if any(kind == "misfit" for kind, _ in work):
            raise ConflictError("does not fit")
        commits += 1
        kept.extend(number for _, number in work)
        return values

    outcomes = settle([unit(number) for number in range(len(kinds))], attempt)
    good = [number for number, kind in enumerate(kinds) if kind == "good"]
    assert kept == good
    assert len(outcomes) == len(kinds)
    for number, outcome in enumerate(outcomes):
        if kinds[number] == "good":
            assert outcome == Outcome(value=number)
        else:
            wanted = Boom if kinds[number] == "raises" else ConflictError
            assert isinstance(outcome.error, wanted)
    if "misfit" not in kinds:
        assert commits <= kinds.count("raises") + 1
