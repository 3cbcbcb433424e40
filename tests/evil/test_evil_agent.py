"""An enrolled agent with evil code against the real hub, and a stranger who would be one."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import clock
from controlplane.hub.handlers import approvals as approval_handler
from controlplane.hub.handlers import intents as intent_handler
from controlplane.hub.handlers.approvals import MAX_REQUESTS_PER_INTENT
from protocol.approvals import call_digest
from protocol.envelope import Envelope, seal_document
from protocol.limits import MAX_PROGRESS_BYTES
from protocol.messages import (
    ChannelMessageSend,
    DocumentAck,
    DocumentAckItem,
    ErrorMessage,
    Holds,
    IntentProgress,
    PeerIntent,
    ResultError,
    ResultStatus,
    ToolApprovalRequest,
)
from tests.agentd.hub_double import delegate, new_key
from tests.controlplane.hub.world import NOTHING, RunningHub, ScriptedAgent, running_hub, until

ESCAPE = "\x1b[2J\x1b]0;owned\x07\u202eevil\x9b31m"


@pytest.fixture
async def hub(tmp_path: Path) -> Any:
    async with running_hub(tmp_path / "hub") as running:
        yield running


async def said_about(agent: ScriptedAgent, document: Envelope) -> str:
    while True:
        error = await agent.receive(ErrorMessage)
        if error.in_reply_to == document.id:
            return str(error.code)


async def test_a_result_for_anothers_order(hub: RunningHub) -> None:
    honest, evil = await hub.enrolled(), await hub.enrolled(name="evil")
    order = await hub.order(honest.did)
    intent = await honest.document()
    lie = evil.result(intent, "done")
    await evil.say_document(lie)
    assert await said_about(evil, lie) == "unknown_intent"
    await honest.say_document(honest.result(intent, "true"))
    record = await hub.intent_reaches(order.id, "succeeded")
    assert record.result is not None
    assert record.result["output"] == "true"


async def test_anothers_result_carried_by_it_and_a_result_in_anothers_name(
    hub: RunningHub,
) -> None:
    honest, evil = await hub.enrolled(), await hub.enrolled(name="evil")
    order = await hub.order(honest.did)
    intent = await honest.document()
    stolen = honest.result(intent, "true")
    await evil.say_document(stolen)
    assert await said_about(evil, stolen) == "unknown_intent"
    assert (await hub.intent(order.id)).state.value in ("dispatched", "queued")


async def test_a_result_over_other_bytes(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    intent = await evil.document()
    lie = evil.result(intent, "done", intent_digest="A" * 43 + "=")
    await evil.say_document(lie)
    assert await said_about(evil, lie) == "bad_digest"
    assert (await hub.intent(order.id)).state.value == "dispatched"


async def test_a_second_result_with_another_story(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    intent = await evil.document()
    first = evil.result(intent, "first")
    await evil.say_document(first)
    assert await evil.result_acks(1) == [order.id]
    second = evil.result(intent, "second")
    await evil.say_document(second)
    assert await said_about(evil, second) == "conflict"
    for _ in range(3):
        await evil.say_document(first)
    assert await evil.result_acks(3) == [order.id] * 3
    record = await hub.intent(order.id)
    assert record.result is not None
    assert record.result["output"] == "first"


async def test_a_giant_output(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    intent = await evil.document()
    lie = evil.result(intent, "x" * 300_000)
    await evil.say_document(lie)
    assert await said_about(evil, lie) == "output_too_big"
    assert (await hub.intent(order.id)).state.value == "dispatched"


async def test_acks_progress_and_errors_for_anothers_order(hub: RunningHub) -> None:
    honest, evil = await hub.enrolled(), await hub.enrolled(name="evil")
    order = await hub.order(honest.did)
    intent = await honest.document()
    await evil.accept(intent)
    await evil.say(IntentProgress(intent_id=order.id, index=0, kind="status", data="started"))
    await evil.say(ErrorMessage(code="no_chain", message="not mine", in_reply_to=order.id))
    await evil.heartbeat()
    await barrier(hub, evil)
    assert (await hub.intent(order.id)).state.value == "dispatched"
    await honest.leave()
    await honest.online()
    assert (await honest.document()).id == order.id


async def barrier(hub: RunningHub, agent: ScriptedAgent) -> None:
    """Return when everything the agent has said has taken effect."""
    order = await hub.order(agent.did)
    intent = await agent.document()
    while intent.id != order.id:
        intent = await agent.document()
    await agent.say_document(agent.result(intent))
    while order.id not in await agent.result_acks(1):
        pass


async def test_it_floods_with_reports(hub: RunningHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intent_handler, "MAX_PROGRESS_KEPT_BYTES", 3 * MAX_PROGRESS_BYTES)
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    intent = await evil.document()
    most = "x" * (MAX_PROGRESS_BYTES - 2)

    async def report(index: int, data: str) -> None:
        fields = {"intent_id": order.id, "index": index, "kind": "log", "data": data}
        await evil.say(IntentProgress.model_construct(**fields))

    await report(0, most + "y")
    assert (await evil.receive(ErrorMessage)).code == "bad_payload"
    with hub.hub.events.subscribe(subject=order.id) as news:
        for index in range(2):
            await report(index, most)
        while (event := await news.next()) is not None and event.data.get("index") != 1:
            pass
    await evil.leave()  # what was counted is counted on the next connection too
    await evil.online(holds=NOTHING.model_copy(update={"intents": (order.id,)}))
    with hub.hub.events.subscribe(subject=order.id) as news:
        for index in range(2, 6):
            await report(index, most)
        shown = set()
        while 5 not in shown:  # shown live, and then gone
            event = await news.next()
            assert event is not None
            shown.add(event.data.get("index"))
    assert {2, 3, 4, 5} <= shown
    kept = await hub.read(lambda uow: uow.intents.progress(order.id))
    assert [one.index for one in kept] == [0, 1, 2]
    await evil.say_document(evil.result(intent, started_at=clock.now()))
    await hub.intent_reaches(order.id, "succeeded")


async def test_it_claims_to_hold_anothers_orders_and_hides_its_own(hub: RunningHub) -> None:
    honest, evil = await hub.enrolled(), await hub.enrolled(name="evil")
    theirs, own = await hub.order(honest.did), await hub.order(evil.did)
    await evil.accept(await evil.document())
    await hub.intent_reaches(own.id, "accepted")
    await evil.leave()
    holds = Holds(
        policy_version=None,
        revocation_epoch=None,
        delegations=(),
        checkpoint=None,
        intents=(theirs.id, clock.new_id()),
    )
    await evil.online(holds=holds)
    await barrier(hub, evil)
    assert (await hub.intent(theirs.id)).state.value == "dispatched"
    # What it had accepted may have been done, whatever it says now: nobody is told otherwise.
    hidden = await hub.intent(own.id)
    assert (hidden.state.value, hidden.unconfirmed) == ("expired", True)


async def test_it_asks_people_about_another_call_than_it_will_make(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    await evil.document()
    fields: dict[str, Any] = {
        "request_id": clock.new_id(),
        "intent_id": order.id,
        "tool": "echo",
        "arguments": {"say": "hello"},
        "call_digest": call_digest(
            intent_id=order.id, tool="shell.exec", arguments={"argv": ["rm"]}
        ),
        "rule": "ask",
        "people": 1,
        "expires": clock.now() + timedelta(hours=1),
    }
    await evil.say(ToolApprovalRequest(**fields))
    assert (await evil.receive(ErrorMessage)).code == "bad_digest"


def question(intent_id: str, **changes: Any) -> ToolApprovalRequest:
    fields: dict[str, Any] = {
        "request_id": clock.new_id(),
        "intent_id": intent_id,
        "tool": "echo",
        "arguments": {},
        "call_digest": call_digest(intent_id=intent_id, tool="echo", arguments={}),
        "rule": "ask",
        "people": 1,
        "expires": clock.now() + timedelta(hours=1),
    }
    return ToolApprovalRequest(**fields | changes)


async def test_it_asks_people_about_one_order_over_and_over(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    await evil.document()
    asked = [question(order.id) for _ in range(MAX_REQUESTS_PER_INTENT)]
    for one in asked:
        await evil.say(one)
    await evil.say(question(order.id))
    assert (await evil.receive(ErrorMessage)).code == "rate_limited"
    await evil.say(asked[0])  # the same again is no new question
    await barrier(hub, evil)
    kept = await hub.read(lambda uow: uow.approvals.of_intent(order.id))
    assert sorted(one.id for one in kept) == sorted(one.request_id for one in asked)


async def test_it_asks_people_about_many_orders(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval_handler, "MAX_PENDING_PER_AGENT", 2)
    evil, other = await hub.enrolled(), await hub.enrolled()
    for _ in range(2):
        await evil.say(question((await hub.order(evil.did)).id))
    await evil.say(question((await hub.order(evil.did)).id))
    assert (await evil.receive(ErrorMessage)).code == "rate_limited"
    mine = await hub.order(other.did)
    await other.say(question(mine.id))
    await barrier(hub, other)
    assert len(await hub.read(lambda uow: uow.approvals.of_intent(mine.id))) == 1


async def test_a_question_waits_no_longer_than_its_order_and_not_after_it(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    intent = await evil.document()
    await evil.say(question(order.id, expires=clock.now() + timedelta(days=30_000)))
    await barrier(hub, evil)
    (kept,) = await hub.read(lambda uow: uow.approvals.of_intent(order.id))
    assert kept.expires_at == order.expires_at
    await evil.say_document(evil.result(intent, started_at=clock.now()))
    await evil.say(question(order.id))
    assert (await evil.receive(ErrorMessage)).code == "unknown_intent"


async def test_it_approves_its_own_question(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    order = await hub.order(evil.did)
    await evil.document()
    digest = call_digest(intent_id=order.id, tool="echo", arguments={})
    request_id = clock.new_id()
    await evil.say(
        ToolApprovalRequest(
            request_id=request_id,
            intent_id=order.id,
            tool="echo",
            arguments={},
            call_digest=digest,
            rule="ask",
            people=1,
            expires=clock.now() + timedelta(hours=1),
        )
    )
    payload = {
        "requestId": request_id,
        "callDigest": digest,
        "approved": True,
        "approver": evil.did,
    }
    lie = document(evil, "tool_approval_response", payload)
    await evil.say_document(lie)
    assert await said_about(evil, lie) == "forbidden_type"
    await barrier(hub, evil)
    record = await hub.read(lambda uow: uow.approvals.get(request_id))
    assert record is not None
    assert record.state == "pending"


def document(agent: ScriptedAgent, kind: str, payload: dict[str, Any], **more: Any) -> Envelope:
    now = clock.now()
    return seal_document(
        type=kind,
        id=clock.new_id(),
        timestamp=now,
        expires=now + timedelta(hours=1),
        audience=more.get("audience", agent.hub.hub.identity.hub_did),
        payload=payload,
        signer=more.get("signer", agent.key),
    )


@pytest.mark.parametrize(
    "kind", ["intent", "policy_update", "delegation", "revocations", "quarantine", "intent_cancel"]
)
async def test_documents_that_an_agent_does_not_send(hub: RunningHub, kind: str) -> None:
    evil = await hub.enrolled()
    size = await hub.read(lambda uow: uow.audit.size())
    lie = document(evil, kind, {})
    await evil.say_document(lie)
    assert await said_about(evil, lie) in ("forbidden_type", "wrong_audience", "bad_payload")
    assert await hub.read(lambda uow: uow.audit.size()) == size


async def test_frames_of_channels_and_peers_it_may_not_send(hub: RunningHub) -> None:
    evil = await hub.enrolled()
    frame = await evil.say(
        ChannelMessageSend(
            channel_id=clock.new_id(),
            client_id=clock.new_id(),
            thread_id=None,
            author=evil.did,
            content=ESCAPE,
            attachments=(),
        )
    )
    error = await evil.receive(ErrorMessage)
    assert error.in_reply_to == frame


async def test_an_acked_document_that_was_never_sent_leaves_no_trace(hub: RunningHub) -> None:
    """An agent must not be able to fill the record with words about documents of its invention."""
    evil = await hub.enrolled()
    await barrier(hub, evil)
    before = await hub.read(lambda uow: uow.audit.size())
    items = tuple(
        DocumentAckItem(id=clock.new_id(), digest="A" * 43 + "=", state="accepted")
        for _ in range(500)
    )
    await evil.say(DocumentAck(documents=items))
    await barrier(hub, evil)
    grown = await hub.read(lambda uow: uow.audit.size()) - before
    assert grown < 20


# --- who would come in ---


async def test_it_registers_with_anothers_key(hub: RunningHub) -> None:
    """A `register` that names a key and is signed by another is turned away like any stranger."""
    honest = await hub.enrolled()
    evil = ScriptedAgent(hub)
    await evil.connect()
    evil.session.send(evil.register_payload(), now=clock.now(), id=clock.new_id())
    (frame,) = evil.session.data_to_send()
    own, theirs = evil.key.public_key.multikey, honest.key.public_key.multikey
    await evil.raw(frame.decode().replace(own, theirs))
    assert (await evil.receive(ErrorMessage)).code == "auth_failed"
    assert await evil.close_code() == 4401
    await barrier(hub, honest)


async def test_it_squats_a_name(hub: RunningHub) -> None:
    honest, evil = await hub.enrolled(name="build"), await hub.enrolled(name="build")
    assert (await hub.agent(honest.did)).name == "build"
    assert (await hub.agent(evil.did)).name == "build-2"
    order = await hub.order(honest.did)
    assert (await honest.document()).id == order.id


async def test_a_join_token_serves_once_even_at_the_same_moment(hub: RunningHub) -> None:
    token = await hub.join_token()
    agents = [ScriptedAgent(hub) for _ in range(5)]

    async def state(agent: ScriptedAgent) -> bool:
        await agent.connect()
        await agent.register(token=token.token)
        event = await agent.next(object, lambda one: hasattr(one, "payload"))
        return event.payload.__class__.__name__ == "RegisterAck"

    inside = await asyncio.gather(*(state(agent) for agent in agents))
    assert inside.count(True) == 1


async def test_a_guessed_proof_uses_nothing_up(hub: RunningHub) -> None:
    token = await hub.join_token()
    for _ in range(5):
        evil = ScriptedAgent(hub)
        await evil.connect()
        payload = evil.register_payload(token=token.token)
        assert payload.join is not None
        guess = payload.join.model_copy(update={"proof": "B" * 43 + "="})
        await evil.say(payload.model_copy(update={"join": guess}))
        assert (await evil.receive(ErrorMessage)).code == "auth_failed"
        assert await evil.close_code() == 4401
    honest = ScriptedAgent(hub)
    await honest.connect()
    await honest.register(token=token.token)
    await until(lambda: hub.registry.get(honest.did) is not None, "the honest agent")


async def test_a_proof_moved_to_another_key_is_no_proof(hub: RunningHub) -> None:
    """The proof covers the challenge, which a thief of the frame cannot have."""
    token = await hub.join_token()
    honest, thief = ScriptedAgent(hub), ScriptedAgent(hub)
    await honest.connect()
    await thief.connect()
    payload = honest.register_payload(token=token.token)
    moved = payload.model_copy(update={"challenge": thief.hello.payload.challenge})
    await thief.say(moved)
    assert (await thief.receive(ErrorMessage)).code == "auth_failed"
    await honest.say(payload)
    await until(lambda: hub.registry.get(honest.did) is not None, "the honest agent")


# --- what people see ---


async def test_escapes_in_what_it_says_never_reach_a_terminal(
    hub: RunningHub, capsys: pytest.CaptureFixture[str]
) -> None:
    from controlplane.cli.output import Printer

    evil = await hub.enrolled(
        labels={"note": ESCAPE, "markup": "[bold red]x[/] [link=http://e]y[/]"}
    )
    order = await hub.order(evil.did)
    intent = await evil.document()
    await evil.say_document(
        evil.result(
            intent,
            None,
            status=ResultStatus.FAILED,
            error=ResultError(code="evil", message=ESCAPE),
        )
    )
    record = await hub.intent_reaches(order.id, "failed")
    agent = await hub.agent(evil.did)
    shown = {"labels": dict(agent.labels), "message": record.result["error"]["message"]}  # type: ignore[index]
    printer = Printer("table")
    columns = [("LABELS", "labels"), ("MESSAGE", "message")]
    printer.listing({"items": [shown]}, columns, empty="")
    printer.record(shown, columns)
    printer.data(shown)
    printer.say(f"said: {shown['message']}")
    heard = capsys.readouterr()
    for text in (heard.out, heard.err):
        plain = text.replace("\x1b[2m", "").replace("\x1b[0m", "").replace("\x1b[1m", "")
        assert not [c for c in plain if not c.isprintable() and c != "\n"]
    assert "[bold red]x[/]" in heard.out


async def test_an_error_of_the_hub_that_quotes_it_is_inert_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from controlplane.cli.failures import ProblemError, report

    report(ProblemError(409, {"code": "conflict", "detail": f"says {ESCAPE}"}), as_json=False)
    text = capsys.readouterr().err
    assert not [c for c in text if not c.isprintable() and c != "\n"]


# --- siblings ---


async def peer_order(
    hub: RunningHub, sender: ScriptedAgent, intent: Envelope, *links: Envelope
) -> str:
    frame = await sender.say(
        PeerIntent(intent=intent.as_value(), delegations=tuple(link.as_value() for link in links))
    )
    while True:
        error = await sender.receive(ErrorMessage)
        if error.in_reply_to in (frame, intent.id):
            return str(error.code)


def order_for(sender: ScriptedAgent, audience: str, **more: Any) -> Envelope:
    payload = {"action": "echo", "params": {}, "realm": "default", "timeoutSeconds": 30}
    payload |= more.pop("payload", {})
    return document(sender, "intent", payload, audience=audience, **more)


async def test_a_sibling_orders_under_anothers_name(hub: RunningHub) -> None:
    victim, thief = await hub.enrolled(), await hub.enrolled(name="thief")
    lie = order_for(victim, victim.did, signer=new_key())
    assert await peer_order(hub, thief, lie) == "wrong_key"
    stolen = order_for(victim, thief.did)
    assert await peer_order(hub, thief, stolen) == "wrong_key"


async def test_a_sibling_orders_itself_a_stranger_or_another_realm(hub: RunningHub) -> None:
    victim, thief = await hub.enrolled(), await hub.enrolled(name="thief")
    assert await peer_order(hub, thief, order_for(thief, thief.did)) == "wrong_audience"
    nobody = new_key().public_key.did
    assert await peer_order(hub, thief, order_for(thief, nobody)) == "wrong_audience"
    abroad = order_for(thief, victim.did, payload={"realm": "other"})
    assert await peer_order(hub, thief, abroad) == "wrong_realm"


async def test_a_sibling_brings_delegations_that_lead_nowhere(hub: RunningHub) -> None:
    """What it makes up must not be stored, nor be handed to every agent of the hub."""
    victim, thief = await hub.enrolled(), await hub.enrolled(name="thief")
    own = delegate(thief.key, new_key().public_key.did, ("*",))
    as_root = delegate(thief.key, thief.did, ("*",))
    under = delegate(thief.key, thief.did, ("*",), parent=hub.hub.identity.hub_delegation)
    for lie in (own, as_root, under):
        intent = order_for(thief, victim.did, payload={"proof": [lie.id]})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await peer_order(hub, thief, intent, lie)
    await victim.document()
    kept = await hub.read(lambda uow: uow.delegations.get_many([own.id, as_root.id, under.id]))
    assert list(kept) == []


async def test_a_namesake_of_a_delegation_is_not_kept_in_its_place(hub: RunningHub) -> None:
    victim, thief = await hub.enrolled(), await hub.enrolled(name="thief")
    true = hub.hub.identity.hub_delegation
    lie = delegate(thief.key, thief.did, ("*",), id=true.id)
    intent = order_for(thief, victim.did, payload={"proof": [lie.id]})
    await thief.say(PeerIntent(intent=intent.as_value(), delegations=(lie.as_value(),)))
    await barrier(hub, thief)
    kept = await hub.read(lambda uow: uow.delegations.get(true.id))
    assert kept is None or kept.wire == true.wire


async def test_a_revoked_sibling_is_out(hub: RunningHub) -> None:
    from controlplane.access.authorize import HUB_ACTOR
    from controlplane.fleet.agents import revoke_agent

    evil = await hub.enrolled()
    await revoke_agent(hub.hub, HUB_ACTOR, evil.did, "stolen")
    assert await evil.close_code() == 4403
    await evil.connect()
    await evil.register()
    assert await evil.close_code() == 4403
