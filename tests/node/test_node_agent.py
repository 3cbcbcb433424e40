"""The example agent for Node against a real hub: enrolled, ordered, killed, nothing lost."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interaction.system import System
from tests.node.conftest import NodeAgent


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("node-system")) as made:
        made.hub.start()
        yield made


@pytest.fixture
def worker(system: System, node_agent_script: Path) -> Iterator[NodeAgent]:
    """An agent that came in by a token that approves, with a file to read."""
    body = {"autoApprove": True, "capabilities": ["echo", "files.read"]}
    token = system.rest.post("/join-tokens", body)["token"]
    with NodeAgent.of(system, node_agent_script, f"node-{len(system.agents)}", token) as agent:
        (agent.workspace / "notes.txt").write_text("Übersicht\n", "utf-8")
        agent.start()
        agent.state("online")
        yield agent


def test_it_joins_by_a_token_and_does_its_two_actions(system: System, worker: NodeAgent) -> None:
    echoed = system.run(worker, "echo", text="€", number=1.5, deep={"list": [1, None, True]})
    assert echoed["state"] == "succeeded"
    params = {"text": "€", "number": 1.5, "deep": {"list": [1, None, True]}}
    assert echoed["result"]["output"] == params
    read = system.run(worker, "files.read", path="notes.txt")
    assert read["result"]["output"]["content"] == "Übersicht\n"
    assert read["result"]["output"]["bytes"] == 11
    assert read["result"]["decision"]["rule"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"zero \0 byte", b""])
def test_what_is_no_text_is_read_as_base64(
    system: System, worker: NodeAgent, content: bytes
) -> None:
    (worker.workspace / "data").write_bytes(content)
    output = system.run(worker, "files.read", path="data")["result"]["output"]
    read = output["content"].encode()
    assert (base64.b64decode(read) if output["encoding"] == "base64" else read) == content
    if content:
        asked = system.run(worker, "files.read", path="data", encoding="utf-8")
        assert asked["result"]["error"]["code"] == "not_text"


def test_its_results_hold_for_our_own_verifier(system: System, worker: NodeAgent) -> None:
    shown = system.run(worker, "echo", proof=True)
    path = system.save_documents(shown, "node-proof.json")
    system.writ("verify", str(path), "--root", system.hub.root)


def test_it_waits_for_an_admin_who_compares_the_fingerprint(
    system: System, node_agent_script: Path
) -> None:
    with NodeAgent.of(system, node_agent_script, "node-pending") as agent:
        agent.start()
        waiting = agent.state("pending")
        [request] = [one for one in system.rest.items("/registrations") if one["did"] == agent.did]
        assert request["fingerprint"] == waiting["fingerprint"] == agent.fingerprint
        assert request["id"] == waiting["registrationId"]
        system.approve(agent, allow=["echo"])
        agent.state("online")
        assert system.run(agent, "echo", hello=1)["state"] == "succeeded"


def test_what_its_policy_does_not_allow_is_refused_by_the_agent_itself(
    system: System, worker: NodeAgent
) -> None:
    system.set_policy(
        worker,
        [
            {"id": "no-secrets", "effect": "deny", "actions": ["files.*"], "when": "false"},
            {"id": "hopeful", "effect": "allow", "actions": ["files.*"], "when": "true"},
            {"id": "talk", "effect": "allow", "actions": ["echo"]},
        ],
    )
    # Without CEL a condition is an error: it matches in a deny.
    denied = system.run(worker, "files.read", path="notes.txt")
    assert (denied["state"], denied["result"]["error"]["code"]) == ("refused", "policy_denied")
    assert denied["result"]["decision"]["rule"] == "no-secrets"
    system.set_policy(
        worker, [{"id": "hopeful", "effect": "allow", "actions": ["*"], "when": "true"}]
    )
    # And it does not in an allow.
    denied = system.run(worker, "echo", x=1)
    assert denied["result"]["error"]["code"] == "policy_denied"
    assert system.run(worker, "no.such")["result"]["error"]["code"] == "unknown_action"


@pytest.mark.parametrize(
    "demand",
    [
        {"when": "true"},
        {"approval": {"people": 1, "from": ["*"], "withinSeconds": 60}},
        {"sandbox": "container"},
        {"domains": ["example.com"]},
    ],
    ids=lambda demand: next(iter(demand)),
)
def test_a_rule_that_demands_what_it_cannot_do_allows_nothing(
    system: System, worker: NodeAgent, demand: dict[str, Any]
) -> None:
    careful = {"id": "careful", "effect": "allow", "actions": ["echo"], **demand}
    # A later rule does not open what the first one closed.
    system.set_policy(worker, [careful, {"id": "lax", "effect": "allow", "actions": ["*"]}])
    denied = system.run(worker, "echo", x=1)
    assert (denied["state"], denied["result"]["error"]["code"]) == ("refused", "policy_denied")
    assert denied["result"]["decision"]["rule"] == "careful"


def test_a_policy_with_limits_allows_nothing_since_it_does_not_count(
    system: System, worker: NodeAgent
) -> None:
    rules = [{"id": "talk", "effect": "allow", "actions": ["echo"]}]
    system.set_policy(worker, rules, ordersPerHour=2)
    assert system.run(worker, "echo")["result"]["error"]["code"] == "policy_denied"
    system.set_policy(worker, rules)
    assert system.run(worker, "echo")["state"] == "succeeded"


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "link", "sub/../../outside"])
def test_no_path_leads_out_of_its_workspace(system: System, worker: NodeAgent, path: str) -> None:
    outside = worker.workspace.parent / "outside"
    outside.write_text("secret")
    (worker.workspace / "link").symlink_to(outside)
    shown = system.run(worker, "files.read", path=path)
    assert (shown["state"], shown["result"]["error"]["code"]) == ("failed", "outside_workspace")


def test_an_operators_order_passes_through_the_hub_and_holds(
    system: System, worker: NodeAgent
) -> None:
    order = system.signed_order(worker, "echo", {"signed": True})
    system.rest.post("/intents/signed", {"document": order.wire.decode()})
    assert system.end(order.id)["result"]["output"] == {"signed": True}


def test_a_quarantine_stops_it_and_only_more_than_the_hub_releases_it(
    system: System, worker: NodeAgent
) -> None:
    system.writ("agents", "quarantine", worker.did, "--reason", "drill")
    refused = system.run(worker, "echo")
    assert refused["result"]["error"]["code"] == "quarantined"
    lift = {"epoch": 1_000, "active": False, "reason": "drill over"}
    release = system.seal("quarantine", worker.did, lift)
    system.rest.post(f"/agents/{worker.did}/release", {"document": release.wire.decode()})
    assert system.run(worker, "echo")["state"] == "succeeded"


def test_nothing_is_lost_when_the_agent_and_the_hub_are_killed(
    make_system: Callable[..., System], node_agent_script: Path
) -> None:
    system = make_system()
    body = {"autoApprove": True, "capabilities": ["echo"]}
    token = system.rest.post("/join-tokens", body)["token"]
    with NodeAgent.of(system, node_agent_script, "mortal", token) as agent:
        agent.start()
        agent.state("online")
        orders = {}
        for number in range(20):
            orders[system.order(agent, "echo", n=number)] = number
            if number == 6:
                agent.kill()
            if number == 12:
                agent.start()
                agent.state("online")
        agent.kill()
        system.hub.kill()
        system.hub.start()
        late = system.order(agent, "echo", n=20)
        agent.start()
        agent.state("online")
        # The hub alone dies once more, under an agent that must come back by itself.
        said = agent.said
        system.hub.kill()
        system.hub.start()
        agent.state("online", after=said)
        for order, number in {**orders, late: 20}.items():
            shown = system.end(order)
            # Each was started at most once: what the kill cut in two is never done again.
            assert shown["state"] in ("succeeded", "interrupted")
            if shown["state"] == "succeeded":
                assert shown["result"]["output"] == {"n": number}
        assert shown["state"] == "succeeded"  # the last was ordered while nothing could be cut
