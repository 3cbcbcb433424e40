"""An evil hub on the wire: greetings, sessions, floods, misplaced frames, a forked record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from agentd.record_watch import CUTS_PER_CONNECTION, MAX_UNPROVEN_CONNECTIONS
from protocol.audit_tree import leaf_hash
from protocol.envelope import seal_control
from protocol.messages import CheckpointRequest, ErrorMessage, ResultAck, ResultAckItem
from tests.agentd.hub_double import HubDouble, delegate, new_id, new_key, now, seal
from tests.evil.stage import Stage

MOST_CUTS = MAX_UNPROVEN_CONNECTIONS * CUTS_PER_CONNECTION


async def test_another_root_in_hello(stage: Stage) -> None:
    hub = stage.hub
    true_root, hub.root = hub.root, new_key()
    hub.delegation = delegate(hub.root, hub.key.public_key.did, ("writ.route", "*"))
    async with stage.agent(root=true_root.public_key.did) as agent:
        line = await agent.state("refused")
    assert hub.received.registers == []
    assert line["state"] == "refused"


@pytest.mark.parametrize("actions", [("*",), ("writ.log",), ("writ.policy", "files.*")])
async def test_a_second_hub_that_may_not_route(stage: Stage, actions: tuple[str, ...]) -> None:
    """Another hub's (or the log's) true delegation makes nobody a hub without `writ.route`."""
    hub = stage.hub
    hub.key = new_key()
    hub.delegation = delegate(hub.root, hub.key.public_key.did, actions)
    async with stage.agent() as agent:
        await agent.state("refused")
    assert hub.received.registers == []


async def test_a_hub_made_by_a_hub(stage: Stage) -> None:
    hub, second = stage.hub, new_key()
    hub.delegation = delegate(
        hub.key, second.public_key.did, ("writ.route",), parent=hub.delegation, max_depth=1
    )
    hub.key = second
    async with stage.agent() as agent:
        await agent.state("refused")
    assert hub.received.registers == []


async def test_a_stolen_greeting(stage: Stage) -> None:
    """The delegation of a true hub, shown by another key."""
    stage.hub.key = new_key()
    async with stage.agent() as agent:
        await agent.state("refused")
    assert stage.hub.received.registers == []


async def test_a_revoked_hub_is_not_believed_again(stage: Stage) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        payload = {"epoch": 1, "keys": [hub.key.public_key.did], "delegations": []}
        assert await stage.code_of(seal("revocations", hub.root, "*", payload)) == "accepted"
        await hub.drop()
        await agent.state("refused")
    assert len(hub.received.registers) == 1


async def test_a_session_id_used_before(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    ids: list[str] = []

    import tests.agentd.hub_double as double

    true_session = double.HubSession

    def repeated(*arguments: Any, **named: Any) -> Any:
        ids.append(named["session_id"])
        named["session_id"] = ids[0]
        return true_session(*arguments, **named)

    monkeypatch.setattr(double, "HubSession", repeated)
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.hub.drop()
        await agent.state("refused")
    async with stage.agent() as agent:  # nor after a restart
        await agent.state("refused")
    assert len(stage.hub.received.registers) == 1


async def test_orders_before_the_agent_is_in(stage: Stage) -> None:
    """An intent before `register_ack` is out of place: it is turned down, and nothing is done."""
    hub = stage.hub
    hub.mode = "pending"
    async with stage.agent() as agent:
        await agent.state("pending")
        order = stage.wish("early")
        await stage.send_raw(order.wire.decode())
        assert await stage.answer_to(order) == "forbidden_type"
        await hub.admit()
        await agent.state("online")
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_register_ack_for_somebody_else(stage: Stage) -> None:
    hub = stage.hub
    hub.mode = "pending"
    async with stage.agent() as agent:
        await agent.state("pending")
        assert hub.session is not None
        other = new_key().public_key.did
        frame = _control(hub, "register_ack", {
            "agentId": other, "name": "x", "delegations": [], "revocations": None,
            "policy": None, "log": None, "checkpoint": None,
        })  # fmt: skip
        await stage.send_raw(frame)
        (error,) = await hub.until(lambda: hub.received.of(ErrorMessage))
        assert error.code == "bad_payload"
        assert not any(line.get("state") == "online" for line in agent.lines)


def _control(hub: HubDouble, kind: str, payload: dict[str, Any], **more: Any) -> bytes:
    """A control frame in the hub's own session, at the next sequence number."""
    session = hub.session
    assert session is not None
    number = more.pop("sequence", None) or session._next_out
    return seal_control(
        type=kind,
        id=new_id(),
        timestamp=more.pop("timestamp", now()),
        audience=more.pop("audience", hub.agent_did or ""),
        session=more.pop("session", session.session_id),
        sequence=number,
        payload=payload,
        signer=more.pop("signer", hub.key),
    ).wire


PONG = {"time": "2026-01-01T00:00:00.000Z", "checkpoint": None, "revocationEpoch": None}


@pytest.mark.parametrize(
    "lie",
    [
        {"sequence": 1},
        {"sequence": 99},
        {"session": "0199a1f0-0000-7000-8000-000000000001"},
        {"signer": new_key()},
        {"audience": new_key().public_key.did},
    ],
    ids=["replayed", "skipped", "another session", "another key", "another agent"],
)
async def test_control_frames_out_of_place_end_the_connection(
    stage: Stage, lie: dict[str, Any]
) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.send_raw(_control(hub, "pong", PONG, **lie))
        await hub.until(lambda: hub.connections >= 2 and hub.online)
        await stage.truth()
    assert stage.witness == ["truth"]


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"{" * 5_000,
        b'{"type":"intent","type":"pong"}',
        ("[" * 40 + "]" * 40).encode(),
        b'{"a":' + b"1" * 400_000 + b"}",
        b"[" + b"0," * 20_000 + b"0]",
        b"x" * (1024 * 1024 + 1),
    ],
    ids=["not text", "braces", "twice", "deep", "a number", "many", "oversized"],
)
async def test_rubbish_ends_the_connection_and_nothing_else(stage: Stage, data: bytes) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.send_raw(data)
        await hub.until(lambda: hub.connections >= 2 and hub.online)
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_unknown_and_forbidden_control_frames(stage: Stage) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        for number, kind in enumerate(("obey", "peer_intent"), start=1):
            await stage.send_raw(_control(hub, kind, {}))
            assert hub.session is not None
            hub.session._next_out += 1
            await hub.until(lambda n=number: len(hub.received.of(ErrorMessage)) == n)
        codes = [error.code for error in hub.received.of(ErrorMessage)]
        assert codes == ["unknown_type", "forbidden_type"]
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_flood_of_documents_leaves_the_agent_alive(stage: Stage) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        stranger = new_key()
        for _ in range(1_500):
            await stage.send(stage.wish("evil", signer=stranger))
        await stage.truth()
        assert agent.agent is not None
        assert agent.agent.verifier.storing == {}
    assert hub.received.results[-1].payload["status"] == "succeeded"
    assert stage.witness == ["truth"]


async def test_an_ack_for_a_result_it_was_never_sent_loses_nothing(stage: Stage) -> None:
    """Only the id of the very result clears it, and that id is unknown before it is sent."""
    hub = stage.hub
    hub.ack_results = False
    async with stage.agent(result_resend_seconds=0.2) as agent:
        await agent.state("online")
        order = stage.wish("kept")
        guess = ResultAckItem(intent_id=order.id, result_id=new_id())
        await hub.send(ResultAck(results=(guess,)))
        await stage.send(order)
        await hub.result(order)
        await hub.send(ResultAck(results=(guess,)))
        await hub.until(lambda: len(hub.results_of(order)) >= 2)
        await hub.drop()
        await hub.until(lambda: len(hub.received.registers) == 2 and hub.online)
        assert order.id in hub.received.registers[1].holds.intents
        before = len(hub.results_of(order))
        await hub.until(lambda: len(hub.results_of(order)) > before)
    assert len({one.id for one in hub.results_of(order)}) == 1
    assert stage.witness == ["kept"]


async def test_an_error_about_a_result_rests_it_and_loses_nothing(stage: Stage) -> None:
    from protocol.errors import UnknownIntentError

    hub = stage.hub
    hub.ack_results = False
    async with stage.agent(result_resend_seconds=0.2) as agent:
        await agent.state("online")
        order = stage.wish("kept")
        await stage.send(order)
        await hub.result(order)
        assert hub.session is not None
        hub.session.send_error(
            UnknownIntentError("never heard of it"),
            in_reply_to=hub.results_of(order)[0].id,
            now=now(),
            id=new_id(),
        )
        await hub._flush()
        await hub.drop()
        await hub.until(lambda: len(hub.received.registers) == 2 and hub.online)
        assert order.id in hub.received.registers[1].holds.intents
        before = len(hub.results_of(order))
        await hub.until(lambda: len(hub.results_of(order)) > before)
    assert stage.witness == ["kept"]


# --- the record ---


async def quarantined_by_fork(stage: Stage, lie: Any, **flags: Any) -> None:
    hub = stage.hub
    hub.send_log = True
    hub.checkpoint = hub.grow(5)
    async with stage.agent(**flags) as agent:
        await agent.state("online")
        await lie(hub)
        await agent.until_line(lambda line: line.get("quarantined") == "log_fork")
        await hub.until(lambda: hub.online)
        assert await stage.code_of(stage.wish("evil")) == "quarantined"
    hub.checkpoint = None
    async with stage.agent() as agent:  # and it stays so
        await agent.state("online")
        assert await stage.code_of(stage.wish("evil")) == "quarantined"
        by_hub = {"epoch": 1, "active": False, "reason": "nothing happened"}
        lift = seal("quarantine", hub.key, hub.agent_did or "", by_hub)
        assert await stage.code_of(lift) == "forbidden_lift"
        lift = seal(
            "quarantine", stage.operator, hub.agent_did or "", by_hub | {"proof": [stage.grant.id]}
        )
        assert await stage.code_of(lift) == "accepted"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_smaller_record(stage: Stage) -> None:
    async def shrink(hub: HubDouble) -> None:
        hub.leaves = hub.leaves[:4]
        await hub.send(hub.pong(hub.make_checkpoint()))

    await quarantined_by_fork(stage, shrink)


async def test_another_record_of_the_same_size(stage: Stage) -> None:
    async def rewrite(hub: HubDouble) -> None:
        hub.leaves[2] = leaf_hash(b"what never was")
        await hub.send(hub.pong(hub.make_checkpoint()))

    await quarantined_by_fork(stage, rewrite)


async def test_a_longer_record_with_another_past(stage: Stage) -> None:
    async def rewrite(hub: HubDouble) -> None:
        hub.leaves[2] = leaf_hash(b"what never was")
        await hub.send(hub.pong(hub.grow(3)))
        await hub.until(lambda: hub.received.of(CheckpointRequest))

    await quarantined_by_fork(stage, rewrite)


async def test_a_record_whose_proof_is_dodged_by_hanging_up(stage: Stage) -> None:
    """Hanging up puts the fork off, but what is unproven is never kept: it comes up again."""
    hub = stage.hub
    hub.answer_proofs = False

    async def dodge(hub: HubDouble) -> None:
        hub.leaves[2] = leaf_hash(b"what never was")
        hub.checkpoint = hub.grow(3)
        for _ in range(3):
            asked = len(hub.received.of(CheckpointRequest))
            await hub.drop()
            await hub.until(lambda asked=asked: len(hub.received.of(CheckpointRequest)) > asked)

    await quarantined_by_fork(stage, dodge, checkpoint_proof_seconds=0.5)


async def unprove(hub: HubDouble) -> None:
    """Sign another past, show it once, and say no more about it."""
    hub.answer_proofs = False
    hub.leaves[2] = leaf_hash(b"what never was")
    await hub.send(hub.pong(hub.grow(3)))
    await hub.until(lambda: hub.received.of(CheckpointRequest))
    hub.checkpoint = None


async def hang_up_and_be_asked_again(hub: HubDouble) -> None:
    asked = len(hub.received.of(CheckpointRequest))
    await hub.drop()
    await hub.until(lambda: len(hub.received.of(CheckpointRequest)) > asked)


async def test_a_record_shown_once_and_never_proved_because_it_hangs_up_in_time(
    stage: Stage,
) -> None:
    async def dodge(hub: HubDouble) -> None:
        await unprove(hub)
        for _ in range(MOST_CUTS - 1):
            await hang_up_and_be_asked_again(hub)
        await hub.drop()

    await quarantined_by_fork(stage, dodge)  # long before the 30 s of one connection are over


async def test_a_proof_is_owed_to_the_next_process_too(stage: Stage) -> None:
    hub = stage.hub
    hub.send_log = True
    hub.checkpoint = hub.grow(5)
    async with stage.agent() as agent:
        await agent.state("online")
        await unprove(hub)
        for _ in range(MOST_CUTS - 2):
            await hang_up_and_be_asked_again(hub)
    asked = len(hub.received.of(CheckpointRequest))
    async with stage.agent() as agent:
        await agent.state("online")
        await hub.until(lambda: len(hub.received.of(CheckpointRequest)) > asked)
        await hub.drop()
        await agent.until_line(lambda line: line.get("quarantined") == "log_fork")
        await hub.until(lambda: hub.online)
        assert await stage.code_of(stage.wish("evil")) == "quarantined"


async def test_a_proof_that_comes_late_settles_what_was_owed(stage: Stage) -> None:
    """A link that breaks at the wrong moment is no fork, however often, once proofs come."""
    hub = stage.hub
    hub.send_log = True
    hub.checkpoint = hub.grow(5)
    async with stage.agent() as agent:
        await agent.state("online")
        for _ in range(3):
            hub.answer_proofs = False
            asked = len(hub.received.of(CheckpointRequest))
            await hub.send(hub.pong(hub.grow(3)))
            await hub.until(lambda asked=asked: len(hub.received.of(CheckpointRequest)) > asked)
            await hang_up_and_be_asked_again(hub)
            hub.checkpoint = hub.make_checkpoint()
            hub.answer_proofs = True
            await hang_up_and_be_asked_again(hub)
            await stage.truth(f"alive{asked}")
        assert len(stage.witness) == 3


@pytest.mark.parametrize("same_moment", [False, True])
async def test_an_older_log_key_brought_back(stage: Stage, same_moment: bool) -> None:
    hub = stage.hub
    hub.send_log = True
    old_key, old = hub.log_key, hub.log_delegation
    hub.log_key = new_key()
    later = old.timestamp if same_moment else old.timestamp + timedelta(seconds=1)
    hub.log_delegation = delegate(
        hub.root, hub.log_key.public_key.did, ("writ.log",), timestamp=later
    )
    hub.checkpoint = hub.grow(5)
    async with stage.agent() as agent:
        await agent.state("online")
    hub.log_key, hub.log_delegation = old_key, old
    hub.leaves[2] = leaf_hash(b"what never was")
    hub.checkpoint = hub.make_checkpoint()
    async with stage.agent() as agent:  # durable: another process
        await agent.state("online")
        assert await stage.answer_to(old) == "old_version"
        await stage.truth()  # its checkpoints are signed by nobody, and so say nothing


async def test_the_log_key_of_a_later_delegation_is_believed(stage: Stage) -> None:
    hub = stage.hub
    hub.send_log = True
    async with stage.agent() as agent:
        await agent.state("online")
        hub.log_key = new_key()
        hub.log_delegation = delegate(
            hub.root,
            hub.log_key.public_key.did,
            ("writ.log",),
            timestamp=hub.log_delegation.timestamp + timedelta(seconds=1),
        )
        hub.checkpoint = hub.grow(5)
        await hub.drop()
        assert await stage.answer_to(hub.log_delegation) == "accepted"
        await hub.drop()
        await hub.until(
            lambda: any(one.holds.checkpoint == hub.checkpoint for one in hub.received.registers)
        )
