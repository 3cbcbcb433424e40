"""New keys for hub, root and agent, with real processes: nothing is lost, nobody is touched."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.key_files import parse_private_key_pem
from tests.interaction.processes import COMMAND, environment, wait_until
from tests.interaction.system import System

MakeSystem = Callable[..., System]
PERSON = "user:0198f000-0000-4000-8000-000000000002"


def code_of(ended: dict[str, object]) -> str:
    result = ended["result"]
    assert isinstance(result, dict)
    return str(result["error"]["code"])


def rotate_hub(system: System) -> dict[str, str]:
    """Stop the hub, change its key, start it; every agent is left alone."""
    system.hub.stop()
    root = str(system.hub.folder / "keys" / "root.pem")
    folder = ("--data-dir", str(system.hub.folder))
    changed: dict[str, str] = system.writ("hub", "rotate-key", "--root-key", root, *folder)
    system.hub.start()
    return changed


def test_a_hub_gets_another_key_and_no_agent_is_touched(make_system: MakeSystem) -> None:
    system = make_system()
    here, away = system.agent("here"), system.agent("away")
    system.writ("delegations", "issue", PERSON, "--action", "echo")
    assert system.run(away, "echo", n=0)["state"] == "succeeded"
    away.kill()
    waiting = system.order(away, "echo", n=1)  # signed by the key that will be gone
    running = system.order(here, "shell.exec", argv=["sleep", "4"])  # its result names that key
    system.reaches(running, "running")
    said = here.said
    old = system.hub.key("hub")
    changed = rotate_hub(system)
    assert changed["before"] == old.public_key.did
    assert changed["hubDid"] == system.hub.key("hub").public_key.did != changed["before"]
    here.state("online", after=said)
    assert system.end(running)["state"] == "succeeded"
    away.start()
    away.state("online")
    assert system.end(waiting)["state"] == "succeeded"
    for agent in (here, away):
        ended = system.run(agent, "echo", n=2)
        assert ended["state"] == "succeeded"
        assert json.loads(ended["documents"]["intent"])["publicKey"] in changed["hubDid"]
    # What the old key lent goes on counting, for those who held it and for a newcomer.
    newcomer = system.agent("newcomer")
    for agent in (here, newcomer):
        lent = system.end(system.order_with(agent, "echo", {}, onBehalfOf=PERSON))
        assert lent["state"] == "succeeded"

    # The old key turns up elsewhere: the root takes it away, and with it what it signs.
    stale = system.seal(
        "intent",
        here.did,
        {"action": "echo", "params": {}, "realm": "default", "timeoutSeconds": 60},
        signer=old,
        key="hub",
    )
    root = str(system.hub.folder / "keys" / "root.pem")
    system.writ("delegations", "revocations", "--revoke-key", changed["before"], "--sign", root)
    batch = system.rest.post("/intents/signed", {"document": stale.wire.decode()})
    assert code_of(system.end(batch["intents"][0]["id"])) == "revoked"
    last = system.agent("last")
    for agent in (here, last):
        lent = system.end(system.order_with(agent, "echo", {}, onBehalfOf=PERSON))
        assert lent["state"] == "succeeded", agent.name


def test_a_root_makes_way_for_another_that_it_has_named(
    make_system: MakeSystem, tmp_path: Path
) -> None:
    system = make_system()
    here, away = system.agent("here"), system.agent("away")
    operator = system.hub.made["operatorKeyFile"]
    system.writ("delegations", "issue", PERSON, "--action", "echo")
    scheduler = str(tmp_path / "scheduler.pem")
    did = system.writ("keys", "new", scheduler)["did"]
    lent = system.writ("delegations", "issue", did, "--action", "echo", "--sign", operator)
    assert system.writ("run", "here", "echo", "--sign", scheduler)["state"] == "succeeded"
    away.kill()
    old_root = system.hub.key("root")
    new_file = tmp_path / "new-root.pem"
    new_root = system.writ("keys", "new", str(new_file))["did"]
    system.hub.stop()
    said = here.said
    changed = system.writ(
        *("hub", "rotate-root", "--data-dir", str(system.hub.folder)),
        *("--root-key", str(system.hub.folder / "keys" / "root.pem")),
        *("--new-root-key", str(new_file)),
    )
    assert (changed["rootDid"], changed["before"]) == (new_root, old_root.public_key.did)
    assert [one["id"] for one in changed["renew"]] == [lent["id"]]
    system.hub.start()
    online = here.state("online", after=said)
    assert (here.folder / "root.did").read_text().strip() == new_root
    assert system.run(here, "echo", n=1)["state"] == "succeeded"
    # The fingerprint is of root and agent, so it is another one, and everywhere the same.
    shown = system.writ("agents", "show", "here")["fingerprint"]
    assert online["fingerprint"] == shown != here.fingerprint

    # One that dies between pinning the new root and using it, and is still told of the old one.
    away.start(fault="rotation_root_pinned")
    assert away.process is not None
    assert away.process.ended() == -signal.SIGKILL
    away.start()
    away.state("online")
    assert system.run(away, "echo", n=2)["state"] == "succeeded"

    assert system.writ("run", "here", "echo", "--sign", operator)["state"] == "succeeded"
    grant = system.end(system.order_with(here, "echo", {}, onBehalfOf=PERSON))
    assert grant["state"] == "succeeded"
    # What an operator passed on hung on the old chain, until they sign it again.
    system.writ("run", "here", "echo", "--sign", scheduler, expect=4)
    system.writ("delegations", "issue", did, "--action", "echo", "--sign", operator)
    assert system.writ("run", "here", "echo", "--sign", scheduler)["state"] == "succeeded"

    # The old root's own word counts for nothing any more.
    order = system.seal(
        "intent",
        here.did,
        {"action": "echo", "params": {}, "realm": "default", "timeoutSeconds": 60},
        signer=old_root,
        key="root",
    )
    batch = system.rest.post("/intents/signed", {"document": order.wire.decode()})
    assert system.end(batch["intents"][0]["id"])["state"] == "refused"
    # An agent that was given the old root, by a join token of yesterday, follows it as well.
    late = system.agent("late")
    assert (late.folder / "root.did").read_text().strip() == new_root
    assert system.run(late, "echo", n=3)["state"] == "succeeded"


@pytest.mark.parametrize("point", ["rotation_prepared", "rotation_sent", "rotation_acked"])
def test_an_agent_moves_to_a_new_key_and_a_kill_anywhere_costs_nothing(
    make_system: MakeSystem, point: str
) -> None:
    system = make_system()
    agent = system.agent("mover")
    before = agent.did
    agent.stop()
    url = system.hub.url.replace("http", "ws", 1)
    words = ("agent", "rotate-key", "--data-dir", str(agent.folder), "--hub", url)
    killed = subprocess.run(
        [*COMMAND, *words], env=environment(WRIT_FAULT=point), check=False, timeout=60
    )
    assert killed.returncode == -signal.SIGKILL
    agent.start()
    one_key = agent.folder / "key.next.pem"
    wait_until(lambda: not one_key.exists(), "one key to be left", seconds=60)

    def shown() -> dict[str, object] | None:
        found: dict[str, object] = system.rest.get("/agents/mover")
        return found if found["online"] and found["did"] != before else None

    known = wait_until(shown, "the agent to be online with its new key")
    own = parse_private_key_pem((agent.folder / "key.pem").read_bytes()).public_key.did
    assert own == known["did"]
    assert (
        known["fingerprint"] == system.writ(*words[:1], "fingerprint", *words[2:4])["fingerprint"]
    )
    agent.did = own
    assert system.run(agent, "echo", n=1)["state"] == "succeeded"
    assert [one["name"] for one in system.rest.items("/agents")] == ["mover"]
