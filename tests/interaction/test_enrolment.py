"""SPEC section 5 on whole systems: how an agent comes in, and what it shows on the way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.interaction.fixtures import Fleet
from tests.interaction.processes import CHECKOUT, COMMAND, environment
from tests.interaction.system import System

MakeSystem = Callable[..., System]


def test_a_token_that_approves_lets_one_agent_in_and_no_second(fleet: Fleet) -> None:
    system = fleet.system
    body = {"autoApprove": True, "name": "by-token*", "capabilities": ["echo"]}
    token = system.rest.post("/join-tokens", body)["token"]
    with (
        system.new_agent("by-token", token=token) as first,
        system.new_agent("by-token-2", token=token) as second,
    ):
        first.start()
        first.state("online")
        assert system.run(first, "echo", hello=1)["result"]["output"] == {"hello": 1}
        assert system.run(first, "files.list", path=".")["result"]["error"]["code"] == (
            "policy_denied"
        )
        second.start()
        assert "auth_failed" in second.state("refused")["reason"]
        known = [one["did"] for one in system.rest.items("/registrations")]
        assert second.did not in known


def test_a_used_up_token_is_asked_with_again_and_a_person_told_once_what_to_do(
    fleet: Fleet, tmp_path: Path
) -> None:
    system = fleet.system
    body = {"autoApprove": True, "name": "spent*", "expiresInSeconds": 60}
    made = system.rest.post("/join-tokens", body)
    assert system.rest.send("DELETE", f"/join-tokens/{made['id']}").status == 204
    words = ("agent", "run", "--data-dir", str(tmp_path / "agent"), "--name", "spent")
    agent = subprocess.Popen(
        [*(one for one in COMMAND if one != "--json"), *words],
        env=environment(WRIT_AGENT_JOIN=made["token"]),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert agent.stdout is not None
        told = []
        while sum(line.startswith("refused") for line in told) < 3:
            line = agent.stdout.readline()
            assert line, told
            told.append(line)
    finally:
        agent.terminate()
        agent.wait(15)
    said = "".join(told)
    assert said.count("writ join-tokens create") == 1
    hint = [line for line in told if line.startswith("    ")]
    assert all(len(line) <= 80 for line in hint)
    assert "".join(hint).split()[-4:] == ["It", "goes", "on", "asking."]


def test_agent_and_hub_show_the_same_fingerprint_and_approval_lets_it_in(fleet: Fleet) -> None:
    system = fleet.system
    with system.new_agent("by-fingerprint") as agent:
        agent.start()
        waiting = agent.state("pending")
        [request] = [one for one in system.rest.items("/registrations") if one["did"] == agent.did]
        on_console = system.writ("agent", "fingerprint", "--data-dir", str(agent.folder))
        assert agent.fingerprint == waiting["fingerprint"]
        assert agent.fingerprint == request["fingerprint"] == on_console["fingerprint"]
        assert request["id"] == waiting["registrationId"]
        assert request["state"] == "pending"
        # Before it is approved it is no agent to the hub's clients: nothing can be ordered.
        assert system.submit(agent, "echo", {}).status == 404
        system.approve(agent, allow=["echo"])
        agent.state("online")
        assert system.run(agent, "echo", ok=True)["state"] == "succeeded"
        assert agent.stop() == 0


def test_a_request_outlives_both_processes_and_keeps_its_id(make_system: MakeSystem) -> None:
    system = make_system()
    agent = system.new_agent("patient")
    agent.start()
    first = agent.state("pending")
    agent.kill()
    system.hub.kill()
    system.hub.start()
    agent.start()
    again = agent.state("pending")
    assert again["registrationId"] == first["registrationId"]
    assert len(system.rest.items("/registrations")) == 1
    agent.kill()
    system.approve(agent, allow=["echo"])
    agent.start()
    agent.state("online")


def test_a_rejected_agent_is_told_why_and_never_gets_work(fleet: Fleet) -> None:
    system = fleet.system
    with system.new_agent("unwelcome") as agent:
        agent.start()
        request = agent.state("pending")["registrationId"]
        system.rest.post(f"/registrations/{request}/reject", {"reason": "not one of ours"})
        assert "not one of ours" in str(agent.state("refused"))
        body = {"realms": ["default"]}
        assert system.rest.send("POST", f"/registrations/{request}/approve", body).status == 409
        assert system.submit(agent, "echo", {}).status == 404


def test_an_agent_with_another_root_pinned_believes_no_word_of_the_hub(fleet: Fleet) -> None:
    system = fleet.system
    url = system.hub.url.replace("http", "ws", 1)
    with system.new_agent("other-root") as agent:
        agent.point("--hub", url, "--root", system.hub.made["operatorDid"])
        agent.start()
        assert "auth_failed" in agent.state("refused")["reason"]
        assert agent.did not in [one["did"] for one in system.rest.items("/registrations")]


def test_trust_on_first_use_is_asked_for_and_loud(fleet: Fleet) -> None:
    system = fleet.system
    url = system.hub.url.replace("http", "ws", 1)
    with system.new_agent("bold") as bold:
        bold.point("--hub", url, "--trust-first-hub")
        process = bold.start()
        assert bold.fingerprint is None
        said = process.wait_line(trustedFirstHub=...)
        assert said["root"] == system.hub.root
        bold.state("pending")
    words = ("--data-dir", str(system.folder / "shy"), "--name", "shy", "--hub", url)
    _, said_on_stderr = system.writ_said("agent", "run", *words, expect=1)
    assert "root" in said_on_stderr
