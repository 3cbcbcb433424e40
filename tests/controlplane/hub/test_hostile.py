"""Bad frames, floods, slow readers, dead peers: each ends as section 4 says, nothing is left."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from controlplane import clock
from protocol.envelope import seal_control
from protocol.keys import SigningKey
from protocol.messages import (
    Drain,
    ErrorMessage,
    Heartbeat,
    Pong,
    RegisterAck,
    dump_payload,
)
from tests.controlplane.hub.world import RunningHub, ScriptedAgent, running_hub, until

HEARTBEAT = Heartbeat(uptime_seconds=1, load=0.1, memory_bytes=1, running=(), token_usage={})


def frame(agent: ScriptedAgent, **changes: Any) -> str:
    """Return the agent's next control frame, a heartbeat, with fields changed before signing."""
    fields: dict[str, Any] = {
        "type": "heartbeat",
        "id": clock.new_id(),
        "timestamp": clock.now(),
        "audience": agent.hub.hub.identity.hub_did,
        "session": agent.session.session_id,
        "sequence": 2,
        "payload": dump_payload(HEARTBEAT),
        "signer": agent.key,
        **changes,
    }
    return seal_control(**fields).wire.decode()


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("wrong_key", {"signer": SigningKey.from_seed(b"\5" * 32)}),
        (
            "wrong_audience",
            {"audience": "did:key:" + SigningKey.from_seed(b"\6" * 32).public_key.multikey},
        ),
        ("stale", {"off": -timedelta(minutes=10)}),
        ("future", {"off": timedelta(minutes=10)}),
        ("wrong_session", {"session": clock.new_id()}),
        ("replay", {"sequence": 1}),
        ("bad_sequence", {"sequence": 9}),
    ],
)
async def test_a_control_frame_that_fails_its_rows_ends_the_connection_4400(
    hub: RunningHub, code: str, spoil: dict[str, Any]
) -> None:
    agent = await hub.enrolled()
    if "off" in spoil:  # from now, not from when tests were collected
        spoil = {"timestamp": clock.now() + spoil["off"]}
    await agent.raw(frame(agent, **spoil))
    assert (await agent.receive(ErrorMessage)).code == code
    assert await agent.close_code() == 4400


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_json"),
        ('{"a": 1, "a": 2}', "bad_json"),
        ('{"a": NaN}', "bad_json"),
        ("[" * 40 + "]" * 40, "bad_json"),
        ("[]", "bad_envelope"),
        ('{"type": "heartbeat"}', "bad_envelope"),
    ],
)
async def test_text_that_is_no_envelope_ends_the_connection_4400(
    hub: RunningHub, text: str, code: str
) -> None:
    agent = await hub.enrolled()
    await agent.raw(text)
    assert (await agent.receive(ErrorMessage)).code == code
    assert await agent.close_code() == 4400


async def test_a_broken_signature_ends_the_connection_4400(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    value = json.loads(frame(agent))
    value["payload"]["load"] = 9
    await agent.raw(json.dumps(value))
    assert (await agent.receive(ErrorMessage)).code == "bad_signature"
    assert await agent.close_code() == 4400


async def test_a_second_register_ends_the_connection(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    payload = dump_payload(agent.register_payload())
    await agent.raw(frame(agent, type="register", payload=payload))
    assert (await agent.receive(ErrorMessage)).code == "forbidden_type"
    assert await agent.close_code() == 4400


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "wish"}, "unknown_type"),
        ({"type": "pong"}, "forbidden_type"),
        ({"payload": {"load": "much"}}, "bad_payload"),
    ],
)
async def test_a_proved_frame_that_asks_for_nothing_known_is_an_error_and_no_more(
    hub: RunningHub, changes: dict[str, Any], code: str
) -> None:
    agent = await hub.enrolled()
    await agent.raw(frame(agent, **changes))
    assert (await agent.receive(ErrorMessage)).code == code
    await agent.raw(frame(agent, sequence=3))
    assert await agent.receive(Pong)


async def test_a_binary_frame_closes_1003(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.raw(b"\x00\x01")
    assert await agent.close_code() == 1003


async def test_text_that_is_not_utf8_closes_1007(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    agent.live.protocol.send_text(b"\xff\xfe")
    agent.live.send_data()
    assert await agent.close_code() == 1007


async def test_a_frame_over_the_limit_before_registration_closes_1009(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    await agent.raw("x" * (64 * 1024 + 1))
    assert await agent.close_code() == 1009


async def test_a_frame_over_the_limit_closes_1009(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.raw("x" * (1024 * 1024 + 1))
    assert await agent.close_code() == 1009


async def test_a_message_in_endless_crumbs_closes_1009(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    protocol = agent.live.protocol
    protocol.send_text(b"{", fin=False)
    for _ in range(3_000):
        protocol.send_continuation(b" ", fin=False)
    agent.live.send_data()
    assert await agent.close_code() == 1009


async def test_who_sends_faster_than_the_rate_is_told_and_in_the_end_closed_4429(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path / "hub", frames_per_second=5, frames_burst=10) as hub:
        agent = await hub.enrolled()
        flood = asyncio.create_task(send_until_closed(agent))
        assert (await agent.receive(ErrorMessage)).code == "rate_limited"
        assert await agent.close_code() == 4429
        await flood


async def send_until_closed(agent: ScriptedAgent) -> None:
    for _ in range(2_000):
        try:
            await agent.heartbeat()
        except Exception:  # closed under us, as it should be
            return


async def test_a_flood_of_refused_frames_counts_as_well(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", frames_per_second=5, frames_burst=10) as hub:
        agent = await hub.enrolled()
        for number in range(400):
            try:
                await agent.raw(frame(agent, type="wish", sequence=number + 2))
            except Exception:  # closed under us, as it should be
                break
        assert await agent.close_code() == 4429


async def test_a_slow_reader_is_closed_4429_and_its_orders_wait(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", max_send_queue_bytes=100 * 1024) as hub:
        agent = await hub.enrolled()
        connection = hub.registry.get(agent.did)
        assert connection is not None
        agent.live.transport.pause_reading()
        for n in range(60):
            await hub.order(agent.did, params={"n": n, "fill": "x" * 200_000})
        await until(lambda: not connection.transport.is_open, "the end of the slow reader")
        assert connection.transport.buffered_bytes <= 1024 * 1024
        agent.live.transport.resume_reading()
        assert await agent.close_code() == 4429
        await until(lambda: len(hub.registry) == 0, "an empty registry")
        assert await hub.read(lambda uow: uow.intents.count_open()) == 60


async def test_a_reader_that_never_answers_pings_is_closed_4408(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", ping_seconds=0.2) as hub:
        agent = await hub.enrolled()
        agent.live.transport.pause_reading()
        await until(lambda: hub.registry.get(agent.did) is None, "the end of the connection")
        agent.live.transport.resume_reading()
        assert await agent.close_code() == 4408


async def test_an_agent_without_heartbeats_is_closed_4408(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", heartbeat_seconds=1) as hub:
        agent = await hub.enrolled()
        assert await agent.close_code() == 4408


async def test_a_stranger_that_floods_pings_and_reads_nothing_is_cut(tmp_path: Path) -> None:
    async with running_hub(
        tmp_path / "hub", max_frame_bytes=64 * 1024, register_deadline_seconds=30, ping_seconds=30
    ) as hub:
        agent = ScriptedAgent(hub)
        await agent.connect()
        agent.live.transport.pause_reading()
        ping = Frame(Opcode.PING, b"p" * 125).serialize(mask=True)
        for _ in range(200):
            if len(hub.registry) == 0:
                break
            agent.live.transport.write(ping * 400)
            await asyncio.sleep(0.01)
        await until(lambda: len(hub.registry) == 0, "the end of the connection")
        agent.live.transport.abort()


async def test_drain_tells_every_agent_when_to_come_back_and_closes_4503(tmp_path: Path) -> None:
    agents: list[ScriptedAgent] = []
    async with running_hub(tmp_path / "hub") as hub:
        agents = [await hub.enrolled() for _ in range(3)]
        closing = [asyncio.create_task(told_to_leave(agent)) for agent in agents]
    for told in await asyncio.gather(*closing):
        assert told == (1, 4503)


async def told_to_leave(agent: ScriptedAgent) -> tuple[int, int]:
    drain = await agent.receive(Drain)
    return drain.retry_after_seconds, await agent.close_code()


async def test_drain_is_bounded_though_nobody_answers(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", shutdown_seconds=0.3) as hub:
        agent = await hub.enrolled()
        agent.live.transport.pause_reading()
    agent.live.transport.abort()


async def test_what_arrived_before_the_drain_is_on_disk_after_it(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    async with running_hub(folder) as hub:
        agent = await hub.enrolled()
        order = await hub.order(agent.did)
        intent = await agent.document()
        await agent.say_document(agent.result(intent))
        await agent.result_acks(1)
    async with running_hub(folder) as again:
        assert (await again.intent(order.id)).state.value == "succeeded"
        assert not (await again.agent(agent.did)).online


async def test_a_restarted_hub_sends_what_was_not_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    async with running_hub(folder) as hub:
        agent = await hub.enrolled()
        order = await hub.order(agent.did)
        first = await agent.document()
    async with running_hub(folder) as again:
        agent.hub = again
        await agent.online()
        assert (await agent.document()).wire == first.wire
        assert first.id == order.id


async def test_many_agents_come_and_go_and_nothing_is_left(hub: RunningHub) -> None:
    async def visit() -> None:
        agent = await hub.enrolled(name=f"a{os.urandom(4).hex()}")
        order = await hub.order(agent.did)
        await agent.say_document(agent.result(await agent.document()))
        assert await agent.result_acks(1) == [order.id]
        await agent.vanish()

    for _ in range(4):
        await asyncio.gather(*(visit() for _ in range(8)))
    await until(lambda: len(hub.registry) == 0, "an empty registry")
    assert hub.live.dispatcher.tasks == 0


async def test_frames_after_the_close_change_nothing(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    result = agent.result(intent)
    await agent.raw("{")
    await agent.raw(result.wire.decode())
    assert await agent.close_code() == 4400
    assert (await hub.intent(order.id)).state.value == "dispatched"


async def test_a_stranger_cannot_send_a_document(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    other = await hub.enrolled()
    order = await hub.order(other.did)
    intent = await other.document()
    await agent.raw(other.result(intent).wire.decode())
    assert (await agent.receive(ErrorMessage)).code == "auth_failed"
    assert await agent.close_code() == 4401
    assert (await hub.intent(order.id)).state.value == "dispatched"


async def test_a_heartbeat_before_register_is_auth_failed(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    await agent.raw(frame(agent, sequence=1))
    assert (await agent.receive(ErrorMessage)).code == "auth_failed"
    assert await agent.close_code() == 4401


async def test_another_challenge_is_auth_failed(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    await agent.register(challenge="B" * 42 + "A=")
    assert (await agent.receive(ErrorMessage)).code == "auth_failed"
    assert await agent.close_code() == 4401


async def test_an_agent_that_was_thrown_out_can_come_back(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.raw("{")
    assert await agent.close_code() == 4400
    assert isinstance(await agent.online(), RegisterAck)
