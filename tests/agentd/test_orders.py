"""Sections 7 and 8 as a hub sees them: what is done, refused, waited for, ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentd import agent as agent_module
from agentd.errors import ExecutorError
from agentd.executors.base import Params, Work
from protocol.envelope import Envelope
from protocol.keys import SigningKey
from protocol.messages import (
    DelegationUpdate,
    DocumentAck,
    DocumentAckItem,
    ErrorMessage,
    IntentAck,
    IntentProgress,
    ToolApprovalRequest,
)
from protocol.timestamps import format_timestamp
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble, delegate, new_key, now, seal

MakeAgent = Callable[..., AgentHere]
SLEEP = {"argv": ["sleep", "30"]}


def errors(hub: HubDouble) -> list[str]:
    return [frame.code for frame in hub.received.of(ErrorMessage)]


def document_acks(hub: HubDouble) -> dict[str, DocumentAckItem]:
    return {item.id: item for ack in hub.received.of(DocumentAck) for item in ack.documents}


async def acked(hub: HubDouble, envelope: Envelope) -> str:
    """Wait for a document's answer: `accepted`, or the code it was refused with."""
    await hub.until(lambda: envelope.id in document_acks(hub))
    item = document_acks(hub)[envelope.id]
    return item.code or item.state


async def test_everything_in_register_ack_is_answered(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    operator, guest = new_key(), new_key()
    parent = delegate(hub.root, operator.public_key.did, ("files.*",))
    child = delegate(operator, guest.public_key.did, ("files.read",), parent=parent, max_depth=0)
    hub.delegations = [child, parent]  # the child first: it is taken once its parent is held
    async with agent_here() as agent:
        await agent.state("online")
        assert await acked(hub, child) == "accepted"
        assert await acked(hub, parent) == "accepted"
        assert hub.policy is not None
        assert await acked(hub, hub.policy) == "accepted"


async def test_a_policy_can_refuse(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        rules = [
            {"id": "no-shell", "effect": "deny", "actions": ["shell.*"]},
            {"id": "rest", "effect": "allow", "actions": ["*"]},
        ]
        policy = await hub.send_document(hub.make_policy(2, rules))
        assert await acked(hub, policy) == "accepted"
        result = await hub.result(await hub.order("shell.exec", SLEEP))
    assert (result["status"], result["error"]["code"]) == ("refused", "policy_denied")
    assert result["decision"] == {"policyVersion": 2, "rule": "no-shell"}


async def test_what_cannot_be_done_here_is_refused(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        unknown = await hub.result(await hub.order("coffee.brew", {}))
        bad = await hub.result(await hub.order("files.read", {"nonsense": 1}))
    assert unknown["error"]["code"] == "unknown_action"
    assert bad["error"]["code"] == "bad_params"


async def test_strangers_and_bad_documents_get_an_error_and_leave_nothing(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        moment = now() - timedelta(hours=2)
        for more in (
            {"signer": new_key()},
            {"timestamp": moment, "expires": moment + timedelta(hours=1)},
            {"audience": new_key().public_key.did},
        ):
            await hub.send_document(hub.make_intent("echo", {}, **more))
        done = await hub.order("echo", {"ok": True})
        await hub.result(done)
        await hub.send_document(hub.make_intent("echo", {"other": 1}, id=done.id))
        await hub.until(lambda: len(errors(hub)) == 4)
    assert errors(hub) == ["no_chain", "expired", "wrong_audience", "id_reuse"]
    assert len(hub.received.results) == 1


async def test_versions_only_go_up(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        fifth = await hub.send_document(hub.make_policy(5))
        assert await acked(hub, fifth) == "accepted"
        assert await acked(hub, await hub.send_document(hub.make_policy(4))) == "old_version"
        assert await acked(hub, await hub.send_document(hub.make_policy(5))) == "old_version"
        before = len(hub.received.of(DocumentAck))
        await hub.send_document(fifth)
        await hub.until(lambda: len(hub.received.of(DocumentAck)) > before)
        assert await acked(hub, fifth) == "accepted"


async def test_an_order_runs_out_of_time(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        result = await hub.result(await hub.order("shell.exec", SLEEP, timeout=1))
        status = [frame for frame in hub.received.of(IntentProgress) if frame.kind == "status"]
    assert result["status"] == "timed_out"
    assert "startedAt" in result
    assert all(frame.index == 0 and frame.data == "started" for frame in status)


async def test_a_running_order_can_be_cancelled(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        intent = await hub.order("shell.exec", SLEEP)
        await hub.until(lambda: hub.received.of(IntentAck))
        payload = {"intentId": intent.id, "reason": "enough"}
        cancel = seal("intent_cancel", hub.key, hub.agent_did or "", payload)
        await hub.send_document(cancel)
        result = await hub.result(intent)
        assert await acked(hub, cancel) == "accepted"
    assert result["status"] == "cancelled"


async def test_a_long_order_says_that_it_started(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        intent = await hub.order("shell.exec", {"argv": ["sleep", "1.5"]})
        result = await hub.result(intent)
        (frame,) = hub.received.of(IntentProgress)
    assert (frame.intent_id, frame.index, frame.kind) == (intent.id, 0, "status")
    assert result["progressCount"] == 1


async def test_an_order_is_held_until_its_time(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        due = now() + timedelta(seconds=1)
        intent = await hub.order("echo", {}, notBefore=format_timestamp(due))
        await hub.until(lambda: hub.received.of(IntentAck))
        result = await hub.result(intent)
    assert result["status"] == "succeeded"
    assert result["startedAt"] >= format_timestamp(due)


async def test_a_held_order_whose_time_goes_is_refused_as_expired(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        moment = now()
        intent = await hub.order(
            "echo",
            {},
            notBefore=format_timestamp(moment + timedelta(seconds=1.5)),
            expires=moment + timedelta(seconds=1),
        )
        result = await hub.result(intent)
    assert (result["status"], result["error"]["code"]) == ("refused", "expired")


async def test_one_at_a_time_where_the_policy_says_so(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        await hub.send_document(hub.make_policy(2, limits={"concurrent": 1}))
        first = await hub.order("shell.exec", {"argv": ["sleep", "0.3"]})
        second = await hub.order("echo", {})
        results = [await hub.result(first), await hub.result(second)]
    assert [result["status"] for result in results] == ["succeeded", "succeeded"]
    assert results[1]["startedAt"] >= results[0]["finishedAt"]


async def test_limits_survive_a_restart(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        hub.policy = await hub.send_document(hub.make_policy(2, limits={"ordersPerHour": 2}))
        for _ in range(2):
            await hub.result(await hub.order("echo", {}))
    async with agent_here() as agent:
        await agent.state("online")
        result = await hub.result(await hub.order("echo", {}))
    assert (result["status"], result["error"]["code"]) == ("refused", "rate_limited")


async def test_a_quarantine_kills_refuses_survives_and_is_lifted_only_by_an_operator(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    operator = new_key()
    delegation = delegate(hub.root, operator.public_key.did, ("writ.quarantine",))
    hub.delegations = [delegation]

    def quarantine(epoch: int, active: bool, signer: object = None, **more: object) -> Envelope:
        payload = {"epoch": epoch, "active": active, "reason": "test", **more}
        return seal("quarantine", signer or hub.key, hub.agent_did or "", payload)  # type: ignore[arg-type]

    async with agent_here() as agent:
        await agent.state("online")
        running = await hub.order("shell.exec", SLEEP)
        await hub.until(lambda: hub.received.of(IntentAck))
        assert await acked(hub, await hub.send_document(quarantine(1, True))) == "accepted"
        stopped = await hub.result(running)
        assert (stopped["status"], stopped["error"]["code"]) == ("interrupted", "quarantined")
        lift = await hub.send_document(quarantine(2, False))
        assert await acked(hub, lift) == "forbidden_lift"
    async with agent_here() as agent:
        await agent.state("online")
        refused = await hub.result(await hub.order("echo", {}))
        assert refused["error"]["code"] == "quarantined"
        old = await hub.send_document(quarantine(1, False, operator, proof=[delegation.id]))
        assert await acked(hub, old) == "old_epoch"
        lift = await hub.send_document(quarantine(2, False, operator, proof=[delegation.id]))
        assert await acked(hub, lift) == "accepted"
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"


async def test_operators_signatures_can_be_demanded(hub: HubDouble, agent_here: MakeAgent) -> None:
    operator = new_key()
    delegation = delegate(hub.root, operator.public_key.did, ("*", "writ.policy"))
    hub.delegations = [delegation]
    hub.on_register = lambda event: setattr(
        hub, "policy", hub.make_policy(1, signer=operator, proof=[delegation.id])
    )
    async with agent_here(require_operator_signature=True) as agent:
        await agent.state("online")
        by_hub = await hub.result(await hub.order("echo", {}))
        by_operator = await hub.result(
            await hub.order("echo", {}, signer=operator, proof=[delegation.id])
        )
        assert await acked(hub, await hub.send_document(hub.make_policy(9))) == "not_authorised"
    assert by_hub["error"]["code"] == "operator_required"
    assert by_operator["status"] == "succeeded"


async def test_a_revoked_key_orders_nothing_any_more(hub: HubDouble, agent_here: MakeAgent) -> None:
    operator = new_key()
    delegation = delegate(hub.root, operator.public_key.did, ("*",))
    hub.delegations = [delegation]
    async with agent_here() as agent:
        await agent.state("online")
        payload = {"epoch": 1, "keys": [operator.public_key.did], "delegations": []}
        await hub.send_document(seal("revocations", hub.key, "*", payload))
        intent = await hub.order("echo", {}, signer=operator, proof=[delegation.id])
        result = await hub.result(intent)
        fewer = seal("revocations", hub.key, "*", {"epoch": 2, "keys": [], "delegations": []})
        assert await acked(hub, await hub.send_document(fewer)) == "forbidden_lift"
    assert result["error"]["code"] == "revoked"


def approval_rules(**more: object) -> list[dict[str, object]]:
    approval = {"people": 1, "from": ["*"], "withinSeconds": 60, **more}
    return [{"id": "ask", "effect": "allow", "actions": ["*"], "approval": approval}]


def answer_to(
    asked: ToolApprovalRequest, person: SigningKey, delegation: Envelope, *, approved: bool
) -> dict[str, Any]:
    return {
        "requestId": asked.request_id,
        "callDigest": asked.call_digest,
        "approved": approved,
        "approver": person.public_key.did,
        "proof": [delegation.id],
    }


async def test_an_order_waits_for_a_person_across_a_restart(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    person = new_key()
    delegation = delegate(hub.root, person.public_key.did, ("writ.approve",))
    hub.delegations = [delegation]
    async with agent_here() as agent:
        await agent.state("online")
        hub.policy = await hub.send_document(hub.make_policy(2, approval_rules()))
        intent = await hub.order("echo", {"ask": True})
        (asked,) = await hub.until(lambda: hub.received.of(ToolApprovalRequest))
    async with agent_here() as agent:
        await agent.state("online")
        _, again = await hub.until(
            lambda: len(found := hub.received.of(ToolApprovalRequest)) == 2 and found
        )
        assert again == asked
        payload = answer_to(asked, person, delegation, approved=True)
        by_the_hub = payload | {"approver": hub.key.public_key.did}
        del by_the_hub["proof"]
        void = seal("tool_approval_response", hub.key, hub.agent_did or "", by_the_hub)
        assert await acked(hub, await hub.send_document(void)) == "not_authorised"
        assert hub.result_of(intent) is None
        decision = seal("tool_approval_response", person, hub.agent_did or "", payload)
        await hub.send_document(decision)
        result = await hub.result(intent)
    assert (result["status"], result["approvals"]) == ("succeeded", [decision.id])


async def test_a_denial_is_final_and_silence_expires(hub: HubDouble, agent_here: MakeAgent) -> None:
    person = new_key()
    delegation = delegate(hub.root, person.public_key.did, ("writ.approve",))
    hub.delegations = [delegation]
    async with agent_here() as agent:
        await agent.state("online")
        await hub.send_document(hub.make_policy(2, approval_rules(withinSeconds=1)))
        silent = await hub.order("echo", {})
        result = await hub.result(silent)
        assert (result["status"], result["error"]["code"]) == ("refused", "approval_expired")
        await hub.send_document(hub.make_policy(3, approval_rules()))
        denied = await hub.order("echo", {})
        asked = await hub.until(
            lambda: next(
                (f for f in hub.received.of(ToolApprovalRequest) if f.intent_id == denied.id), None
            )
        )
        payload = answer_to(asked, person, delegation, approved=False)
        await hub.send_document(
            seal("tool_approval_response", person, hub.agent_did or "", payload)
        )
        result = await hub.result(denied)
    assert (result["status"], result["error"]["code"]) == ("refused", "approval_denied")


async def test_a_quarantine_right_behind_an_order_leaves_nothing_running(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        intent = hub.make_intent("shell.exec", SLEEP)
        payload = {"epoch": 1, "active": True, "reason": "now"}
        stop = seal("quarantine", hub.key, hub.agent_did or "", payload)
        assert hub.session is not None
        hub.session.send_document(intent.wire)
        await hub.send_document(stop)  # both frames leave together
        result = await hub.result(intent)
    assert result["status"] in {"refused", "interrupted"}
    assert result["error"]["code"] == "quarantined"


async def test_a_stricter_policy_asks_again(hub: HubDouble, agent_here: MakeAgent) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        due = format_timestamp(now() + timedelta(seconds=0.5))
        intent = await hub.order("echo", {}, notBefore=due)
        await hub.until(lambda: hub.received.of(IntentAck))
        await hub.send_document(hub.make_policy(2, approval_rules()))
        (asked,) = await hub.until(lambda: hub.received.of(ToolApprovalRequest))
    assert asked.intent_id == intent.id


async def test_a_question_is_asked_again_while_nobody_has_answered(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    """It has no acknowledgement: a hub whose database was away has not kept it."""
    async with agent_here(result_resend_seconds=0.2) as agent:
        await agent.state("online")
        await hub.send_document(hub.make_policy(2, approval_rules()))
        await hub.order("echo", {})
        asked = await hub.until(
            lambda: len(found := hub.received.of(ToolApprovalRequest)) >= 3 and found
        )
        assert hub.connections == 1
    assert len({one.request_id for one in asked}) == 1


async def test_a_policy_that_comes_back_asks_anew_what_another_one_made_void(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    person = new_key()
    delegation = delegate(hub.root, person.public_key.did, ("writ.approve",))
    hub.delegations = [delegation]
    asked: list[ToolApprovalRequest] = []

    async def next_question() -> ToolApprovalRequest:
        known = {one.request_id for one in asked}

        def new() -> list[ToolApprovalRequest]:
            found = hub.received.of(ToolApprovalRequest)
            return [one for one in found if one.request_id not in known]

        asked.append((await hub.until(new))[-1])
        return asked[-1]

    async def put_in_force(version: int, people: int) -> None:
        hub.policy = hub.make_policy(version, approval_rules(people=people))
        assert await acked(hub, await hub.send_document(hub.policy)) == "accepted"

    async with agent_here() as agent:
        await agent.state("online")
        await put_in_force(2, people=1)
        intent = await hub.order("echo", {})
        await next_question()
        await put_in_force(3, people=2)
    async with agent_here() as agent:  # a waiting order is judged anew when the agent starts
        await agent.state("online")
        await next_question()
        await put_in_force(4, people=1)
    async with agent_here() as agent:
        await agent.state("online")
        question = await next_question()
        payload = answer_to(question, person, delegation, approved=True)
        decision = seal("tool_approval_response", person, hub.agent_did or "", payload)
        await hub.send_document(decision)
        assert (await hub.result(intent))["status"] == "succeeded"
    assert [one.people for one in asked] == [1, 2, 1]


async def test_unreadable_documents_inside_a_frame_are_answered(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        delegation = delegate(hub.root, new_key().public_key.did, ("*",)).as_value()
        forged = delegation | {"signature": "A" * 86 + "=="}
        await hub.send(DelegationUpdate(added=({"id": 1}, forged), removed=()))
        await hub.until(lambda: len(errors(hub)) == 2)
    assert errors(hub) == ["bad_envelope", "bad_signature"]


async def test_a_cancel_that_comes_before_its_order_is_not_answered_and_counts_when_it_comes_again(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    """The order was turned down for want of room; the hub sends both again, the order first."""
    async with agent_here(max_open_orders=1) as agent:
        await agent.state("online")
        first = await hub.order("shell.exec", SLEEP)
        await hub.until(lambda: hub.received.of(IntentAck))
        later = format_timestamp(now() + timedelta(minutes=5))
        second = await hub.order("echo", {}, notBefore=later)
        await hub.until(lambda: "rate_limited" in errors(hub))
        wish = {"intentId": second.id, "reason": "no"}
        cancel = await hub.send_document(seal("intent_cancel", hub.key, hub.agent_did or "", wish))
        stop = {"intentId": first.id, "reason": "make room"}
        await hub.send_document(seal("intent_cancel", hub.key, hub.agent_did or "", stop))
        assert (await hub.result(first))["status"] == "cancelled"
        assert cancel.id not in document_acks(hub)
        await hub.send_document(second)
        await hub.send_document(cancel)
        assert (await hub.result(second))["status"] == "cancelled"
        assert await acked(hub, cancel) == "accepted"


@pytest.mark.parametrize("how", ["a code that is none", "more tokens than a number holds"])
async def test_an_order_ends_whatever_a_plug_in_says(
    hub: HubDouble, agent_here: MakeAgent, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Odd:
        name = capability = "odd"
        description = "Odd."
        idempotent = False
        params_model = Params

        async def execute(self, work: Work) -> None:
            if how == "a code that is none":
                raise ExecutorError("Not-A-Code", "odd")
            work.progress("usage", {"tokens": 10**17, "cents": float("nan")})

    load = agent_module.load_executors
    monkeypatch.setattr(
        agent_module, "load_executors", lambda settings: {**load(settings), "odd": Odd()}
    )
    async with agent_here() as agent:
        await agent.state("online")
        result = await hub.result(await hub.order("odd", {}))
    if how == "a code that is none":
        assert (result["error"]["code"], result["error"]["message"]) == ("executor_failed", "odd")
    else:
        assert (result["status"], result["usage"]) == ("succeeded", {"tokens": 10**12})


async def test_a_policy_that_cannot_be_read_leaves_the_one_before_in_force(
    hub: HubDouble, agent_here: MakeAgent
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        rules = [{"id": "echo-only", "effect": "allow", "actions": ["echo"]}]
        assert await acked(hub, await hub.send_document(hub.make_policy(2, rules))) == "accepted"
        content = hub.make_policy(3).payload
        for wrong in ({"rules": "all"}, {"default": "maybe"}, {"limits": {"perSecond": 1}}):
            unreadable = seal("policy_update", hub.key, hub.agent_did or "", content | wrong)
            before = len(errors(hub))
            await hub.send_document(unreadable)
            await hub.until(lambda: len(errors(hub)) > before)  # noqa: B023
        result = await hub.result(await hub.order("echo", {}))
        assert result["decision"] == {"policyVersion": 2, "rule": "echo-only"}
        refused = await hub.result(await hub.order("shell.exec", SLEEP))
    assert errors(hub) == ["bad_payload"] * 3
    assert (refused["error"]["code"], refused["decision"]["policyVersion"]) == ("policy_denied", 2)
