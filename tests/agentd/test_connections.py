"""Section 4 and 5 from the agent's end: whom it believes, how it joins, when it comes back."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from agentd import clock
from agentd.connection import End, Outcome
from agentd.errors import HubAddressError, IdentityError
from agentd.identity import load_identity, load_root, prepare_next_key
from agentd.record_watch import ASKS, CUTS_PER_CONNECTION, MAX_UNPROVEN_CONNECTIONS
from agentd.settings import AgentSettings, parse_hub_address, parse_hub_addresses
from agentd.supervisor import decide_delay_seconds
from protocol import limits
from protocol.join_tokens import JoinToken, encode_join_token, join_key, verify_join_proof
from protocol.key_rotation import verify_key_rotation
from protocol.messages import (
    CheckpointRequest,
    DocumentAck,
    ErrorMessage,
    Heartbeat,
    Holds,
    IntentAck,
)
from protocol.session import RegisterReceived
from protocol.verification import verify_document_offline
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble, delegate, new_id, new_key, seal

MakeAgent = Callable[..., AgentHere]


async def test_it_waits_for_an_admin_and_goes_on_over_the_same_socket(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.mode = "pending"
    async with agent_here() as agent:
        line = await agent.state("pending")
        assert line["fingerprint"] == agent.lines[0]["fingerprint"]
        await hub.admit()
        await agent.state("online")
    assert hub.connections == 1


async def test_a_rejected_agent_says_so_and_asks_again_rarely(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.mode = "reject"
    async with agent_here() as agent:
        line = await agent.state("refused")
    assert line == {"state": "refused", "reason": "not you", "retryInSeconds": 600.0}


async def test_it_believes_no_hub_of_another_root(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here(root=new_key().public_key.did) as agent:
        await agent.state("refused")
    assert hub.received.registers == []


async def test_it_believes_no_hub_whose_delegation_does_not_route(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.delegation = delegate(hub.root, hub.key.public_key.did, ("*",))
    async with agent_here() as agent:
        await agent.state("refused")
    assert hub.received.registers == []


async def test_trust_on_first_use_pins_and_says_so(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here(root=None, trust_first_hub=True) as agent:
        await agent.state("online")
        assert agent.lines[0]["fingerprint"] is None
        assert any(line.get("trustedFirstHub") for line in agent.lines)
    assert load_root(data_dir) == hub.root.public_key
    other = new_key().public_key.did
    with pytest.raises(IdentityError):
        async with agent_here(root=other) as agent:
            await agent.state("connecting")


async def test_a_join_token_brings_hub_root_and_a_proof(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    secret = os.urandom(32)
    token = encode_join_token(JoinToken(hub.url, hub.root.public_key, new_id(), secret))
    seen: list[RegisterReceived] = []
    hub.on_register = seen.append
    async with agent_here(hub=None, root=None, join=token) as agent:
        await agent.state("online")
        await hub.drop()
        await hub.until(lambda: len(hub.received.registers) == 2)
    verify_join_proof(join_key(secret), seen[0].envelope.payload)
    assert seen[1].payload.join is None


async def test_it_comes_back_after_a_lost_connection(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        await hub.drop()
        await agent.state("offline")
        await hub.until(lambda: len(hub.received.registers) == 2 and hub.online)


async def test_it_stays_away_while_a_hub_drains(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        await hub.drain(40)
        line = await agent.state("offline")
    assert 40 <= line["retryInSeconds"] <= 60


@pytest.mark.parametrize(
    ("said", "least", "most"), [("7", 7, 10.5), ("86400", 0, 2), ("soon", 0, 2), ("0", 1, 1.5)]
)
async def test_it_takes_the_turn_that_a_busy_hub_gives_it_and_no_absurd_one(
    hub: HubDouble, agent_here: MakeAgent, said: str, least: float, most: float
) -> None:
    hub.busy_headers = {"Retry-After": said}
    async with agent_here() as agent:
        line = await agent.state("offline")
    assert least <= line["retryInSeconds"] <= most


async def test_it_shows_that_it_lives_and_leaves_a_silent_hub(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.heartbeat_seconds = 1
    async with agent_here() as agent:
        await agent.state("online")
        beat = await hub.until(lambda: hub.received.of(Heartbeat))
        assert beat[0].memory_bytes > 0
        # What limits are judged by is said with it: people see a budget run out before it has.
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"
        used = {"ordersThisHour": 1, "ordersToday": 1, "tokensToday": 0, "centsToday": 0}
        await hub.until(
            lambda: [one for one in hub.received.of(Heartbeat) if one.token_usage == used]
        )
        hub.answer_heartbeats = False
        line = await agent.state("offline")
    assert line["reason"] == "the hub is silent"


@pytest.mark.parametrize("was_acked", [False, True])
async def test_a_result_whose_time_has_gone_is_signed_anew(
    hub: HubDouble, agent_here: MakeAgent, monkeypatch: pytest.MonkeyPatch, was_acked: bool
) -> None:
    """Nobody took it, or a hub put back to a backup asks again for what it once had."""
    monkeypatch.setattr(limits, "RESULT_LIFETIME", timedelta(seconds=0.5))  # else 90 days
    hub.ack_results = was_acked
    async with agent_here(result_resend_seconds=0.3) as agent:
        await agent.state("online")
        intent = await hub.order("echo", {"a": 1})
        await hub.result(intent)
        first = hub.results_of(intent)[0]
        hub.ack_results = False
        hub.open_documents[intent.id] = intent.wire
        while len({one.digest for one in hub.results_of(intent)}) == 1:
            before = len(hub.results_of(intent))
            await hub.drop()
            await hub.until(lambda: len(hub.results_of(intent)) > before)  # noqa: B023
        second = hub.results_of(intent)[-1]
    assert first.expires is not None
    assert second.timestamp >= first.expires
    assert (second.id != first.id, second.sender_did) == (True, first.sender_did)
    assert second.payload == first.payload


@pytest.mark.parametrize("code", ["rate_limited", "future", "unavailable"])
async def test_a_result_that_could_not_be_taken_just_then_is_offered_again(
    hub: HubDouble, agent_here: MakeAgent, code: str
) -> None:
    hub.ack_results = False
    async with agent_here(result_resend_seconds=0.3) as agent:
        await agent.state("online")
        intent = await hub.order("echo", {})
        await hub.result(intent)
        for _ in range(2):
            before = len(hub.results_of(intent))
            newest = hub.results_of(intent)[-1]
            await hub.send(ErrorMessage(code=code, message="", in_reply_to=newest.id))
            await hub.until(lambda: len(hub.results_of(intent)) > before)  # noqa: B023
        assert hub.connections == 1


async def test_a_result_signed_while_the_clock_was_ahead_is_signed_anew(
    hub: HubDouble, agent_here: MakeAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_clock = clock.wall_now
    async with agent_here() as agent:
        await agent.state("online")
        intent = await hub.order("shell.exec", {"argv": ["sleep", "0.5"]})
        await hub.until(lambda: hub.received.of(IntentAck))
        port = hub.port
        await hub.stop()
        monkeypatch.setattr(clock, "wall_now", lambda: true_clock() + timedelta(hours=1))
        async with asyncio.timeout(20):
            assert agent.agent is not None
            while agent.agent.report()["orders"].get("finished") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        monkeypatch.setattr(clock, "wall_now", true_clock)
        await hub.listen(port)
        result = await hub.result(intent)
    assert result["status"] == "succeeded"
    assert hub.results_of(intent)[-1].timestamp < true_clock() + timedelta(minutes=1)


async def test_the_record_may_only_grow(hub: HubDouble, agent_here: MakeAgent) -> None:
    hub.send_log = True
    hub.checkpoint = hub.grow(3)
    async with agent_here() as agent:
        await agent.state("online")
        await hub.send(hub.pong(hub.grow(4)))
        await hub.until(lambda: hub.received.of(CheckpointRequest))
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"
        hub.checkpoint = hub.make_checkpoint()
    async with agent_here() as agent:
        await agent.state("online")
        assert hub.received.registers[1].holds.checkpoint == hub.checkpoint
        hub.leaves = hub.leaves[:5]
        await hub.send(hub.pong(hub.make_checkpoint()))
        result = await hub.result(await hub.order("echo", {}))
    assert result["error"]["code"] == "quarantined"


async def test_an_unproven_record_is_a_fork(hub: HubDouble, agent_here: MakeAgent) -> None:
    hub.send_log = True
    hub.checkpoint = hub.grow(3)
    hub.answer_proofs = False
    async with agent_here(checkpoint_proof_seconds=0.3) as agent:
        await agent.state("online")
        await hub.send(hub.pong(hub.grow(4)))
        await agent.until_line(lambda line: line.get("quarantined") == "log_fork")
        assert len(hub.received.registers) >= MAX_UNPROVEN_CONNECTIONS
        assert len(hub.received.of(CheckpointRequest)) == MAX_UNPROVEN_CONNECTIONS * ASKS
        await hub.until(lambda: hub.online)
        result = await hub.result(await hub.order("echo", {}))
    assert result["error"]["code"] == "quarantined"


@pytest.mark.parametrize("proves_in_the_end", [True, False])
async def test_a_hub_may_die_on_a_proof_often_but_not_for_ever(
    hub: HubDouble, agent_here: MakeAgent, proves_in_the_end: bool
) -> None:
    hub.send_log = True
    hub.checkpoint = hub.grow(3)
    hub.answer_proofs = False
    most = MAX_UNPROVEN_CONNECTIONS * CUTS_PER_CONNECTION
    async with agent_here(checkpoint_proof_seconds=60) as agent:
        await agent.state("online")
        hub.checkpoint = hub.grow(4)
        await hub.send(hub.pong(hub.checkpoint))
        for cuts in range(1, most + 1):
            await hub.until(lambda: len(hub.received.of(CheckpointRequest)) >= cuts)  # noqa: B023
            hub.answer_proofs = proves_in_the_end and cuts == most - 1
            await hub.drop()
        if proves_in_the_end:
            await hub.until(lambda: hub.online)
            assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"
            assert not [line for line in agent.lines if line.get("quarantined")]
        else:
            await agent.until_line(lambda line: line.get("quarantined") == "log_fork")


async def test_a_hub_that_is_long_in_proving_its_record_is_no_liar(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.send_log = True
    hub.checkpoint = hub.grow(3)
    hub.answer_proofs = False
    async with agent_here(checkpoint_proof_seconds=0.6) as agent:
        await agent.state("online")
        await hub.send(hub.pong(hub.grow(4)))
        await hub.until(lambda: len(hub.received.registers) >= 2)
        hub.answer_proofs = True
        await hub.until(lambda: hub.online)
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"
        assert not [line for line in agent.lines if line.get("quarantined")]


async def test_a_new_log_key_counts_when_the_root_names_it_and_not_when_the_hub_does(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.send_log = True
    hub.checkpoint = kept = hub.grow(3)
    first_key, second_key = hub.log_key, new_key()

    async def come_back() -> Holds:
        before = len(hub.received.registers)
        await hub.drop()
        await hub.until(lambda: len(hub.received.registers) > before and hub.online)
        return hub.received.registers[-1].holds

    async with agent_here() as agent:
        await agent.state("online")
        # Of the hub's own making, under its own delegation: not believed, nor what it signs.
        hub.log_delegation = delegate(
            hub.key, second_key.public_key.did, ("writ.log",), parent=hub.delegation
        )
        hub.log_key = second_key
        hub.checkpoint = hub.grow(2)
        await come_back()
        await hub.until(lambda: refused_documents(hub))
        assert (await come_back()).checkpoint == kept
        # By the root: from then on it signs the record, which goes on from what was seen.
        hub.log_delegation = delegate(hub.root, second_key.public_key.did, ("writ.log",))
        await come_back()
        await hub.until(lambda: hub.received.of(CheckpointRequest))
        assert (await come_back()).checkpoint == hub.checkpoint
        # And the one before it signs nothing more.
        signed_by_both = hub.checkpoint
        hub.log_key = first_key
        await hub.send(hub.pong(hub.grow(1)))
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"
        assert (await come_back()).checkpoint == signed_by_both
        assert not [line for line in agent.lines if line.get("quarantined")]


def refused_documents(hub: HubDouble) -> list[str]:
    errors = [one.code for one in hub.received.of(ErrorMessage)]
    acks = [item for ack in hub.received.of(DocumentAck) for item in ack.documents]
    return errors + [item.code or "" for item in acks if item.state == "refused"]


async def test_a_fork_outlives_the_process_and_only_more_than_the_hub_lifts_it(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    hub.send_log = True
    hub.checkpoint = hub.grow(3)
    hub.answer_proofs = False
    async with agent_here(checkpoint_proof_seconds=0.2) as agent:
        await agent.state("online")
        await hub.send(hub.pong(hub.grow(4)))
        await agent.until_line(lambda line: line.get("quarantined") == "log_fork")
        # An honest hub is told, and tells its admins; on every connection, for one may be lost.
        await hub.until(lambda: times_told_of_a_fork(hub) > 0)
    before = times_told_of_a_fork(hub)
    hub.answer_proofs = True
    lift = {"epoch": 1, "active": False, "reason": "looked into"}
    async with agent_here() as agent:
        await agent.state("online")
        await hub.until(lambda: times_told_of_a_fork(hub) > before)
        await hub.send_document(seal("quarantine", hub.key, hub.agent_did, lift))
        result = await hub.result(await hub.order("echo", {}))
        assert result["error"]["code"] == "quarantined"
        await hub.send_document(seal("quarantine", hub.root, hub.agent_did, lift))
        result = await hub.result(await hub.order("echo", {}))
        assert result["status"] == "succeeded"


def times_told_of_a_fork(hub: HubDouble) -> int:
    return [one.code for one in hub.received.of(ErrorMessage)].count("log_fork")


async def test_a_key_is_rotated_without_ever_being_without_one(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
    old = load_identity(data_dir)
    new = prepare_next_key(data_dir)
    async with agent_here() as agent:
        await agent.state("online")
        (rotation,) = await hub.until(lambda: hub.received.documents)
        assert verify_key_rotation(verify_document_offline(rotation, at=None)) == new
        assert rotation.public_key == old.key.public_key
        await hub.until(lambda: hub.agent_did == new.did and hub.online)
        hub.policy = hub.make_policy(2)
        await hub.send_document(hub.policy)
        result = await hub.result(await hub.order("echo", {}))
        assert result["status"] == "succeeded"
        assert hub.received.results[-1].public_key == new
    after = load_identity(data_dir)
    assert (after.key.public_key, after.next_key) == (new, None)


@pytest.mark.parametrize(
    ("text", "insecure", "url"),
    [
        ("ws://127.0.0.1:8080", False, "ws://127.0.0.1:8080/ws/agent"),
        ("http://localhost:1/", False, "ws://localhost:1/ws/agent"),
        ("wss://hub.example/ws/agent", False, "wss://hub.example/ws/agent"),
        ("https://hub.example/base", False, "wss://hub.example/base/ws/agent"),
        ("ws://hub.example", True, "ws://hub.example/ws/agent"),
        ("ws://hub.example", False, None),
        ("ws://127.0.0.1.evil.example", False, None),
        ("ws://user:secret@localhost", False, None),
        ("ftp://localhost", False, None),
        ("ws://localhost:99999", False, None),
        ("", False, None),
    ],
)
def test_addresses_are_websockets_and_plain_only_to_this_machine(
    text: str, insecure: bool, url: str | None
) -> None:
    if url is None:
        with pytest.raises(HubAddressError):
            parse_hub_address(text, insecure=insecure)
    else:
        assert parse_hub_address(text, insecure=insecure) == url


@pytest.mark.parametrize(
    ("outcome", "attempt", "lowest", "highest"),
    [
        (Outcome(End.LOST, "", False), 0, 0.5, 1.0),
        (Outcome(End.LOST, "", False), 4, 0.5, 16.0),
        (Outcome(End.REFUSED, "", False), 400, 0.5, 60.0),
        (Outcome(End.DRAINED, "", True, 20), 3, 20.0, 30.0),
        (Outcome(End.REJECTED, "", False), 3, 600.0, 600.0),
    ],
)
def test_delays_have_full_jitter(
    outcome: Outcome, attempt: int, lowest: float, highest: float, tmp_path: Path
) -> None:
    settings = AgentSettings(data_dir=tmp_path)
    delays = [
        decide_delay_seconds(outcome, attempt, settings=settings, chance=chance)
        for chance in (0.0, 0.5, 1.0)
    ]
    assert (delays[0], delays[2]) == (lowest, highest)
    assert delays == sorted(delays)


def test_several_addresses_of_one_hub_are_each_judged_and_bounded() -> None:
    both = parse_hub_addresses("wss://a.example, wss://b.example/,wss://a.example", insecure=False)
    assert both == ("wss://a.example/ws/agent", "wss://b.example/ws/agent")
    with pytest.raises(HubAddressError):
        parse_hub_addresses("wss://a.example,ws://b.example", insecure=False)
    with pytest.raises(HubAddressError):
        parse_hub_addresses(",".join(f"wss://h{n}.example" for n in range(17)), insecure=False)
