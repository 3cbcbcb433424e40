"""Authority lent, passed on and taken back, with real processes (PROTOCOL sections 6 and 7)."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from protocol.key_files import parse_private_key_pem
from protocol.keys import SigningKey
from tests.interaction.fixtures import Fleet
from tests.interaction.processes import COMMAND, environment
from tests.interaction.system import Agent, System

GENEROUS_SECONDS = 10.0
"""No measurement: a bound that only something broken exceeds. What was measured is printed."""


def new_key(system: System, path: Path) -> tuple[str, SigningKey]:
    """Make a key file by the command line; return its DID and the key."""
    made = system.writ("keys", "new", str(path))
    return made["did"], parse_private_key_pem(path.read_bytes())


def order_by(
    system: System, agent: Agent, key: Path, action: str, *params: str, expect: int = 0
) -> dict[str, Any]:
    words = ["run", agent.name, action, "--sign", str(key)]
    for one in params:
        words += ["-p", one]
    ended: dict[str, Any] = system.writ(*words, expect=expect)
    return ended


def code_of(ended: dict[str, Any]) -> str:
    return str(ended["result"]["error"]["code"])


def test_an_operator_lends_to_a_scheduler_until_it_is_taken_back(
    fleet: Fleet, tmp_path: Path
) -> None:
    system, operator = fleet.system, fleet.system.hub.made["operatorKeyFile"]
    file = tmp_path / "scheduler.pem"
    scheduler, _ = new_key(system, file)
    lent = system.writ(
        *("delegations", "issue", scheduler, "--action", "echo", "--realm", "default"),
        *("--agent", "helper", "--condition", "params.n < 10", "--expires-in", "1h"),
        *("--budget", "ordersPerHour=50", "--sign", operator),
    )
    assert lent["issuer"] == system.hub.made["operatorDid"]
    assert lent["capabilities"] == [
        {"action": "echo", "realms": ["default"], "agents": [fleet.helper.did]}
    ]
    done = order_by(system, fleet.helper, file, "echo", "n=1")
    assert done["state"] == "succeeded"
    assert system.intent(done["id"])["signer"] == scheduler

    # The agent holds it on disk: after a restart the same chain still counts.
    fleet.helper.kill()
    fleet.helper.start()
    fleet.helper.state("online")
    assert order_by(system, fleet.helper, file, "echo", "n=2")["state"] == "succeeded"

    beyond = order_by(system, fleet.helper, file, "files.read", "path=a", expect=4)
    assert code_of(system.intent(beyond["id"])) == "not_granted"
    false = order_by(system, fleet.helper, file, "echo", "n=11", expect=4)
    assert code_of(system.intent(false["id"])) == "condition_false"
    elsewhere = order_by(system, fleet.worker, file, "echo", "n=1", expect=4)
    assert code_of(system.intent(elsewhere["id"])) == "not_granted"

    order = system.seal(
        "intent",
        fleet.helper.did,
        {
            "action": "echo",
            "params": {"n": 3},
            "realm": "default",
            "timeoutSeconds": 60,
            "proof": [*system.operator_proof(), lent["id"]],
        },
        signer=parse_private_key_pem(file.read_bytes()),
    )
    began = time.monotonic()
    system.rest.post(f"/delegations/{lent['id']}/revoke", {"reason": "over"})
    batch = system.rest.post("/intents/signed", {"document": order.wire.decode()})
    ended = system.end(batch["intents"][0]["id"])
    took = time.monotonic() - began
    print(f"revoked, and the next order refused, in {took * 1000:.0f} ms")
    assert code_of(ended) == "revoked"
    assert took < GENEROUS_SECONDS


def test_what_is_revoked_meanwhile_counts_before_the_first_order_of_one_who_returns(
    fleet: Fleet, tmp_path: Path
) -> None:
    system = fleet.system
    file = tmp_path / "once.pem"
    did, key = new_key(system, file)
    lent = system.writ(
        *("delegations", "issue", did, "--action", "echo"),
        *("--sign", system.hub.made["operatorKeyFile"]),
    )
    assert order_by(system, fleet.helper, file, "echo", "n=1")["state"] == "succeeded"
    fleet.helper.kill()
    order = system.seal(
        "intent",
        fleet.helper.did,
        {
            "action": "echo",
            "params": {},
            "realm": "default",
            "timeoutSeconds": 60,
            "proof": [*system.operator_proof(), lent["id"]],
        },
        signer=key,
    )
    batch = system.rest.post("/intents/signed", {"document": order.wire.decode()})
    system.writ("delegations", "revoke", lent["id"], "--reason", "while it was away")
    fleet.helper.start()
    fleet.helper.state("online")
    assert code_of(system.end(batch["intents"][0]["id"])) == "revoked"


def test_a_delegation_signed_where_no_hub_is_reaches_the_agents_by_post(
    fleet: Fleet, tmp_path: Path
) -> None:
    system = fleet.system
    root = str(system.hub.folder / "keys" / "root.pem")
    second, _ = new_key(system, tmp_path / "second.pem")
    offline = environment(WRIT_CONFIG_DIR=str(tmp_path))
    words = ("delegations", "issue", second, "--action", "files.*", "--action", "echo")
    out = ("--max-depth", "1", "--sign", root, "--out", str(tmp_path / "lent.json"))
    # No URL and no key: nothing is asked of a hub.
    subprocess.run([*COMMAND, *words, *out], env=offline, check=True, timeout=60)
    posted = system.writ("delegations", "post", str(tmp_path / "lent.json"))
    assert posted["issuer"] == system.hub.root
    third = new_key(system, tmp_path / "third.pem")[0]
    system.writ(
        *("delegations", "issue", third, "--action", "echo"),
        *("--sign", str(tmp_path / "second.pem")),
    )
    done = order_by(system, fleet.helper, tmp_path / "third.pem", "echo", "n=1")
    assert done["state"] == "succeeded"

    # What would be wider than its parent is refused where its author still reads the answer.
    wider = system.writ_said(
        *("delegations", "issue", third, "--action", "shell.exec"),
        *("--sign", str(tmp_path / "second.pem")),
        expect=2,
    )
    assert "not_attenuated" in wider[1]

    tree = subprocess.run(
        [*COMMAND[:-1], "delegations", "show", third],
        env=environment(
            WRIT_URL=system.hub.url,
            WRIT_API_KEY=system.hub.made["apiKey"],
            WRIT_CONFIG_DIR=str(tmp_path),
        ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.splitlines()
    assert tree[0].startswith("root  did:key:")
    assert all(len(line) <= 80 for line in tree)
    found = [at for at, line in enumerate(tree) if second in line or third in line]
    assert len(found) == 2
    assert tree[found[0]].index("did:") < tree[found[1]].index("did:")


def test_what_was_renewed_holds_and_only_the_root_takes_a_revocation_back(fleet: Fleet) -> None:
    system = fleet.system
    operator = system.hub.made["operatorKeyFile"]
    person = "user:0198f000-0000-4000-8000-000000000001"
    lent = system.writ("delegations", "issue", person, "--action", "echo", "--expires-in", "1h")
    again = system.writ("delegations", "renew", lent["id"], "--expires-in", "2h")
    assert again["id"] != lent["id"]
    assert again["expiresAt"] > lent["expiresAt"]
    system.writ("delegations", "revoke", lent["id"])
    ended = system.end(system.order_with(fleet.helper, "echo", {}, onBehalfOf=person))
    assert ended["state"] == "succeeded"
    taken = system.writ("delegations", "revoke", again["id"], "--sign", operator)
    assert taken["revoked"] is True
    refused = system.submit(fleet.helper, "echo", {}, onBehalfOf=person)
    assert (refused.status, refused.code) == (403, "person_not_granted")
    words = ("delegations", "revocations", "--restore", again["id"])
    _, said = system.writ_said(*words, "--sign", operator, expect=4)
    assert "root" in said
    root = str(system.hub.folder / "keys" / "root.pem")
    assert again["id"] not in system.writ(*words, "--sign", root)["delegations"]
    ended = system.end(system.order_with(fleet.helper, "echo", {}, onBehalfOf=person))
    assert ended["state"] == "succeeded"


@pytest.mark.parametrize("how", [["stopper"], ["--realm", "stop"], ["--all"]])
def test_one_command_stops_the_tools_and_the_hub_alone_cannot_undo_it(
    make_system: Any, how: list[str]
) -> None:
    system: System = make_system()
    system.rest.post("/realms", {"id": "stop"})
    agent = system.agent("stopper", realms=["stop"])
    running = system.order_with(agent, "shell.exec", {"argv": ["sleep", "60"]}, realm="stop")
    system.reaches(running, "running")
    began = time.monotonic()
    body = {"reason": "stop"} if how == ["stopper"] else {"reason": "stop", "all": how == ["--all"]}
    if how[0] == "--realm":
        body["realm"] = "stop"
    where = f"/agents/{agent.did}/quarantine" if how == ["stopper"] else "/agents/quarantine"
    system.rest.post(where, body)
    ended = system.end(running)
    took = time.monotonic() - began
    print(f"quarantine {' '.join(how)}: running tool ended and reported in {took * 1000:.0f} ms")
    assert (ended["state"], code_of(ended)) == ("interrupted", "quarantined")
    assert took < GENEROUS_SECONDS

    agent.kill()
    agent.start()
    agent.state("online")
    again = system.end(system.order_with(agent, "echo", {}, realm="stop"))
    assert code_of(again) == "quarantined"

    lift = {"epoch": 9, "active": False, "reason": "the hub says so"}
    document = {"document": system.seal("quarantine", agent.did, lift, key="hub").wire.decode()}
    forged = system.rest.send("POST", f"/agents/{agent.did}/release", document)
    assert (forged.status, forged.code) == (422, "invalid_field")
    system.writ("agents", "release", *how, expect=4)
    key = system.hub.made["operatorKeyFile"]
    system.writ("agents", "release", *how, "--sign", key)
    free = system.end(system.order_with(agent, "echo", {}, realm="stop"))
    assert free["state"] == "succeeded"


def test_a_quarantine_overtakes_the_orders_that_waited_for_the_agent(make_system: Any) -> None:
    system: System = make_system()
    agent = system.agent("away")
    agent.kill()
    path = {"path": "done", "content": "x\n", "append": True}
    waiting = [system.order_with(agent, "files.write", path) for _ in range(5)]
    system.writ("agents", "quarantine", "away", "--reason", "found at a trade fair")
    agent.start()
    codes = {code_of(system.end(one)) for one in waiting}
    assert codes == {"quarantined"}
    assert agent.lines("done") == []


def test_console_command_line_and_registration_show_one_fingerprint(make_system: Any) -> None:
    system: System = make_system()
    agent = system.new_agent("shown")
    agent.start()
    said = agent.state("pending")["fingerprint"]
    listed = system.writ("registrations", "list")["items"]
    system.approve(agent)
    agent.state("online")
    shown = system.writ("agents", "show", "shown")["fingerprint"]
    own = system.writ("agent", "fingerprint", "--data-dir", str(agent.folder))
    assert {said, listed[0]["fingerprint"], shown, json.loads(json.dumps(own))["fingerprint"]} == {
        agent.fingerprint
    }
