"""An order reaches its agent, and what the agent says about it is kept, once and in order."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from controlplane import clock
from controlplane.context import OutboxKind
from controlplane.hub import sweeps
from controlplane.hub.connection import PROOFS_BURST
from protocol.approvals import call_digest
from protocol.audit_tree import root_hash, verify_consistency
from protocol.base64_text import decode_base64
from protocol.envelope import Envelope, seal_document
from protocol.keys import SigningKey
from protocol.messages import (
    CheckpointProof,
    CheckpointRequest,
    DelegationUpdate,
    DocumentAck,
    DocumentAckItem,
    ErrorMessage,
    IntentProgress,
    Pong,
    RegisterAck,
    ResultAck,
    ResultError,
    ResultStatus,
    ToolApprovalRequest,
)
from storage.records import DelegationRecord
from tests.controlplane.hub.world import NOTHING, RunningHub, ScriptedAgent, running_hub, until


async def test_an_order_travels_to_the_agent_and_its_result_back(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    assert intent.id == order.id
    assert (await hub.intent(order.id)).state.value == "dispatched"
    await agent.accept(intent)
    await hub.intent_reaches(order.id, "accepted")
    await agent.say_document(agent.result(intent, {"said": "hello"}))
    assert await agent.result_acks(1) == [order.id]
    record = await hub.intent(order.id)
    assert record.state.value == "succeeded"
    assert record.result is not None
    assert record.result["output"] == {"said": "hello"}


async def test_a_result_alone_stands_for_the_acknowledgement(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    await agent.say_document(agent.result(await agent.document()))
    await agent.result_acks(1)
    assert (await hub.intent(order.id)).state.value == "succeeded"
    assert await hub.read(lambda uow: uow.outbox.pending(agent.did, 10)) == []


async def test_an_order_for_an_agent_that_is_away_waits_for_it(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    order = await hub.order(agent.did)
    assert (await hub.intent(order.id)).state.value == "queued"
    await agent.online()
    assert (await agent.document()).id == order.id


async def test_an_unacknowledged_order_comes_again_after_a_reconnect(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    first = await agent.document()
    await agent.vanish()
    await agent.online()
    again = await agent.document()
    assert again.wire == first.wire
    assert (await hub.intent(order.id)).state.value == "dispatched"


async def test_an_order_the_agent_is_silent_about_comes_again(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub", intent_resend_seconds=0.2) as hub:
        agent = await hub.enrolled()
        await hub.order(agent.did)
        first = await agent.document()
        again = await agent.document()
        assert again.wire == first.wire
        await agent.accept(first)
        await hub.intent_reaches(first.id, "accepted")
        assert await hub.read(lambda uow: uow.outbox.count()) == 1  # its policy, not yet acked


async def test_an_order_comes_again_although_the_clock_has_gone_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "DUE_SECONDS", 0.5)
    true = clock.now
    async with running_hub(tmp_path, intent_resend_seconds=1) as hub:
        agent = await hub.enrolled()
        order = await hub.order(agent.did)
        assert (await agent.document()).id == order.id
        monkeypatch.setattr(clock, "now", lambda: true() - timedelta(seconds=30))
        connection = hub.registry.get(agent.did)
        assert connection is not None
        lane = connection.lane
        await until(lambda: not lane.unacked and lane.task is None, "one more look of the hub")
        monkeypatch.setattr(clock, "now", true)
        assert (await agent.document()).id == order.id


async def test_an_accepted_order_does_not_come_again(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await hub.intent_reaches(intent.id, "accepted")
    await agent.leave()
    later = await hub.order(agent.did)
    await agent.online(holds=NOTHING.model_copy(update={"intents": (intent.id,)}))
    assert (await agent.document()).id == later.id


async def test_orders_arrive_in_the_order_they_were_given(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    given = [(await hub.order(agent.did, params={"n": n})).id for n in range(20)]
    assert [(await agent.document()).id for _ in given] == given


async def test_more_orders_than_the_window_all_arrive(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    given = {(await hub.order(agent.did, params={"n": n})).id for n in range(300)}
    await agent.online()
    seen = set()
    for _ in given:
        intent = await agent.document()
        seen.add(intent.id)
        await agent.say_document(agent.result(intent))
    assert seen == given
    assert set(await agent.result_acks(300)) == given
    assert await hub.read(lambda uow: uow.intents.count_open()) == 0


async def test_the_same_result_again_is_acknowledged_again(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    result = agent.result(intent, 1)
    for _ in range(2):
        await agent.say_document(result)
        assert await agent.result_acks(1) == [intent.id]
    # Signed anew with another id, it says the same, so it is the same.
    await agent.say_document(agent.result(intent, 1))
    assert await agent.result_acks(1) == [intent.id]


async def test_another_result_is_a_conflict_and_changes_nothing(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.say_document(agent.result(intent, 1))
    await agent.result_acks(1)
    await agent.say_document(agent.result(intent, 2))
    assert (await agent.receive(ErrorMessage)).code == "conflict"
    record = await hub.intent(order.id)
    assert record.result is not None
    assert record.result["output"] == 1


async def test_a_result_for_bytes_that_were_never_sent_is_bad_digest(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    await agent.say_document(agent.result(intent, intent_digest="A" * 43 + "="))
    assert (await agent.receive(ErrorMessage)).code == "bad_digest"


async def test_a_result_for_another_agents_order_is_unknown_intent(hub: RunningHub) -> None:
    owner, other = await hub.enrolled(), await hub.enrolled()
    await hub.order(owner.did)
    intent = await owner.document()
    await other.say_document(other.result(intent))
    answer = await other.receive(ErrorMessage)
    assert answer.code == "unknown_intent"
    assert (await hub.intent(intent.id)).state.value == "dispatched"


async def test_a_result_that_another_key_signed_is_not_taken_from_here(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    await agent.say_document(agent.result(intent, signer=SigningKey.from_seed(b"\7" * 32)))
    assert (await agent.receive(ErrorMessage)).code == "unknown_intent"


async def test_an_output_over_the_limit_is_refused(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    await agent.say_document(agent.result(intent, "x" * (256 * 1024)))
    assert (await agent.receive(ErrorMessage)).code == "output_too_big"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("signature", "bad_signature"),
        ("audience", "wrong_audience"),
        ("expires", "expired"),
        ("type", "forbidden_type"),
    ],
)
async def test_a_document_that_fails_its_rows_is_an_error_and_the_connection_stays(
    hub: RunningHub, spoil: str, code: str
) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    result = agent.result(intent)
    if spoil == "signature":
        wire = result.wire.replace(b'"succeeded"', b'"cancelled"')
        agent.session.send_document(wire)
        await agent.flush()
    elif spoil == "audience":
        await agent.say_document(agent.result(intent, audience=agent.did))
    elif spoil == "expires":
        await agent.say_document(agent.result(intent, expires=clock.now() - timedelta(days=1)))
    else:
        await agent.say_document(reflected(agent, intent))
    answer = await agent.receive(ErrorMessage)
    assert answer.code == code
    await agent.heartbeat()
    assert await agent.receive(Pong)
    assert (await hub.intent(intent.id)).state.value == "dispatched"


def reflected(agent: ScriptedAgent, intent: Envelope) -> Envelope:
    """Return an intent that an agent has the cheek to send to the hub."""
    return seal_document(
        type="intent",
        id=clock.new_id(),
        timestamp=clock.now(),
        expires=clock.now() + timedelta(hours=1),
        audience=agent.hub.hub.identity.hub_did,
        payload=intent.payload,
        signer=agent.key,
    )


async def test_a_result_id_used_for_other_bytes_is_id_reuse(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    await hub.order(agent.did)
    first, second = await agent.document(), await agent.document()
    result = agent.result(first)
    await agent.say_document(result)
    await agent.result_acks(1)
    await agent.say_document(agent.result(second, id=result.id))
    assert (await agent.receive(ErrorMessage)).code == "id_reuse"
    assert (await hub.intent(second.id)).state.value == "dispatched"


async def test_an_error_about_an_order_ends_it_as_refused(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.say(ErrorMessage(code="no_chain", message="who is that", in_reply_to=intent.id))
    record = await hub.intent_reaches(order.id, "refused")
    assert record.result is not None
    assert record.result["error"]["code"] == "no_chain"


async def test_an_error_about_an_accepted_order_ends_nothing(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say(ErrorMessage(code="no_chain", message="too late", in_reply_to=intent.id))
    await agent.say_document(agent.result(intent))
    await agent.result_acks(1)
    assert (await hub.intent(order.id)).state.value == "succeeded"


async def test_progress_makes_the_order_running_and_is_kept_once(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    report = IntentProgress(intent_id=intent.id, index=0, kind="status", data="started")
    await agent.say(report)
    await agent.say(report)
    await agent.say(report.model_copy(update={"index": 1, "kind": "log", "data": "half way"}))
    await agent.say_document(agent.result(intent, started_at=clock.now()))
    await agent.result_acks(1)
    kept = await hub.read(lambda uow: uow.intents.progress(order.id))
    assert [(one.index, one.data) for one in kept] == [(0, "started"), (1, "half way")]
    record = await hub.intent(order.id)
    assert record.started_at is not None


async def test_an_order_that_expired_in_the_queue_is_never_sent(tmp_path: Path) -> None:
    async with running_hub(tmp_path / "hub") as hub:
        agent = await hub.enrolled()
        await agent.leave()
        order = await hub.order(agent.did, expires_in_seconds=1)
        await hub.intent_reaches(order.id, "expired")
        await agent.online()
        later = await hub.order(agent.did)
        assert (await agent.document()).id == later.id


async def test_a_policy_is_sent_until_the_agent_acknowledges_it(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    policy = await agent.document("policy_update")
    item = DocumentAckItem(id=policy.id, digest=policy.digest, state="accepted")
    await agent.say(DocumentAck(documents=(item,)))
    await agent.heartbeat()
    await agent.receive(Pong)
    await until_acked(hub, agent, policy.id)
    assert await hub.read(lambda uow: uow.outbox.count()) == 0


async def until_acked(hub: RunningHub, agent: ScriptedAgent, document_id: str) -> None:
    with hub.hub.events.subscribe(subject=document_id) as news:
        acks = await hub.read(lambda uow: uow.documents.acks(agent.did))
        if document_id not in acks:
            await news.next()


async def test_delegations_come_in_an_update_before_the_order_that_needs_them(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    operator = hub.hub.identity.operator_delegation
    await hub.hub.database.write(
        lambda uow: uow.outbox.add(agent.did, OutboxKind.DELEGATION, operator.id, operator.wire)
    )
    await hub.order(agent.did)
    update = await agent.receive(DelegationUpdate)
    assert [added["id"] for added in update.added] == [operator.id]
    assert await agent.document()


async def test_register_ack_brings_the_delegations_the_agent_lacks(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.leave()
    kept = await hub.read(lambda uow: uow.delegations.for_agent(agent.did, clock.now()))
    ack: RegisterAck = await agent.online()
    assert [one["id"] for one in ack.delegations] == [one.id for one in kept]
    await agent.leave()
    ids = tuple(one.id for one in kept)
    ack = await agent.online(holds=NOTHING.model_copy(update={"delegations": ids}))
    assert ack.delegations == ()
    assert all(isinstance(one, DelegationRecord) for one in kept)


async def test_a_request_for_approval_is_kept_once(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    digest = call_digest(intent_id=intent.id, tool="shell.exec", arguments={"argv": ["ls"]})
    request = ToolApprovalRequest(
        request_id=clock.new_id(),
        intent_id=intent.id,
        tool="shell.exec",
        arguments={"argv": ["ls"]},
        call_digest=digest,
        rule="ask",
        people=1,
        expires=clock.now() + timedelta(hours=1),
    )
    with hub.hub.events.subscribe(lambda event: event.type == "approval.requested") as news:
        await agent.say(request)
        await agent.say(request)
        assert await news.next() is not None
    await agent.heartbeat()
    await agent.receive(Pong)
    kept = await hub.read(lambda uow: uow.approvals.list().items)
    assert [one.call_digest for one in kept] == [digest]


async def test_people_are_never_asked_about_another_call_than_the_digest_names(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    await hub.order(agent.did)
    intent = await agent.document()
    request = ToolApprovalRequest(
        request_id=clock.new_id(),
        intent_id=intent.id,
        tool="echo",
        arguments={},
        call_digest="A" * 43 + "=",
        rule="ask",
        people=1,
        expires=clock.now() + timedelta(hours=1),
    )
    await agent.say(request)
    assert (await agent.receive(ErrorMessage)).code == "bad_digest"


async def test_a_checkpoint_request_is_answered_by_a_proof_that_holds(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    size = await hub.read(lambda uow: uow.audit.size())
    hashes = await hub.read(lambda uow: uow.audit.hashes(0, size))
    await agent.say(CheckpointRequest(from_=2, to=size))
    answer = await agent.receive(CheckpointProof)
    verify_consistency(
        old_size=2,
        new_size=size,
        old_root=root_hash(hashes, 2),
        new_root=root_hash(hashes, size),
        proof=[decode_base64(node, size_bytes=32) for node in answer.proof],
    )


async def test_proofs_are_bounded_for_each_agent(hub: RunningHub) -> None:
    greedy, modest = await hub.enrolled(), await hub.enrolled()
    for _ in range(PROOFS_BURST + 2):
        await greedy.say(CheckpointRequest(from_=1, to=2))
    assert (await greedy.receive(ErrorMessage)).code == "rate_limited"
    await modest.say(CheckpointRequest(from_=1, to=2))
    assert (await modest.receive(CheckpointProof)).to == 2


async def test_a_proof_beyond_the_record_is_refused(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.say(CheckpointRequest(from_=1, to=10**9))
    assert (await agent.receive(ErrorMessage)).code == "bad_proof"


async def test_many_results_share_few_acknowledgements(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    for n in range(32):
        await hub.order(agent.did, params={"n": n})
    intents = [await agent.document() for _ in range(32)]
    for intent in intents:
        await agent.say_document(agent.result(intent))
    frames = acknowledged = 0
    while acknowledged < 32:
        acknowledged += len((await agent.receive(ResultAck)).results)
        frames += 1
    assert frames < 16


async def test_a_failed_order_keeps_its_error(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    error = ResultError(code="outside_workspace", message="no")
    await agent.say_document(agent.result(intent, status=ResultStatus.FAILED, error=error))
    await agent.result_acks(1)
    record = await hub.intent(order.id)
    assert record.state.value == "failed"
    assert record.result is not None
    assert record.result["error"]["code"] == "outside_workspace"


async def test_heartbeats_reach_the_record_of_the_agent(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    await agent.heartbeat()
    await agent.receive(Pong)
    await hub.live.flush_heartbeats()
    assert (await hub.agent(agent.did)).heartbeat is not None
    await until(lambda: hub.registry.get(agent.did) is not None)


async def test_an_order_for_an_agent_that_is_owed_nothing_is_dispatched_when_it_is_on_disk(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    policy = await agent.document("policy_update")
    order = await hub.order(agent.did)
    assert order.state.value == "dispatched"
    assert (await hub.intent(order.id)).dispatched_at == order.dispatched_at
    kinds = await hub.read(lambda uow: [one.kind for one in uow.audit.of_subject(order.id)])
    assert kinds == ["intent.submitted", "intent.dispatched"]
    assert (await agent.document()).id == order.id
    assert policy.type == "policy_update"


async def test_an_order_that_comes_while_the_outbox_is_looked_at_is_sent_all_the_same(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    await agent.document("policy_update")
    ids = []
    for turns in range(20):
        ordering = asyncio.create_task(hub.order(agent.did))
        for _ in range(turns):  # at another moment of it each time
            await asyncio.sleep(0)
        hub.hub.dispatcher.wake(agent.did)
        ids.append((await ordering).id)
    assert [(await agent.document()).id for _ in ids] == ids


async def test_an_order_that_was_handed_over_to_a_lost_connection_is_sent_to_the_next(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    await agent.document("policy_update")
    connection = hub.registry.get(agent.did)
    assert connection is not None
    connection.transport.abort()  # the hub has not been told yet that it is gone
    order = await hub.order(agent.did)
    await until(lambda: hub.registry.get(agent.did) is None, "the end of the connection")
    await agent.online()
    assert (await agent.document()).id == order.id
