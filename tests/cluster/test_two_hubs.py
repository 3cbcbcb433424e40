"""Two processes are one hub: whatever is done at one is done for agents and people at the other."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.access.authorize import HUB_ACTOR
from controlplane.cli.client import HubClient
from controlplane.cli.witness import Cosigned, Witness
from controlplane.fleet.registrations import reject_registration
from controlplane.membership import LEADER
from protocol.keys import SigningKey
from protocol.messages import (
    ErrorMessage,
    Pong,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
)
from protocol.session import ControlReceived
from storage.errors import LeaseLostError
from tests.cluster.hubs import answer, at, online, read_event, two_hubs
from tests.controlplane.hub.world import ScriptedAgent, forged, until
from tests.controlplane.hubs import ServedHub
from tests.servers.nats import NatsServer

Hubs = tuple[ServedHub, ServedHub]
ORDER = {"action": "echo", "params": {"say": "hello"}}


@pytest.fixture
async def hubs(tmp_path: Path, postgres_url: str, nats_server: NatsServer) -> AsyncIterator[Hubs]:
    async with two_hubs(
        tmp_path, postgres_url, nats_server.url, key_conflict_answer_seconds=0.5
    ) as both:
        yield both


def order_for(agent: ScriptedAgent) -> dict[str, Any]:
    return {"target": {"agent": agent.did}, **ORDER}


async def test_an_order_reaches_an_agent_at_the_other_process_and_the_waiting_post_its_result(
    hubs: Hubs,
) -> None:
    here, there = hubs
    agent = await here.enrol()
    taking = asyncio.create_task(answer(agent, 21))
    seconds = []
    for _ in range(21):
        began = time.perf_counter()
        reply = await there.client.post("/api/v1/intents?wait=10", order_for(agent))
        seconds.append(time.perf_counter() - began)
        assert reply.json["intents"][0]["state"] == "succeeded"
    await taking
    print(f"across processes, order to result: p50 {statistics.median(seconds) * 1000:.1f} ms")
    # The catch-up comes after seconds: it was the hint that woke the other process.
    assert statistics.median(seconds) < 0.8


async def test_events_are_seen_at_both_and_resumed_at_the_other(hubs: Hubs) -> None:
    here, there = hubs
    agent = await here.enrol()
    async with there.client.stream("/api/v1/events?type=intent.") as stream:
        await until(lambda: there.hub.events.subscribers == 1)
        answering = asyncio.create_task(answer(agent))
        await here.client.post("/api/v1/intents", order_for(agent))
        first = await read_event(stream, "intent.dispatched")
        await read_event(stream, "intent.finished")
        await answering
    headers = {"Last-Event-ID": first["id"]}
    async with here.client.stream("/api/v1/events?type=intent.", **headers) as stream:
        last = await read_event(stream, "intent.finished")
        assert last["id"] > first["id"]


async def test_a_request_decided_at_one_process_opens_the_door_at_the_other(hubs: Hubs) -> None:
    here, there = hubs
    agent, other = ScriptedAgent(here.world()), ScriptedAgent(here.world())
    pending, refused = await agent.pending(), await other.pending(name="other")
    await there.world().approve(pending.registration_id)
    assert (await agent.receive(RegisterAck)).agent_id == agent.did
    await reject_registration(there.hub, HUB_ACTOR, refused.registration_id, "not ours")
    assert (await other.receive(RegistrationRejected)).reason == "not ours"
    assert await other.close_code() == 4403


async def test_a_second_connection_at_the_other_process_is_turned_away_while_the_first_lives(
    hubs: Hubs,
) -> None:
    here, there = hubs
    first = await here.enrol()
    second = at(first, there)
    await second.connect()
    await second.register()
    assert (await second.receive(ErrorMessage)).code == "key_conflict"
    assert await second.close_code() == 4409
    leaves = await there.world().read(lambda uow: uow.audit.of_subject(first.did))
    assert [one.kind for one in leaves].count("key_conflict") == 1
    await here.client.post("/api/v1/intents", order_for(first))
    await answer(first)


async def test_a_connection_that_answers_no_ping_loses_its_key_to_the_other_process(
    hubs: Hubs,
) -> None:
    here, there = hubs
    first = await here.enrol()
    first.live.transport.pause_reading()
    second = at(first, there)
    await online(second)
    await until(lambda: here.hub.registry.get(first.did) is None, "the first to be let go")
    await here.client.post("/api/v1/intents", order_for(first))
    await answer(second)


async def test_a_process_that_lost_an_agent_sends_and_records_nothing_more_for_it(
    hubs: Hubs,
) -> None:
    here, there = hubs
    agent = await here.enrol()
    # As if it had registered elsewhere while this process was cut off from every hint.
    lost = "0000-another"
    await there.hub.database.write(
        lambda uow: uow.agents.set_presence(
            agent.did, True, uow.now, lost, hub=there.hub.membership.id
        )
    )
    reply = await here.client.post("/api/v1/intents", order_for(agent))
    assert await agent.close_code() == 4409
    intent = await here.world().intent(reply.json["intents"][0]["id"])
    assert intent.state.value == "queued"
    row = await there.world().agent(agent.did)
    assert (row.online, row.session) == (True, lost)


async def test_a_revoked_key_a_stopped_agent_and_a_policy_reach_the_other_process(
    hubs: Hubs,
) -> None:
    here, there = hubs
    stopped, revoked = await here.enrol("stopped"), await here.enrol("revoked")
    answered = await there.client.post(
        f"/api/v1/agents/{stopped.did}/quarantine", {"reason": "look"}
    )
    assert answered.status == 200, answered.data
    assert (await stopped.document("quarantine")).payload["active"] is True
    answered = await there.client.post(f"/api/v1/agents/{revoked.did}/revoke", {"reason": "gone"})
    assert answered.status == 200, answered.data
    assert await revoked.close_code() == 4403
    assert (await stopped.document("revocations")).payload["keys"] == [revoked.did]


async def test_a_session_ended_at_one_process_is_over_at_the_other(hubs: Hubs) -> None:
    here, there = hubs
    person = await here.person("ada", "operator")
    same = there.client.as_key(person.api_key)
    assert (await same.get("/api/v1/me")).status == 200
    assert (await person.post("/api/v1/logout")).status in (200, 204)

    async def refused() -> bool:
        return (await same.get("/api/v1/me")).status == 401

    began = time.monotonic()
    while not await refused():
        assert time.monotonic() - began < 1.5, "only forgotten with time"


async def test_who_signs_in_or_joins_is_counted_by_both_together(
    tmp_path: Path, postgres_url: str, nats_server: NatsServer
) -> None:
    flags = {
        "sign_in_attempts_per_name": 2,
        "join_failures_per_address": 3,
        "max_pending_per_address": 3,
    }
    async with two_hubs(tmp_path, postgres_url, nats_server.url, **flags) as (here, there):
        wrong = {"name": "admin", "password": "wrong wrong wrong"}
        states = [
            (await hub.client.as_key(None).post("/api/v1/login", wrong)).status
            for hub in (here, there, here, there)
        ]
        assert states == [401, 401, 429, 429]
        # All at once, at both: as many wait as may, however they raced.
        strangers = [ScriptedAgent(hub.world()) for hub in (here, there) * 4]
        await asyncio.gather(*(one.connect() for one in strangers))
        await asyncio.gather(*(one.register(name="waits") for one in strangers))
        told = await asyncio.gather(*(answer_to(one) for one in strangers))
        assert sorted(told) == ["pending"] * 3 + ["rate_limited"] * 5
        assert await here.world().read(lambda uow: uow.registrations.count_pending()) == 3

        good = await here.world().join_token()
        for hub in (here, there, there):
            assert await join(hub, forged(good.token)) == "auth_failed"
        for hub in (here, there):
            assert await join(hub, good.token) == "rate_limited"
        kept = await here.world().read(lambda uow: uow.join_tokens.get(good.id))
        assert kept is not None
        assert kept.used_at is None


async def join(hub: ServedHub, token: str) -> str:
    """A new key comes with a token; how it is answered."""
    agent = ScriptedAgent(hub.world())
    await agent.connect()
    await agent.register(token=token)
    return await answer_to(agent)


async def answer_to(agent: ScriptedAgent) -> str:
    """Return `pending`, or the code of the refusal."""
    received = await agent.next(ControlReceived)
    match received.payload:
        case RegistrationPending():
            return "pending"
        case ErrorMessage(code=code):
            return code
        case other:
            raise AssertionError(f"what is {other}?")


async def test_one_process_leads_and_one_that_has_lost_the_lead_writes_nothing(
    hubs: Hubs,
) -> None:
    leads = [hub.hub.membership.leads for hub in hubs]
    assert sorted(leads) == [False, True]
    leader, other = hubs if leads[0] else hubs[::-1]
    as_leader = leader.hub.as_leader()
    assert as_leader is not None
    assert other.hub.as_leader() is None
    # It slept; the lease ran out, and another took it.
    await other.hub.database.write(lambda uow: uow.leases.release(LEADER, leader_id(leader)))
    await other.hub.membership.beat()
    with pytest.raises(LeaseLostError):
        await as_leader.database.write(lambda uow: uow.settings.put("late", True))
    assert await other.world().read(lambda uow: uow.settings.get("late")) is None
    await leader.hub.membership.beat()
    assert not leader.hub.membership.leads
    assert other.hub.membership.leads


def leader_id(hub: ServedHub) -> str:
    id = hub.hub.membership.id
    assert isinstance(id, str)
    return id


async def test_no_process_shows_an_agent_a_smaller_record_than_another_did(hubs: Hubs) -> None:
    here, there = hubs
    agent = await here.enrol()
    # The other process knows an old checkpoint, for up to a second.
    await there.running.live.newest()
    for n in range(5):
        await here.hub.database.write(lambda uow, n=n: uow.settings.put(f"s{n}", n))
        await here.hub.database.write(lambda uow: uow.audit.append("test", "hub", "x", {}))
    checkpoint = await here.hub.record.sign_newest()
    assert checkpoint is not None
    await agent.vanish()
    await until(lambda: here.hub.registry.get(agent.did) is None)
    moved = at(agent, there)
    ack = await online(moved)
    assert ack.checkpoint is not None
    await moved.heartbeat()
    pong = await moved.receive(Pong)
    assert pong.checkpoint is not None
    assert size(pong.checkpoint) >= size(ack.checkpoint) >= checkpoint.size


async def test_a_witness_that_looks_at_either_sees_one_record_and_is_shown_once(
    hubs: Hubs, tmp_path: Path
) -> None:
    witness = Witness(
        root=hubs[0].hub.identity.root,
        signer=SigningKey.from_seed(os.urandom(32)),
        name="witness.example/w1",
        state=tmp_path / "seen.json",
    )

    async def watch(hub: ServedHub) -> Cosigned:
        client = HubClient(hub.url, api_key=hub.client.api_key)
        return await asyncio.to_thread(witness.watch_once, client, unix_seconds=int(time.time()))

    seen: int | None = None
    for turn in range(4):
        # What one process wrote a moment ago, the other has to show as well: less is a fork.
        assert (
            await hubs[turn % 2].client.post("/api/v1/realms", {"id": f"r{turn}"})
        ).status == 201
        cosigned = await watch(hubs[(turn + 1) % 2])
        assert cosigned.before == seen
        assert cosigned.size > (seen or 0)
        seen = cosigned.size
    both = await asyncio.gather(*(watch(hub) for hub in hubs))
    assert {one.size for one in both} == {seen}
    for hub in hubs:
        shown = (await hub.client.get("/api/v1/audit/checkpoint")).json
        assert [(one["name"], one["size"]) for one in shown["cosigned"]] == [(witness.name, seen)]
    assert not witness.state.with_suffix(".fork.json").exists()


def size(text: str) -> int:
    return int(text.split("\n")[1])


async def test_readiness_names_the_bus_and_without_it_orders_arrive_by_catching_up(
    tmp_path: Path, postgres_url: str, own_nats_server: NatsServer
) -> None:
    async with two_hubs(tmp_path, postgres_url, own_nats_server.url) as (here, there):
        agent = await here.enrol()
        ready = await there.client.get("/readyz")
        assert (ready.status, ready.json["status"]) == (200, "ok")
        assert ready.json["checks"]["bus"] == "ok"
        own_nats_server.kill()
        await until(lambda: not there.hub.neighbours.bus.is_linked)
        answering = asyncio.create_task(answer(agent))
        reply = await there.client.post("/api/v1/intents?wait=20", order_for(agent))
        await answering
        assert reply.json["intents"][0]["state"] == "succeeded"

        async def degraded() -> bool:
            answer = await there.client.get("/readyz")
            return (answer.status, answer.json["status"], answer.json["checks"]["bus"]) == (
                200,
                "degraded",
                "bus_unavailable",
            )

        async with asyncio.timeout(8):
            while not await degraded():  # noqa: ASYNC110 - kept for two seconds
                await asyncio.sleep(0.1)
