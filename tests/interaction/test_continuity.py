"""SPEC sections 4 and 8 on whole systems: away, back, drained, shut out, held still."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from agentd.state.facts import CHECKPOINT, get_fact
from protocol.checkpoint import parse_checkpoint
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from tests.interaction.fixtures import Fleet
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System

MakeSystem = Callable[..., System]


def append(agent: Agent, text: str) -> dict[str, object]:
    return {"path": "witness", "content": f"{text}\n", "append": True}


def presence(system: System, agent: Agent) -> str:
    return str(system.rest.get(f"/agents/{agent.did}")["status"])


def test_orders_for_an_agent_that_is_away_wait_and_are_done_once_in_order(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("traveller", allow=["files.*"]) as agent:
        agent.kill()
        wait_until(lambda: presence(system, agent) == "offline", "the hub to notice")
        ids = [
            system.order_with(agent, "files.write", append(agent, str(number)))
            for number in range(5)
        ]
        assert {system.intent(one)["state"] for one in ids} == {"queued"}
        agent.start()
        assert [system.end(one)["state"] for one in ids] == ["succeeded"] * 5
        assert sorted(agent.lines("witness")) == [str(number) for number in range(5)]


def test_an_order_nobody_fetched_in_time_is_expired_and_never_done(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("late", allow=["files.*"]) as agent:
        agent.kill()
        wait_until(lambda: presence(system, agent) == "offline", "the hub to notice")
        intent = system.order_with(agent, "files.write", append(agent, "late"), expiresInSeconds=1)
        assert system.end(intent)["state"] == "expired"
        agent.start()
        agent.state("online")
        other = system.order_with(agent, "files.write", append(agent, "in time"))
        assert system.end(other)["state"] == "succeeded"
        assert agent.lines("witness") == ["in time"]


def test_a_queued_order_is_cancelled_at_once_and_never_done(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("cancelled", allow=["files.*"]) as agent:
        agent.kill()
        wait_until(lambda: presence(system, agent) == "offline", "the hub to notice")
        intent = system.order_with(agent, "files.write", append(agent, "never"))
        asked = system.rest.post(f"/intents/{intent}/cancel", {"reason": "no longer needed"})
        assert asked["state"] == "cancelled"
        agent.start()
        agent.state("online")
        other = system.order_with(agent, "files.write", append(agent, "after"))
        assert system.end(other)["state"] == "succeeded"
        assert agent.lines("witness") == ["after"]


def test_an_agent_put_back_to_a_backup_is_not_given_a_done_order_again(fleet: Fleet) -> None:
    """The agent has forgotten the order; the hub has not, and its record says that it ended."""
    system = fleet.system
    with system.agent("restored", allow=["files.*"]) as agent:
        agent.kill()
        backup = agent.folder.with_name("restored-backup")
        shutil.copytree(agent.folder, backup)
        agent.start()
        done = system.order_with(agent, "files.write", append(agent, "once"))
        first = system.end(done)
        assert first["state"] == "succeeded"
        agent.kill()
        shutil.rmtree(agent.folder)
        shutil.copytree(backup, agent.folder)
        agent.start()
        agent.state("online")
        other = system.order_with(agent, "files.write", append(agent, "after"))
        assert system.end(other)["state"] == "succeeded"
        assert agent.lines("witness") == ["once", "after"]
        assert system.intent(done)["documents"] == first["documents"]


def test_a_hub_that_stops_drains_and_its_agents_come_back_by_themselves(
    make_system: MakeSystem,
) -> None:
    system = make_system(WRIT_DRAIN_RETRY_AFTER_SECONDS="1")
    agent = system.agent("faithful", allow=["echo", "shell.exec"])
    running = system.order(agent, "shell.exec", argv=["sleep", "2"])
    system.reaches(running, "running")
    said = agent.said
    assert system.hub.stop() == 0
    offline = agent.state("offline", after=said)
    assert "4503" in offline["reason"] or "drain" in offline["reason"]
    assert offline["retryInSeconds"] >= 1.0
    system.hub.start()
    agent.state("online", after=said)
    # The work went on meanwhile; its result waited on the agent's disk.
    assert system.end(running)["state"] == "succeeded"
    assert system.run(agent, "echo", again=True)["state"] == "succeeded"


def test_a_hub_killed_in_mid_order_loses_nothing(make_system: MakeSystem) -> None:
    system = make_system()
    agent = system.agent("steady", allow=["shell.exec", "files.*"])
    slow = system.order(agent, "shell.exec", argv=["sh", "-c", "sleep 1; echo done >> slow"])
    system.reaches(slow, "accepted", "running")
    system.hub.kill()
    system.hub.start()
    assert system.end(slow)["state"] == "succeeded"
    assert agent.lines("slow") == ["done"]


def test_a_revoked_agent_is_shut_out_for_good_and_its_orders_end(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("revoked", allow=["echo"]) as agent:
        agent.kill()
        wait_until(lambda: presence(system, agent) == "offline", "the hub to notice")
        waiting = system.order(agent, "echo")
        system.rest.post(f"/agents/{agent.did}/revoke", {"reason": "stolen"})
        assert system.end(waiting)["state"] == "cancelled"
        assert system.submit(agent, "echo", {}).status == 409
        agent.start()
        assert "4403" in agent.state("refused")["reason"]


def test_a_revoked_agent_that_is_online_is_thrown_out(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("thrown-out", allow=["echo"]) as agent:
        said = agent.said
        system.rest.post(f"/agents/{agent.did}/revoke", {})
        assert "4403" in agent.state("refused", after=said)["reason"]
        assert presence(system, agent) == "revoked"


def test_quarantine_refuses_all_work_until_an_operator_releases(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("suspect", allow=["echo"]) as agent:
        system.rest.post(f"/agents/{agent.did}/quarantine", {"reason": "odd traffic"})
        ended = system.run(agent, "echo")
        assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "quarantined")
        # It outlives the process.
        agent.kill()
        agent.start()
        assert system.run(agent, "echo")["result"]["error"]["code"] == "quarantined"
        # The hub's own key lifts nothing.
        lift = {"epoch": 10, "active": False, "reason": "fine"}
        path = f"/agents/{agent.did}/release"
        by_hub = system.seal("quarantine", agent.did, lift, key="hub")
        answer = system.rest.send("POST", path, {"document": by_hub.wire.decode()})
        assert answer.status in (403, 422), answer
        assert system.run(agent, "echo")["result"]["error"]["code"] == "quarantined"
        # Nor does what only the agent can judge and finds false; it is shown stopped, with why.
        doubtful = SigningKey.from_seed(b"doubtful".ljust(32))
        link = system.seal(
            "delegation", "*", lent_while(doubtful, 'params.reason == "true"'), key="root"
        )
        system.rest.post("/delegations/signed", {"document": link.wire.decode()})
        lift = {"epoch": 11, "active": False, "reason": "fine", "proof": [link.id]}
        by_doubtful = system.seal("quarantine", agent.did, lift, key="", signer=doubtful)
        system.rest.post(path, {"document": by_doubtful.wire.decode()})
        told = wait_until(lambda: refusal_of(system, agent), "its word on the release")
        assert told == ("quarantined", "not_authorised")
        lift = {"epoch": 12, "active": False, "reason": "fine"}
        by_operator = system.seal("quarantine", agent.did, lift)
        system.rest.post(path, {"document": by_operator.wire.decode()})
        assert system.run(agent, "echo")["state"] == "succeeded"


def test_a_hub_put_back_to_a_backup_is_told_by_its_agents_that_its_record_has_forked(
    make_system: MakeSystem,
) -> None:
    system = make_system(WRIT_HEARTBEAT_SECONDS="1", WRIT_DRAIN_RETRY_AFTER_SECONDS="1")
    agent = system.agent("witness", allow=["echo"])
    system.hub.stop()
    backup = system.hub.folder.with_name("backup")
    shutil.copytree(system.hub.folder, backup)
    system.hub.start()
    assert system.run(agent, "echo")["state"] == "succeeded"
    size = parse_checkpoint(system.rest.get("/audit/checkpoint")["checkpoint"]).size
    wait_until(lambda: seen_by(agent) >= size, "the agent to see what is lost later")
    system.hub.stop()
    shutil.rmtree(system.hub.folder)
    shutil.copytree(backup, system.hub.folder)
    said = agent.said
    system.hub.start()
    agent.says(quarantined="log_fork", after=said)
    shown = wait_until(lambda: stopped(system, agent), "the hub to show it as stopped")
    assert shown["reason"].startswith("it has seen two versions of this hub's record: ")
    assert (shown["by"], shown["answer"]) == (agent.did, "accepted")
    assert system.run(agent, "echo")["result"]["error"]["code"] == "quarantined"
    # It says so on every connection. A release that waits for it is not undone by that.
    agent.kill()
    wait_until(lambda: not system.rest.get(f"/agents/{agent.did}")["online"], "it to go")
    lift = {"epoch": shown["epoch"] + 1, "active": False, "reason": "we know why"}
    release = system.seal("quarantine", agent.did, lift).wire.decode()
    system.rest.post(f"/agents/{agent.did}/release", {"document": release})
    agent.start()
    assert system.run(agent, "echo")["state"] == "succeeded"
    assert system.rest.get(f"/agents/{agent.did}")["state"] == "active"


def seen_by(agent: Agent) -> int:
    with closing(sqlite3.connect(f"file:{agent.folder / 'state.db'}?mode=ro", uri=True)) as state:
        text = get_fact(state, CHECKPOINT)
    return 0 if text is None else parse_checkpoint(text).size


def stopped(system: System, agent: Agent) -> dict[str, Any] | None:
    shown = system.rest.get(f"/agents/{agent.did}")
    told = shown["quarantine"]
    return told if shown["state"] == "quarantined" and told["answer"] is not None else None


def refusal_of(system: System, agent: Agent) -> tuple[str, str] | None:
    shown = system.rest.get(f"/agents/{agent.did}")
    told = shown["quarantine"]
    return (shown["state"], told["code"]) if told["answer"] == "refused" else None


def lent_while(key: SigningKey, condition: str) -> dict[str, Any]:
    return {
        "subject": key.public_key.did,
        "capabilities": [{"action": "writ.quarantine"}],
        "conditions": [condition],
        "notBefore": format_timestamp(datetime.now(UTC) - timedelta(minutes=1)),
        "maxDepth": 0,
        "parent": None,
    }


def test_a_second_process_with_the_same_folder_is_refused(fleet: Fleet) -> None:
    system = fleet.system
    url = system.hub.url.replace("http", "ws", 1)
    system.writ(
        *("agent", "run", "--hub", url, "--root", system.hub.root),
        *("--data-dir", str(fleet.worker.folder)),
        expect=5,
    )
