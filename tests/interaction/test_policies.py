"""Policies through a whole system: layers, signatures, hosts, limits, and what never loosens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System

OWN = """\
name: workers
rules:
  - id: no-secrets
    effect: deny
    actions: ["files.*"]
    when: params.path.startsWith("secrets")
  - id: work
    effect: allow
    actions: ["files.*", echo]
"""
FLEET = """\
rules:
  - {id: read-only, effect: deny, actions: [files.write]}
  - {id: base, effect: allow, actions: ["*"]}
"""


def write(system: System, name: str, text: str) -> str:
    path = system.folder / name
    path.write_text(text)
    return str(path)


def held_version(system: System, agent: Agent) -> int:
    """The version of the policy that the agent has said it took."""
    policy = system.rest.get(f"/agents/{agent.did}/policy")["policy"]
    return int(policy["version"])


def refused(system: System, agent: Agent, action: str, **params: Any) -> tuple[str, str | None]:
    ended = system.run(agent, action, **params)
    assert ended["state"] == "refused", ended
    return ended["result"]["error"]["code"], ended["result"]["decision"]["rule"]


def test_policies_from_files_narrow_explain_and_compare(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["*"])
    own, fleet = write(system, "own.yaml", OWN), write(system, "fleet.yaml", FLEET)

    applied = system.writ("--json", "policies", "apply", own, "--agent", "worker")
    assert (applied["layer"], applied["name"]) == ("agent", "workers")
    assert system.run(agent, "files.write", path="a", content="1")["state"] == "succeeded"
    assert refused(system, agent, "files.read", path="secrets/a") == ("policy_denied", "no-secrets")

    # What the fleet's policy would change is known before it is put in force.
    narrowed = OWN.replace('["files.*", echo]', "[files.read, echo]")
    diff = system.writ(
        "--json", "policies", "diff", write(system, "new.yaml", narrowed), "--agent", "worker"
    )
    assert (diff["orders"], diff["nowRefused"]) == (2, 1)
    assert diff["changes"][0]["action"] == "files.write"

    layer = system.writ("--json", "policies", "apply", fleet, "--fleet")
    assert (layer["layer"], layer["signed"]) == ("fleet", 1)
    intent = system.order(agent, "files.write", path="b", content="1")
    assert system.end(intent)["result"]["error"]["code"] == "policy_denied"
    explained = system.writ("--json", "policies", "explain", intent)
    assert (explained["rule"], explained["exactVersion"]) == ("fleet.read-only", True)
    assert explained["decided"]["rule"] == "fleet.read-only"
    shown, _ = system.writ_said("policies", "explain", "--agent", "worker", "--action", "echo")
    assert shown["rule"] == "fleet.base--work"
    done = system.run(agent, "echo", n=1)
    assert done["result"]["decision"]["rule"] == "fleet.base--work"

    # An order of before the fleet's policy is explained by the policy of then.
    early = diff["changes"][0]["intentId"]
    explained = system.writ("--json", "policies", "explain", early)
    assert (explained["effect"], explained["rule"], explained["policyVersion"]) == (
        "allow",
        "work",
        2,
    )


def test_a_broken_file_changes_nothing_anywhere(make_system: Callable[..., System]) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["echo"])
    before = system.rest.get(f"/agents/{agent.did}/policy")
    half = OWN[: OWN.index("startsWith")]
    for name, text in (
        ("half.yaml", half),
        ("wide.yaml", OWN.replace("effect: deny", "effect: no")),
    ):
        path = write(system, name, text)
        for target in (("--agent", "worker"), ("--fleet",), ("--realm", "default")):
            _, said = system.writ_said("policies", "apply", path, *target, expect=2)
            assert f"{name}:" in said
    assert system.rest.get(f"/agents/{agent.did}/policy") == before
    assert system.run(agent, "echo", n=1)["state"] == "succeeded"
    assert refused(system, agent, "files.list", path=".")[0] == "policy_denied"


def test_a_strict_agent_takes_its_policy_from_an_operators_key(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    system.agent("strict", "--require-operator-signature", allow=["*"])
    key = system.hub.made["operatorKeyFile"]
    own = write(system, "own.yaml", OWN)
    applied = system.writ("policies", "apply", own, "--agent", "strict", "--sign", key)
    assert applied["inForce"][0]["signer"] == system.hub.made["operatorDid"]

    def run(action: str, *params: str, expect: int = 0) -> dict[str, Any]:
        words = [word for one in params for word in ("-p", one)]
        ended = system.writ("run", "strict", action, *words, "--sign", key, expect=expect)
        return dict(ended["result"])

    assert run("echo", "n=1")["decision"]["rule"] == "work"
    # The hub can set a layer, but it cannot change what this agent holds: an operator signs again.
    layer = system.rest.post("/policies", {"fleet": True, "rules": [ALLOW_ECHO]})
    assert layer["waiting"] == ["strict"]
    assert run("files.list", "path=.")["status"] == "succeeded"
    system.writ("policies", "apply", own, "--agent", "strict", "--sign", key)
    assert run("files.list", "path=.", expect=4)["error"]["code"] == "policy_denied"
    assert run("echo", "n=2")["decision"]["rule"] == "fleet.only-echo--work"


ALLOW_ECHO = {"id": "only-echo", "effect": "allow", "actions": ["echo"]}


def test_a_layer_set_while_an_agent_is_away_is_there_before_its_next_order(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["*"])
    agent.kill()
    system.rest.post("/policies", {"realm": "default", "rules": [ALLOW_ECHO]})
    first = system.order(agent, "files.list", path=".")
    system.hub.kill()
    system.hub.start()
    agent.start()
    ended = system.end(first)
    assert ended["result"]["error"]["code"] == "policy_denied"
    assert system.run(agent, "echo", n=1)["state"] == "succeeded"


def test_an_hours_limit_counts_across_a_restart_and_says_so(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["echo"])
    echo = {"id": "echo", "effect": "allow", "actions": ["echo"]}
    system.set_policy(agent, [echo], ordersPerHour=3)
    for number in range(2):
        assert system.run(agent, "echo", n=number)["state"] == "succeeded"
    # A wider policy of the agent's own does not undo the fleet's lower limit.
    fleet = {"fleet": True, "rules": [echo], "limits": {"ordersPerHour": 3, "ordersPerDay": 100}}
    system.rest.post("/policies", fleet)
    system.set_policy(agent, [echo], ordersPerHour=50)
    agent.kill()
    agent.start()
    assert system.run(agent, "echo", n=3)["state"] == "succeeded"
    ended = system.run(agent, "echo", n=4)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "rate_limited")


def test_a_days_limit_counts_what_came_in_every_way(make_system: Callable[..., System]) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["echo"])
    echo = {"id": "echo", "effect": "allow", "actions": ["echo"]}
    system.set_policy(agent, [echo], ordersPerDay=2)
    assert system.run(agent, "echo", n=1)["state"] == "succeeded"
    key = system.hub.made["operatorKeyFile"]
    assert system.writ("run", "worker", "echo", "-p", "n=2", "--sign", key)["state"] == "succeeded"
    ended = system.run(agent, "echo", n=3)
    assert ended["result"]["error"]["code"] == "rate_limited"


def test_over_concurrent_an_order_waits_for_its_place(make_system: Callable[..., System]) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["shell.exec"])
    shell = {"id": "shell", "effect": "allow", "actions": ["shell.exec"]}
    system.set_policy(agent, [shell], concurrent=1)
    held = agent.workspace / "go"
    wait = {"argv": ["sh", "-c", "while [ ! -e go ]; do sleep 0.05; done; echo a >> order"]}
    first = system.order_with(agent, "shell.exec", wait)
    system.reaches(first, "running")
    second = system.order_with(agent, "shell.exec", {"argv": ["sh", "-c", "echo b >> order"]})
    system.reaches(second, "accepted")
    assert agent.lines("order") == []
    held.touch()
    assert system.end(second)["state"] == "succeeded"
    assert system.intent(first)["state"] == "succeeded"
    assert agent.lines("order") == ["a", "b"]


class _Web(BaseHTTPRequestHandler):
    to: str | None = None
    seen: list[str] = []

    def do_GET(self) -> None:
        self.seen.append(str(self.headers["Host"]))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", str(self.to))
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def web() -> Iterator[tuple[int, type[_Web]]]:
    handler = type("Web", (_Web,), {"seen": [], "to": None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port, handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_http_get_obeys_the_hosts_of_the_rule_after_redirects_too(
    make_system: Callable[..., System], tmp_path: Path
) -> None:
    system = make_system()
    config = tmp_path / "agent.toml"
    config.write_text('[executors]\nhttp_allow_private = ["127.0.0.0/8"]\n')
    with web() as (port, here), web() as (other_port, there):
        rules = [
            {
                "id": "web",
                "effect": "allow",
                "actions": ["http.get"],
                "domains": [f"localhost:{port}", f"127.0.0.1:{other_port}"],
            }
        ]
        agent = system.agent("web", "--config", str(config), policy={"rules": rules})
        url = f"http://localhost:{port}"
        assert system.run(agent, "http.get", url=f"{url}/")["result"]["output"]["status"] == 200

        here.to = f"http://127.0.0.1:{other_port}/"
        followed = system.run(agent, "http.get", url=f"{url}/away")
        assert followed["result"]["output"]["body"] == "here"
        assert there.seen == [f"127.0.0.1:{other_port}"]

        # The fleet leaves one of the two hosts: the redirect ends there, before a byte is sent.
        narrow = {"id": "net", "effect": "allow", "actions": ["*"], "domains": ["localhost"]}
        system.rest.post("/policies", {"fleet": True, "rules": [narrow]})
        stopped = system.run(agent, "http.get", url=f"{url}/away")
        assert stopped["state"] == "failed"
        assert stopped["result"]["error"]["code"] == "domain_not_allowed"
        assert stopped["result"]["decision"]["rule"] == "fleet.net--web"
        assert len(there.seen) == 1
        assert system.run(agent, "http.get", url=f"{url}/")["state"] == "succeeded"


def test_every_version_is_acknowledged_and_in_the_record(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker", allow=["echo"])
    system.rest.post("/policies", {"fleet": True, "rules": [ALLOW_ECHO]})
    version = held_version(system, agent)
    assert version == 2
    assert system.run(agent, "echo")["result"]["decision"]["policyVersion"] == version
    document = system.rest.get(f"/agents/{agent.did}/policy")["policy"]["documentId"]

    def acknowledged() -> bool:
        leaves = system.rest.items("/audit")
        found = {(one["kind"], one["subject"]) for one in leaves}
        return {
            ("policy.layer_set", "fleet"),
            ("policy.signed", agent.did),
            ("document.accepted", document),
        } <= found

    wait_until(acknowledged, "the record to show the policy")
    assert json.loads(system.rest.get(f"/agents/{agent.did}/policy")["policy"]["document"])
