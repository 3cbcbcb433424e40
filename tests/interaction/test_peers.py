"""Agents that order work from agents: real hub, real agents, a chain that only narrows.

What an evil caller would send is signed here with the key file of the agent it plays.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.envelope import Envelope, parse_document, seal_document
from protocol.ids import format_uuid7
from protocol.key_files import parse_private_key_pem
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System

LONG = 3_600


def key_of(agent: Agent) -> SigningKey:
    return parse_private_key_pem((agent.folder / "key.pem").read_bytes())


def seal(key: SigningKey, type_: str, audience: str, payload: dict[str, Any]) -> Envelope:
    now = datetime.now(UTC)
    return seal_document(
        type=type_,
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + timedelta(seconds=LONG),
        audience=audience,
        payload=payload,
        signer=key,
    )


def link(
    key: SigningKey, subject: str, capabilities: list[dict[str, Any]], parent: Envelope, depth: int
) -> Envelope:
    """A delegation out of `parent`, however wide."""
    payload = {
        "subject": subject,
        "capabilities": capabilities,
        "conditions": [],
        "notBefore": format_timestamp(datetime.now(UTC)),
        "maxDepth": depth,
        "parent": parent.digest,
    }
    return seal(key, "delegation", "*", payload)


@dataclass(frozen=True)
class Trio:
    """Three agents; the caller was lent `echo` and `files.*` on the peer, one level deep."""

    system: System
    caller: Agent
    peer: Agent
    third: Agent
    lent: Envelope
    hub_link: Envelope

    def peer_order(self, action: str, params: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Have the caller order from the peer, and return the caller's order at its end."""
        to = more.pop("to", self.peer)
        order = {"agent": to.did, "action": action, "params": params, **more}
        return self.system.run(self.caller, "peer.order", **order)

    def forged(
        self,
        signer: SigningKey,
        to: Agent,
        *proof: Envelope,
        realm: str = "default",
        action: str = "echo",
        cause: str | None = None,
    ) -> dict[str, Any]:
        """Hand in what `signer` says an agent ordered, and return how it ended."""
        payload: dict[str, Any] = {
            "action": action,
            "params": {"forged": True},
            "realm": realm,
            "timeoutSeconds": 30,
            "proof": [one.id for one in proof],
        }
        if cause is not None:
            payload["batchId"] = cause
        order = seal(signer, "intent", to.did, payload)
        body = {
            "document": order.wire.decode(),
            "delegations": [one.wire.decode() for one in proof],
        }
        self.system.rest.post("/intents/signed", body)
        return self.system.end(order.id)

    def code(self, *args: Any, **more: Any) -> str:
        ended = self.forged(*args, **more)
        assert ended["state"] == "refused", ended
        return str(ended["result"]["error"]["code"])


def lend(system: System, subject: Agent, actions: list[str], **more: Any) -> Envelope:
    """Have the hub lend an agent rights on others; it holds them before any later order."""
    agents = more.pop("agents", None)
    scope = {} if agents is None else {"agents": [one.did for one in agents]}
    body = {
        "subject": subject.did,
        "capabilities": [{"action": action, **scope} for action in actions],
        **more,
    }
    return parse_document(system.rest.post("/delegations", body)["document"])


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    with System(tmp_path_factory.mktemp("trio")) as system:
        system.hub.start()
        caller = system.agent("caller")
        peer = system.agent("peer")
        third = system.agent("third")
        lent = lend(system, caller, ["echo", "files.*", "peer.order"], agents=[peer, third],
                    maxDepth=1)  # fmt: skip
        own = system.rest.items("/delegations", subject=system.hub.did)[0]
        yield Trio(system, caller, peer, third, lent, parse_document(own["document"]))


# --- what is allowed ---------------------------------------------------------------------------


def test_an_agent_orders_from_another_and_hands_on_its_signed_result(trio: Trio) -> None:
    ended = trio.peer_order("echo", {"from": "caller"})
    assert ended["state"] == "succeeded", ended
    output = ended["result"]["output"]
    assert output["output"] == {"from": "caller"}
    # The proof is the peer's own document, byte for byte as the hub has it.
    result = parse_document(output["document"])
    result.public_key.verify(result.signature, result.signed_bytes)
    assert result.sender_did == trio.peer.did == output["agent"]
    at_peer = trio.system.intent(output["intentId"])
    assert at_peer["documents"]["result"] == output["document"]
    # The peer's order was signed by the caller, names both links and the order it was made for.
    order = parse_document(at_peer["documents"]["intent"])
    assert order.sender_did == trio.caller.did
    assert order.payload["proof"] == [trio.hub_link.id, trio.lent.id]
    assert at_peer["batchId"] == ended["id"]


def test_the_peer_does_the_work_in_its_own_workspace_under_its_own_policy(trio: Trio) -> None:
    ended = trio.peer_order("files.write", {"path": "note", "content": "by the caller\n"})
    assert ended["state"] == "succeeded", ended
    assert trio.peer.lines("note") == ["by the caller"]
    assert trio.caller.lines("note") == []


def test_a_right_that_is_lent_on_lets_the_peer_order_from_a_third(trio: Trio) -> None:
    onward = {"agent": trio.third.did, "action": "echo", "params": {"n": 3}}
    lent_on = [{"action": "echo", "agents": [trio.third.did]}]
    ended = trio.peer_order("peer.order", onward, lend=lent_on)
    assert ended["state"] == "succeeded", ended
    inner = ended["result"]["output"]["output"]
    assert inner["output"] == {"n": 3}
    order = parse_document(trio.system.intent(inner["intentId"])["documents"]["intent"])
    assert order.sender_did == trio.peer.did
    assert order.payload["proof"][:2] == [trio.hub_link.id, trio.lent.id]
    assert len(order.payload["proof"]) == 3


def test_conditions_of_the_peers_policy_see_who_orders_and_how_deep(trio: Trio) -> None:
    system = trio.system
    rules = [
        {"id": "from-the-caller", "effect": "allow", "actions": ["echo"],
         "when": f'caller.did == "{trio.caller.did}" && caller.depth == 2'},
    ]  # fmt: skip
    with system.agent("picky", policy={"rules": rules, "limits": {}}) as picky:
        lend(system, trio.caller, ["echo"], agents=[picky])
        ended = trio.peer_order("echo", {}, to=picky)
        assert ended["state"] == "succeeded", ended
        assert system.run(picky, "echo", by="the hub itself")["state"] == "refused"


# --- what is not -------------------------------------------------------------------------------


def test_what_the_callers_own_policy_denies_is_not_ordered_from_a_peer(trio: Trio) -> None:
    system = trio.system
    with system.agent("guarded", allow=["echo"]) as guarded:
        lend(system, guarded, ["echo"], agents=[trio.peer])
        ended = system.run(guarded, "peer.order", agent=trio.peer.did, action="echo", params={})
        assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "policy_denied")


def test_an_agent_that_was_lent_nothing_orders_nothing(trio: Trio) -> None:
    ended = trio.system.run(trio.third, "peer.order", agent=trio.peer.did, action="echo", params={})
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "no_chain")


def test_an_action_that_was_not_lent_is_not_ordered(trio: Trio) -> None:
    ended = trio.peer_order("shell.exec", {"argv": ["true"]})
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "not_granted")


def test_a_peers_refusal_comes_back_with_its_code(trio: Trio) -> None:
    ended = trio.peer_order("files.nonsense", {})
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "unknown_action")


def test_nobody_gains_rights_by_going_through_an_agent(trio: Trio) -> None:
    """Who may order `peer.order` but not `files.write` does not get a file written by a peer."""
    system = trio.system
    clerk = SigningKey.from_seed(secrets.token_bytes(32))
    root = system.hub.key("operator")
    operator = system.rest.get(f"/delegations/{system.operator_proof()[0]}")
    above = parse_document(operator["document"])
    grant = link(root, clerk.public_key.did, [{"action": "peer.order"}], above, 0)
    system.rest.post("/delegations/signed", {"document": grant.wire.decode()})
    wish = {"agent": trio.peer.did, "action": "files.write",
            "params": {"path": "gain", "content": "x"}}  # fmt: skip
    payload = {"action": "peer.order", "params": wish, "realm": "default", "timeoutSeconds": 30,
               "proof": [above.id, grant.id]}  # fmt: skip
    order = seal(clerk, "intent", trio.caller.did, payload)
    system.rest.post("/intents/signed", {"document": order.wire.decode()})
    ended = system.end(order.id)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "not_granted")
    assert trio.peer.lines("gain") == []


def test_a_stranger_with_no_delegation_is_turned_down(trio: Trio) -> None:
    stranger = SigningKey.from_seed(secrets.token_bytes(32))
    assert trio.code(stranger, trio.peer) == "no_chain"


def test_a_stolen_chain_does_not_serve_another_key(trio: Trio) -> None:
    """The third agent names the delegations that were lent to the caller."""
    assert trio.code(key_of(trio.third), trio.peer, trio.hub_link, trio.lent) == "no_chain"


def test_a_stolen_chain_with_a_right_of_ones_own_in_it_does_not_hold(trio: Trio) -> None:
    """Now the thief is no stranger: its own delegation stands at the end of the caller's chain."""
    own = lend(trio.system, trio.third, ["files.read"], agents=[trio.peer])
    chain = (trio.hub_link, trio.lent, own)
    assert trio.code(key_of(trio.third), trio.peer, *chain) == "bad_chain"


def test_a_widened_chain_is_refused(trio: Trio) -> None:
    """The caller lends on more than it has."""
    wide = link(key_of(trio.caller), trio.third.did, [{"action": "*"}], trio.lent, 0)
    chain = (trio.hub_link, trio.lent, wide)
    assert trio.code(key_of(trio.third), trio.peer, *chain) == "not_attenuated"


def test_a_chain_handed_on_deeper_than_lent_is_refused(trio: Trio) -> None:
    deep = link(key_of(trio.caller), trio.third.did, [{"action": "echo"}], trio.lent, 1)
    chain = (trio.hub_link, trio.lent, deep)
    assert trio.code(key_of(trio.third), trio.peer, *chain) == "not_attenuated"


def test_a_chain_for_one_peer_does_not_reach_another_agent(trio: Trio) -> None:
    with trio.system.agent("elsewhere") as elsewhere:
        caller = key_of(trio.caller)
        assert trio.code(caller, elsewhere, trio.hub_link, trio.lent) == "not_granted"


def test_an_order_in_a_realm_that_was_not_lent_is_refused(trio: Trio) -> None:
    system = trio.system
    here = [{"action": "echo", "realms": ["default"], "agents": [trio.peer.did]}]
    bound = parse_document(
        system.rest.post("/delegations", {"subject": trio.third.did, "capabilities": here})[
            "document"
        ]
    )
    system.rest.post("/realms", {"id": "lab"})
    code = trio.code(key_of(trio.third), trio.peer, trio.hub_link, bound, realm="lab")
    assert code == "not_granted"


def test_an_order_in_a_realm_the_peer_is_not_in_is_refused(trio: Trio) -> None:
    caller = key_of(trio.caller)
    assert trio.code(caller, trio.peer, trio.hub_link, trio.lent, realm="mars") == "wrong_realm"


def test_the_hub_does_not_carry_between_agents_of_different_realms(trio: Trio) -> None:
    system = trio.system
    system.rest.post("/realms", {"id": "far"})
    with system.agent("far-away", realms=["far"]) as far:
        lend(system, trio.caller, ["echo"], agents=[far])
        ended = trio.peer_order("echo", {}, to=far)
        assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "wrong_realm")


def test_a_chain_that_comes_back_to_one_of_its_own_agents_is_refused(trio: Trio) -> None:
    """Caller -> peer -> caller, the rights handed on each time: a circle of delegations."""
    system = trio.system
    wide = lend(system, trio.caller, ["echo"], maxDepth=1)
    onward = link(key_of(trio.caller), trio.peer.did, [{"action": "echo"}], wide, 0)
    chain = (trio.hub_link, wide, onward)
    assert trio.code(key_of(trio.peer), trio.caller, *chain) == "bad_chain"


def test_two_agents_that_order_from_each_other_do_not_go_round_in_a_circle(trio: Trio) -> None:
    """Each was lent rights on the other; the hub sees for which order the second was made."""
    system = trio.system
    with system.agent("ping") as ping, system.agent("pong") as pong:
        lend(system, ping, ["echo", "peer.order"])
        lend(system, pong, ["echo", "peer.order"])
        back = {"agent": ping.did, "action": "echo", "params": {}}
        there = {"agent": pong.did, "action": "peer.order", "params": back}
        ended = system.run(ping, "peer.order", **there)
        assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "bad_chain")
        # On to a third agent it is no circle.
        back["agent"] = trio.third.did
        assert system.run(ping, "peer.order", **there)["state"] == "succeeded"


def test_an_agent_sees_a_circle_even_where_the_hub_looks_away(trio: Trio) -> None:
    """Handed in by REST, where the hub does not look: the caller knows which orders it gave."""
    rights = lend(trio.system, trio.peer, ["echo"], agents=[trio.caller])
    given = trio.peer_order("echo", {})["result"]["output"]["intentId"]
    peer = key_of(trio.peer)
    assert trio.code(peer, trio.caller, trio.hub_link, rights, cause=given) == "bad_chain"
    other = trio.forged(peer, trio.caller, trio.hub_link, rights, cause=trio.lent.id)
    assert other["state"] == "succeeded", other


def test_a_revoked_right_is_worth_nothing_at_once(trio: Trio) -> None:
    system = trio.system
    with system.agent("lender") as lender:
        rights = lend(system, lender, ["echo"], agents=[trio.peer])
        order = {"agent": trio.peer.did, "action": "echo", "params": {}}
        assert system.run(lender, "peer.order", **order)["state"] == "succeeded"
        system.rest.post(f"/delegations/{rights.id}/revoke", {})
        ended = system.run(lender, "peer.order", **order)
        assert ended["state"] == "failed"
        code = trio.code(key_of(lender), trio.peer, trio.hub_link, rights)
        assert code == "revoked"


# --- what survives -----------------------------------------------------------------------------


SLOW = {"argv": ["sh", "-c", "echo begun >> log; sleep 2; echo done >> log"]}


def slow_pair(system: System, **env: str) -> tuple[Agent, Agent]:
    caller, peer = system.agent("caller", **env), system.agent("peer")
    lend(system, caller, ["shell.exec"], agents=[peer])
    return caller, peer


def order_slow(system: System, caller: Agent, peer: Agent) -> str:
    order = system.order(caller, "peer.order", agent=peer.did, action="shell.exec", params=SLOW)
    wait_until(lambda: peer.lines("log"), "the peer to begin")
    return order


def the_peers_order(system: System, order: str) -> dict[str, Any]:
    found = system.rest.items("/intents", batchId=order)
    made = [one for one in found if one["id"] != order]
    assert len(made) == 1, made  # never ordered twice
    return dict(made[0])


def test_a_caller_killed_while_it_waits_gets_the_same_result(make_system: Any) -> None:
    system = make_system()
    caller, peer = slow_pair(system)
    order = order_slow(system, caller, peer)
    caller.kill()
    wait_until(lambda: peer.lines("log")[1:], "the peer to be done while its caller is away")
    caller.start()
    ended = system.end(order)
    assert ended["state"] == "succeeded", ended
    assert peer.lines("log") == ["begun", "done"]
    assert ended["result"]["output"]["intentId"] == the_peers_order(system, order)["id"]


def test_a_hub_killed_in_the_middle_loses_neither_order(make_system: Any) -> None:
    system = make_system()
    caller, peer = slow_pair(system)
    order = order_slow(system, caller, peer)
    system.hub.kill()
    wait_until(lambda: peer.lines("log")[1:], "the peer to be done without a hub")
    system.hub.start()
    ended = system.end(order)
    assert ended["state"] == "succeeded", ended
    assert peer.lines("log") == ["begun", "done"]
    the_peers_order(system, order)


def test_a_peer_killed_at_work_ends_interrupted_and_its_caller_is_told(make_system: Any) -> None:
    system = make_system()
    caller, peer = slow_pair(system)
    order = order_slow(system, caller, peer)
    peer.kill()
    peer.start()
    ended = system.end(order)
    assert ended["state"] == "failed", ended
    assert ended["result"]["error"]["code"] == "interrupted"
    assert the_peers_order(system, order)["state"] == "interrupted"


def test_a_caller_waits_no_longer_than_its_own_time(make_system: Any) -> None:
    system = make_system()
    caller, peer = slow_pair(system)
    peer.stop()
    wish = {"agent": peer.did, "action": "shell.exec", "params": SLOW}
    order = system.order_with(caller, "peer.order", wish, timeoutSeconds=2)
    ended = system.end(order)
    assert ended["state"] in ("failed", "timed_out"), ended
    assert ended["result"]["error"]["code"] in ("peer_timed_out", "timed_out")
    assert json.dumps(wish["params"]) not in peer.lines("log")


def test_an_order_that_expired_unseen_is_told_to_its_caller(make_system: Any) -> None:
    system = make_system()
    caller, peer = slow_pair(system)
    peer.stop()
    wish = {"agent": peer.did, "action": "shell.exec", "params": SLOW}
    order = system.order(caller, "peer.order", **wish)
    made = wait_until(
        lambda: [one for one in system.rest.items("/intents", batchId=order) if one["id"] != order],
        "the order to the peer",
    )
    system.rest.post(f"/intents/{made[0]['id']}/cancel", {})
    ended = system.end(order)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("failed", "cancelled")
