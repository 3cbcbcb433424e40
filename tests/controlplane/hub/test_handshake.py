"""Who is let in, who waits, who is turned away, and what each of them is told."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from controlplane import clock
from controlplane.access.authorize import HUB_ACTOR
from controlplane.fleet.registrations import reject_registration
from controlplane.hub.lifecycle import drain
from protocol.envelope import Envelope, seal_document
from protocol.key_rotation import rotation_payload
from protocol.keys import fingerprint
from protocol.messages import (
    Drain,
    ErrorMessage,
    Pong,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
    dump_payload,
)
from storage.records import AuditFilter
from tests.controlplane.hub.world import (
    NOTHING,
    RunningHub,
    ScriptedAgent,
    forged,
    running_hub,
    until,
)


async def test_an_unknown_key_waits_until_an_admin_approves_it(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    waiting = await agent.pending()
    assert waiting.fingerprint == fingerprint(hub.hub.identity.root, agent.key.public_key)

    await hub.approve(waiting.registration_id)

    ack = await agent.receive(RegisterAck)
    assert ack.agent_id == agent.did
    assert ack.name == "worker"
    assert ack.policy is not None
    assert ack.log is not None
    assert (await hub.agent(agent.did)).online


async def test_a_request_outlives_its_socket_and_keeps_its_id(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    first = await agent.pending()
    await agent.leave()
    again = await agent.pending()
    assert again.registration_id == first.registration_id


async def test_an_approval_while_the_agent_is_away_lets_it_in_when_it_returns(
    hub: RunningHub,
) -> None:
    agent = ScriptedAgent(hub)
    waiting = await agent.pending()
    await agent.leave()
    await hub.approve(waiting.registration_id)
    assert (await agent.online()).agent_id == agent.did


async def test_a_rejected_agent_is_told_why_and_closed_4403(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    waiting = await agent.pending()
    await reject_registration(hub.hub, HUB_ACTOR, waiting.registration_id, "not ours")
    assert (await agent.receive(RegistrationRejected)).reason == "not ours"
    assert await agent.close_code() == 4403


async def test_a_pending_agent_is_answered_its_heartbeats(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.pending()
    await agent.heartbeat()
    assert (await agent.receive(Pong)).time is not None


async def test_a_revoked_key_that_proves_itself_is_closed_4403(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    await hub.hub.database.write(lambda uow: uow.agents.update(agent.did, state="revoked"))
    await agent.connect()
    await agent.register()
    assert await agent.close_code() == 4403


async def test_a_token_that_approves_by_itself_lets_the_agent_in_at_once(hub: RunningHub) -> None:
    agent = await hub.enrolled(name="edge")
    record = await hub.agent(agent.did)
    assert (record.name, record.state, record.online) == ("edge", "active", True)


async def test_a_taken_name_gets_a_number(hub: RunningHub) -> None:
    for expected in ("worker", "worker-2", "worker-3"):
        agent = await hub.enrolled()
        assert (await hub.agent(agent.did)).name == expected


async def test_a_token_that_does_not_approve_fills_in_the_realm_and_waits(hub: RunningHub) -> None:
    token = await hub.join_token(auto_approve=False)
    agent = ScriptedAgent(hub)
    waiting = await agent.pending(token=token.token)
    found = await hub.read(lambda uow: uow.registrations.get(waiting.registration_id))
    assert found is not None
    assert (found.realm, found.join_token_id) == ("default", token.id)


async def test_a_token_lets_in_one_agent_only(hub: RunningHub) -> None:
    token = (await hub.join_token()).token
    first, second = ScriptedAgent(hub), ScriptedAgent(hub)
    await first.connect()
    await first.register(token=token)
    await first.receive(RegisterAck)
    await second.connect()
    await second.register(token=token)
    assert (await second.receive(ErrorMessage)).code == "auth_failed"
    assert await second.close_code() == 4401


@pytest.mark.parametrize("spoil", ["proof", "name", "revoked"])
async def test_an_invalid_token_is_auth_failed_and_uses_nothing_up(
    hub: RunningHub, spoil: str
) -> None:
    token = await hub.join_token(name="edge-*")
    agent = ScriptedAgent(hub)
    await agent.connect()
    payload = agent.register_payload(
        token=token.token, name="other" if spoil == "name" else "edge-1"
    )
    if spoil == "proof":
        payload = payload.model_copy(update={"version": "0.2.0"})
    if spoil == "revoked":
        await hub.hub.database.write(lambda uow: uow.join_tokens.revoke(token.id))
    await agent.say(payload)
    assert (await agent.receive(ErrorMessage)).code == "auth_failed"
    assert await agent.close_code() == 4401
    kept = await hub.read(lambda uow: uow.join_tokens.get(token.id))
    assert kept is not None
    assert kept.used_at is None
    assert await hub.read(lambda uow: uow.registrations.count_pending()) == 0


async def test_a_token_of_a_key_that_is_enrolled_is_ignored(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    token = await hub.join_token()
    await agent.online(token=token.token)
    kept = await hub.read(lambda uow: uow.join_tokens.get(token.id))
    assert kept is not None
    assert kept.used_at is None


async def test_an_agent_is_told_only_what_it_does_not_hold(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    again = await agent.online(holds=NOTHING.model_copy(update={"policy_version": 1}))
    assert again.policy is None


async def test_a_socket_without_the_subprotocol_is_answered_400(hub: RunningHub) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(hub.url)
    assert refused.value.response.status_code == 400


async def test_plain_http_is_answered_400(hub: RunningHub) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.port)
    writer.write(b"GET /ws/agent HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n")
    status = await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    assert b" 400 " in status


async def test_who_does_not_register_in_time_is_closed_4408(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", register_deadline_seconds=0.1) as hub:
        agent = ScriptedAgent(hub)
        await agent.connect()
        assert await agent.close_code() == 4408


async def test_one_address_has_a_bound_on_unregistered_sockets(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", max_unregistered_per_address=3) as hub:
        strangers = [ScriptedAgent(hub) for _ in range(3)]
        for stranger in strangers:
            await stranger.connect()
        with pytest.raises(InvalidStatus) as refused:
            await ScriptedAgent(hub).dial()
        assert refused.value.response.status_code == 429
        assert refused.value.response.headers["Retry-After"] == "1"
        await strangers[0].register()
        await strangers[0].receive(RegistrationPending)
        await ScriptedAgent(hub).connect()


async def test_all_addresses_together_have_a_bound_and_each_late_one_its_turn(
    tmp_path: Path,
) -> None:
    bounds = {"max_unregistered": 1, "arrivals_per_second": 1}
    async with running_hub(tmp_path / "hub", **bounds) as hub:
        await ScriptedAgent(hub).connect()
        turns = []
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused:
                await ScriptedAgent(hub).dial()
            assert refused.value.response.status_code == 503
            turns.append(int(refused.value.response.headers["Retry-After"]))
        assert turns == sorted(turns)
        assert turns[-1] > 1


async def test_a_drain_gives_each_agent_its_turn_to_come_back(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", arrivals_per_second=1) as hub:
        agents = [await hub.enrolled() for _ in range(3)]
        draining = asyncio.create_task(drain(hub.live))
        told = [(await agent.receive(Drain)).retry_after_seconds for agent in agents]
        assert told == [1, 2, 3]
        await draining


async def test_one_address_has_a_bound_on_pending_requests(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", max_pending_per_address=2) as hub:
        for _ in range(2):
            await ScriptedAgent(hub).pending()
        late = ScriptedAgent(hub)
        await late.connect()
        await late.register()
        assert (await late.receive(ErrorMessage)).code == "rate_limited"
        assert await late.close_code() == 4429


async def test_an_address_that_guesses_join_tokens_is_turned_away_and_enrolled_agents_are_not(
    tmp_path: Path,
) -> None:
    async with running_hub(tmp_path / "hub", join_failures_per_address=2) as hub:
        here_before = await hub.enrolled()
        good = await hub.join_token()
        wrong = forged(good.token)
        for _ in range(2):
            guessing = ScriptedAgent(hub)
            await guessing.connect()
            await guessing.register(token=wrong)
            assert (await guessing.receive(ErrorMessage)).code == "auth_failed"
            assert await guessing.close_code() == 4401
        late = ScriptedAgent(hub)
        await late.connect()
        await late.register(token=good.token)
        assert (await late.receive(ErrorMessage)).code == "rate_limited"
        assert await late.close_code() == 4429
        kept = await hub.read(lambda uow: uow.join_tokens.get(good.id))
        assert kept is not None
        assert kept.used_at is None
        # Who needs no token is not held up: a known key, and one that waits for an admin.
        await here_before.leave()
        await here_before.online(token=wrong)
        await ScriptedAgent(hub).pending()


async def test_garbage_before_registration_is_auth_failed_and_leaves_nothing(
    hub: RunningHub,
) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    await agent.raw("{}")
    assert (await agent.receive(ErrorMessage)).code == "auth_failed"
    assert await agent.close_code() == 4401
    assert await hub.read(lambda uow: uow.registrations.count_pending()) == 0


async def test_a_second_connection_of_a_live_key_is_closed_4409_and_recorded(
    hub: RunningHub,
) -> None:
    first = await hub.enrolled()
    reading = asyncio.create_task(first.close_code())  # a client answers pings while it reads
    second = ScriptedAgent(hub, first.key)
    await second.connect()
    await second.register()
    assert (await second.receive(ErrorMessage)).code == "key_conflict"
    assert await second.close_code() == 4409
    reading.cancel()
    leaves = await hub.read(lambda uow: uow.audit.list(AuditFilter(kind="key_conflict")).items)
    assert [leaf.subject for leaf in leaves] == [first.did]
    assert list(hub.registry.online()) == [first.did]


async def test_a_newer_connection_wins_when_the_older_one_is_dead(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", key_conflict_answer_seconds=0.2) as hub:
        first = await hub.enrolled()
        first.live.transport.pause_reading()
        second = ScriptedAgent(hub, first.key)
        await second.online()
        await until(lambda: len(hub.registry) == 1, "the end of the older connection")
        await second.heartbeat()
        await second.receive(Pong)
        assert (await hub.agent(first.did)).online
        first.live.transport.abort()


async def test_presence_follows_the_connection(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    assert (await hub.agent(agent.did)).online
    with hub.hub.events.subscribe(lambda event: event.type == "agent.offline") as news:
        await agent.vanish()
        assert await asyncio.wait_for(news.next(), 5) is not None
    assert not (await hub.agent(agent.did)).online


async def test_an_agent_goes_on_under_a_new_key_with_its_name_policy_and_orders(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled(name="edge")
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await hub.intent_reaches(order.id, "accepted")
    new = ScriptedAgent(hub)
    await agent.say_document(rotation(agent, new))
    assert await agent.close_code() == 1000

    ack = await new.online(holds=NOTHING.model_copy(update={"intents": (intent.id,)}))
    assert (ack.agent_id, ack.name) == (new.did, "edge")
    assert ack.policy is not None
    assert (ack.policy["audience"], ack.policy["payload"]["version"]) == (new.did, 2)
    await new.say_document(new.result(intent))
    assert await new.result_acks(1) == [order.id]

    assert (await agent.pending()).registration_id  # the old key is a stranger's


async def test_a_rotation_to_a_key_that_has_not_agreed_changes_nothing(hub: RunningHub) -> None:
    agent, other = await hub.enrolled(), ScriptedAgent(hub)
    payload = dump_payload(rotation_payload(agent.key.public_key, other.key))
    payload["newKey"] = ScriptedAgent(hub).key.public_key.multikey
    await agent.say_document(rotation(agent, other, payload=payload))
    assert (await agent.receive(ErrorMessage)).code == "bad_signature"
    assert (await hub.agent(agent.did)).state == "active"


async def test_a_rotation_to_the_key_of_another_agent_is_refused(hub: RunningHub) -> None:
    agent, other = await hub.enrolled(), await hub.enrolled()
    await agent.say_document(rotation(agent, other))
    assert (await agent.receive(ErrorMessage)).code == "key_conflict"
    assert (await hub.agent(agent.did)).state == "active"


def rotation(agent: ScriptedAgent, new: ScriptedAgent, **changes: Any) -> Envelope:
    """Return the document by which `agent` goes over to the key of `new`."""
    fields: dict[str, Any] = {
        "type": "key_rotation",
        "id": clock.new_id(),
        "timestamp": clock.now(),
        "expires": clock.now() + timedelta(days=1),
        "audience": agent.hub.hub.identity.hub_did,
        "payload": dump_payload(rotation_payload(agent.key.public_key, new.key)),
        "signer": agent.key,
        **changes,
    }
    return seal_document(**fields)


async def test_an_agent_is_told_to_come_back_when_the_database_is_away(hub: RunningHub) -> None:
    agent = ScriptedAgent(hub)
    await agent.connect()
    await hub.hub.database.close()
    await agent.register()
    assert await agent.close_code() == 4503
