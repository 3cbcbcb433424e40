"""The small parts: buckets, addresses, fault points, effects in order."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import weakref
from pathlib import Path

from controlplane import faults
from controlplane.access.attempts import address_group
from controlplane.hub.admission import (
    MAX_TURN_ADDRESSES,
    MAX_TURN_SECONDS,
    SocketCounter,
    TokenBucket,
    Turns,
)
from controlplane.hub.effects import MAX_WAITING, EffectQueue
from protocol.errors import Error
from protocol.messages import RegisterAck
from storage.database import Database
from storage.errors import ConflictError
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hub.world import RunningHub, until

ROOT = Path(__file__).parents[3]


def test_a_bucket_gives_its_burst_at_once_and_its_rate_after() -> None:
    bucket = TokenBucket(2, 3, now_seconds=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1_000) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_is_not_filled_by_a_clock_that_goes_back() -> None:
    bucket = TokenBucket(1, 1, now_seconds=10)
    assert bucket.take(10)
    assert not bucket.take(0)


def test_an_ipv6_network_is_one_address() -> None:
    assert address_group("2001:db8::1") == address_group("2001:db8::ffff:1")
    assert address_group("2001:db8::1") != address_group("2001:db8:0:1::1")
    assert address_group("::ffff:192.0.2.1") == address_group("192.0.2.1")
    assert address_group(None) == "unknown"


def test_a_counter_holds_only_addresses_that_have_sockets() -> None:
    counter = SocketCounter(2, 1_000)
    assert [counter.enter("a") for _ in range(3)] == [True, True, False]
    counter.leave("a")
    counter.leave("a")
    counter.leave("a")
    assert counter.total == 0
    assert counter.enter("a")


def test_a_counter_has_a_bound_for_all_addresses_together() -> None:
    counter = SocketCounter(2, 3)
    assert [counter.enter(address) for address in "aabb"] == [True, True, True, False]
    assert counter.is_full
    counter.leave("b")
    assert counter.enter("c")
    assert counter.total == 3


def test_everybody_of_an_address_gets_a_turn_and_nobody_pushes_another_address_back() -> None:
    turns = Turns(per_second=10)
    assert [round(turns.next_seconds("a", 100.0), 3) for _ in range(3)] == [0.1, 0.2, 0.3]
    assert round(turns.next_seconds("b", 100.0), 3) == 0.1
    assert round(turns.next_seconds("a", 100.25), 3) == 0.15
    longest = max(turns.next_seconds("c", 100.0) for _ in range(2_000))
    assert longest <= MAX_TURN_SECONDS
    for number in range(MAX_TURN_ADDRESSES + 10):
        turns.next_seconds(str(number), 100.0)
    assert len(turns._last) == MAX_TURN_ADDRESSES


def test_every_fault_point_is_reached_somewhere_and_every_reached_one_is_named() -> None:
    calls = set()
    for path in (ROOT / "controlplane").rglob("*.py"):
        text = path.read_text()
        for call in re.findall(r"faults\.reach\(([^)]*)\)", text):
            calls |= set(re.findall(r'"([a-z_]+)"', call))
    assert calls == faults.POINTS | faults.ROTATION_POINTS


def test_an_armed_point_kills_the_process_at_the_count_it_was_armed_for() -> None:
    code = (
        "from controlplane import faults\n"
        "faults.reach('intent_sent'); print('once', flush=True)\n"
        "faults.reach('result_acked'); faults.reach('intent_sent'); print('twice', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"WRIT_FAULT": "intent_sent:2", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (-9, "once\n")


async def test_effects_run_in_order_and_a_failing_one_fails_alone(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}")
    effects = EffectQueue(database)
    happened: list[object] = []
    for number in range(100):

        def unit(uow: UnitOfWork, number: int = number) -> int:
            if number % 10 == 3:
                raise ConflictError(str(number))
            uow.audit.append("test", "hub", str(number), {})
            return number

        def failed(error: Error, number: int = number) -> None:
            happened.append(number)

        effects.submit(unit, happened.append, failed)
    await asyncio.wait_for(effects.settle(), 30)
    assert happened == list(range(100))
    subjects = await database.read(
        lambda uow: [leaf.subject for leaf in uow.audit.leaves(0, uow.audit.size())]
    )
    assert subjects == [str(n) for n in range(100) if n % 10 != 3]
    await database.close()


async def test_effects_have_a_bound_and_room_again_later(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}")
    effects = EffectQueue(database)
    for _ in range(MAX_WAITING):
        effects.submit(lambda uow: None, lambda _: None, lambda _: None)
    assert not effects.has_room
    await asyncio.wait_for(effects.wait_room(), 10)
    assert effects.has_room
    await effects.settle()
    await database.close()


async def test_an_agent_that_leaves_is_freed_at_once(hub: RunningHub) -> None:
    # A hub looks for circles seldom: whatever each visit leaves in one adds up until then.
    agent = await hub.enrolled()
    await agent.leave()
    await until(lambda: hub.registry.get(agent.did) is None)
    gc.collect()
    gc.disable()
    try:
        for goes in (agent.leave, agent.vanish):
            await agent.connect()
            await agent.register()
            await agent.receive(RegisterAck)
            connection = hub.registry.get(agent.did)
            assert connection is not None
            left = [weakref.ref(connection), weakref.ref(connection.transport)]
            del connection
            await goes()
            await until(lambda: not any(ref() for ref in left), "an end of both")  # noqa: B023
    finally:
        gc.enable()
