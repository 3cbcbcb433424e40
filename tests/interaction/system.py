"""A whole system for tests: a real hub process, real agent processes, a client, temp folders.

    with System(folder) as system:
        agent = system.agent("worker", allow=["files.*"])
        intent = system.order(agent, "files.write", path="a", content="b")
        assert system.end(intent)["state"] == "succeeded"

Everything listens on 127.0.0.1 and a free port; leaving the block ends every process it started,
by its id. `hub.kill()`, `agent.kill()` and `start(fault=...)` are for tests of what survives.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.key_files import parse_private_key_pem
from protocol.keys import SigningKey
from tests.interaction.processes import WritProcess, environment, run_writ, wait_until
from tests.interaction.rest import Answer, Rest
from tests.servers.sqlite import lay_schema_of_new

TERMINAL = frozenset(
    {"succeeded", "failed", "refused", "cancelled", "timed_out", "interrupted", "expired"}
)
OWNER_PASSWORD = "correct horse battery"
_FRESH_SECONDS = 300.0  # half of what the hub takes for lately
LIVE: list[System] = []
"""Systems that are up now; a failing test shows their logs."""


class Hub:
    """One hub: its folder outlives its processes, and it comes back on the same port."""

    def __init__(self, folder: Path, *, database_url: str | None = None, **env: str) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self._database = ["--database-url", database_url] if database_url else []
        usual = {
            "WRIT_SHUTDOWN_SECONDS": "2",
            "WRIT_INTENT_RESEND_SECONDS": "1",
            "WRIT_LOG_LEVEL": "info",
        }
        self._env = environment(**{**usual, **env})
        self._port = 0
        self.process: WritProcess | None = None
        self.url = ""
        if database_url is None:
            lay_schema_of_new(folder)
        made, _ = run_writ(
            *("hub", "init", "--data-dir", str(folder), *self._database), env=self._env
        )
        self.made: dict[str, Any] = made

    @property
    def root(self) -> str:
        """DID of the root."""
        return str(self.made["rootDid"])

    @property
    def did(self) -> str:
        """DID of the hub."""
        return str(self.made["hubDid"])

    def start(
        self, *, fault: str | None = None, port: int | None = None, **env: str
    ) -> WritProcess:
        """Serve; afterwards requests are answered at `url`, the same one as before.

        `port` is for who had to know the address first, such as a provider to come back from.
        """
        assert self.process is None or not self.process.running
        self._port = self._port if port is None else port
        words = ["hub", "run", "--data-dir", str(self.folder), "--port", str(self._port)]
        armed = {"WRIT_FAULT": fault} if fault else {}
        self.process = WritProcess(
            "hub", words + self._database, log=self.log, env={**self._env, **armed, **env}
        )
        self.url = str(self.process.wait_line(ready=True, seconds=90)["url"])
        self._port = urlsplit(self.url).port or 0
        return self.process

    def stop(self) -> int:
        """End it politely: agents are drained; return the exit code."""
        return self._running().stop()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._running().kill()

    def key(self, name: str) -> SigningKey:
        """Return one of its key files: `root`, `hub`, `log` or `operator`."""
        return parse_private_key_pem((self.folder / "keys" / f"{name}.pem").read_bytes())

    def _running(self) -> WritProcess:
        assert self.process is not None
        return self.process


class Agent:
    """One agent: its folder, with its key and state, outlives its processes."""

    def __init__(self, folder: Path, name: str, arguments: Sequence[str], **env: str) -> None:
        self.folder = folder
        self.name = name
        self.log = folder.with_suffix(".log")
        self.workspace = folder.parent / f"{folder.name}-workspace"
        self._arguments = list(arguments)
        self._env = environment(
            WRIT_AGENT_RECONNECT_MAX_SECONDS="0.6",
            WRIT_AGENT_RESULT_RESEND_SECONDS="1",
            WRIT_AGENT_LOG_LEVEL="debug",
            WRIT_AGENT_HEALTH_PORT="-1",
            **env,
        )
        self.process: WritProcess | None = None
        self.did = ""
        self.fingerprint: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process is not None and self.process.running:
            self.process.kill()

    def start(self, *, fault: str | None = None, **env: str) -> WritProcess:
        """Run it; afterwards its DID and fingerprint are known. It may not be online yet."""
        assert self.process is None or not self.process.running
        words = ["agent", "run", "--data-dir", str(self.folder), "--name", self.name]
        words += ["--workspace", str(self.workspace), *self._arguments]
        armed = {"WRIT_FAULT": fault} if fault else {}
        self.process = WritProcess(
            self.name, words, log=self.log, env={**self._env, **armed, **env}
        )
        said = self.process.wait_line(agentDid=...)
        self.did, self.fingerprint = said["agentDid"], said["fingerprint"]
        return self.process

    def state(self, name: str, *, after: int = 0, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until it says it is `connecting`, `pending`, `online`, `offline` or `refused`."""
        return self._running().wait_line(state=name, after=after, seconds=seconds)

    def says(self, *, after: int = 0, seconds: float = 30.0, **fields: Any) -> dict[str, Any]:
        """Wait until it says a line with these fields."""
        return self._running().wait_line(after=after, seconds=seconds, **fields)

    def point(self, *arguments: str) -> None:
        """Replace the arguments of its next start: `--hub`, `--root`, `--join` and the like."""
        self._arguments = list(arguments)

    @property
    def said(self) -> int:
        """How many lines it has said: hand it to `state` to wait for a new one."""
        return len(self._running().lines)

    def stop(self) -> int:
        """End it politely; return the exit code."""
        return self._running().stop()

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._running().kill()

    def lines(self, path: str) -> list[str]:
        """Return the lines of a file in its workspace; none when there is no file."""
        file = self.workspace / path
        return file.read_text().splitlines() if file.exists() else []

    def _running(self) -> WritProcess:
        assert self.process is not None
        return self.process


class System:
    """A hub with its agents. Leaving the block ends them all."""

    def __init__(self, folder: Path, *, database_url: str | None = None, **env: str) -> None:
        self.folder = folder
        self.hub = Hub(folder / "hub", database_url=database_url, **env)
        self.agents: list[Agent] = []
        self._owner: Rest | None = None
        self._owner_since = 0.0

    def __enter__(self) -> Self:
        LIVE.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        LIVE.remove(self)
        for one in (*self.agents, self.hub):
            if one.process is not None and one.process.running:
                one.process.kill()

    # -- who speaks ---------------------------------------------------------------------------

    @property
    def rest(self) -> Rest:
        """The first admin on REST."""
        return Rest(self.hub.url, self.hub.made["apiKey"])

    @property
    def owner(self) -> Rest:
        """The first owner, signed in lately: a key cannot make keys, nor can an old session."""
        if self._owner is not None and time.monotonic() - self._owner_since < _FRESH_SECONDS:
            return self._owner
        self.rest.send("PUT", "/me/password", {"password": OWNER_PASSWORD})
        body = {"name": "admin", "password": OWNER_PASSWORD, "bearer": True}
        self._owner = Rest(self.hub.url, self.rest.post("/login", body)["token"])
        self._owner_since = time.monotonic()
        return self._owner

    def machine(self, *roles: str, realm: str | None = None) -> Rest:
        """Return a machine client with a key of these roles."""
        body: dict[str, Any] = {"name": "machine", "roles": list(roles), "machine": True}
        if realm is not None:
            body["realm"] = realm
        return Rest(self.hub.url, self.owner.post("/api-keys", body)["key"])

    def writ(self, *words: str, expect: int = 0, **env: str) -> Any:
        """Run a `writ` command as the first admin and return the JSON it prints."""
        return self.writ_said(*words, expect=expect, **env)[0]

    def writ_said(self, *words: str, expect: int = 0, **env: str) -> tuple[Any, str]:
        """Run a `writ` command; return its JSON and what it said on stderr."""
        known = {
            "WRIT_URL": self.hub.url,
            "WRIT_API_KEY": str(self.hub.made["apiKey"]),
            "WRIT_CONFIG_DIR": str(self.folder / "config"),
        }
        return run_writ(*words, env=environment(**{**known, **env}), expect=expect)

    # -- agents -------------------------------------------------------------------------------

    def new_agent(self, name: str, *arguments: str, token: str | None = None, **env: str) -> Agent:
        """Return an agent that is not started: with a token, else with URL and root."""
        url = self.hub.url.replace("http", "ws", 1)
        known = ["--join", token] if token else ["--hub", url, "--root", self.hub.root]
        agent = Agent(self.folder / name, name, [*known, *arguments], **env)
        self.agents.append(agent)
        return agent

    def agent(
        self,
        name: str,
        *arguments: str,
        allow: Sequence[str] = ("*",),
        policy: Mapping[str, Any] | None = None,
        realms: Sequence[str] = ("default",),
        **env: str,
    ) -> Agent:
        """Start an agent, approve it with a policy, and return it online."""
        agent = self.new_agent(name, *arguments, **env)
        agent.start()
        agent.state("pending")
        self.approve(agent, allow=allow, policy=policy, realms=realms)
        agent.state("online")
        return agent

    def approve(
        self,
        agent: Agent,
        *,
        allow: Sequence[str] = ("*",),
        policy: Mapping[str, Any] | None = None,
        realms: Sequence[str] = ("default",),
    ) -> dict[str, Any]:
        """Approve the pending request of `agent`; return the registration."""
        waiting = [one for one in self.rest.items("/registrations") if one["did"] == agent.did]
        granted = {"policy": dict(policy)} if policy is not None else {"capabilities": list(allow)}
        body = {"realms": list(realms), **granted}
        registration: dict[str, Any] = self.rest.post(
            f"/registrations/{waiting[0]['id']}/approve", body
        )
        return registration

    def set_policy(self, agent: Agent, rules: Sequence[Mapping[str, Any]], **limits: int) -> None:
        """Give an agent another policy; it is in force there before any later order."""
        body = {"agent": agent.did, "rules": [dict(one) for one in rules], "limits": limits}
        self.rest.post("/policies", body)

    # -- orders -------------------------------------------------------------------------------

    def submit(self, agent: Agent, action: str, params: Mapping[str, Any], **more: Any) -> Answer:
        """Submit one order and return the answer as it came."""
        body = {"target": {"agent": agent.did}, "action": action, "params": dict(params), **more}
        return self.rest.send("POST", "/intents", body)

    def order(self, agent: Agent, action: str, /, **params: Any) -> str:
        """Submit one order that must be accepted; return its id."""
        return self.order_with(agent, action, params)

    def order_with(self, agent: Agent, action: str, params: Mapping[str, Any], **more: Any) -> str:
        """The same with fields beside `params`, such as `timeoutSeconds`."""
        answer = self.submit(agent, action, params, **more)
        assert answer.status == 202, answer
        return str(answer.value["intents"][0]["id"])

    def intent(self, intent_id: str) -> dict[str, Any]:
        """Return an order as the hub shows it now."""
        shown: dict[str, Any] = self.rest.get(f"/intents/{intent_id}")
        return shown

    def end(self, intent_id: str, *, seconds: float = 60.0) -> dict[str, Any]:
        """Wait for the end of an order (long poll) and return it with result and documents."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            wait = max(0.1, min(20.0, left))
            shown: dict[str, Any] = self.rest.get(f"/intents/{intent_id}", wait=wait)
            if shown["state"] in TERMINAL:
                return shown
            assert left > 0, f"{intent_id} is still {shown['state']} after {seconds:.0f} s"

    def run(self, agent: Agent, action: str, /, **params: Any) -> dict[str, Any]:
        """Order and wait for the end."""
        return self.end(self.order(agent, action, **params))

    def reaches(self, intent_id: str, *states: str, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until an order is in one of `states` and return it."""

        def probe() -> dict[str, Any] | None:
            shown = self.intent(intent_id)
            return shown if shown["state"] in states else None

        found: dict[str, Any] = wait_until(
            probe, f"{intent_id} to be {' or '.join(states)}", seconds=seconds
        )
        return found

    # -- what operators sign ------------------------------------------------------------------

    def operator_proof(self) -> list[str]:
        """Return the ids of the delegations from the root to the first operator."""
        held = self.rest.items("/delegations", subject=self.hub.made["operatorDid"])
        return [held[0]["id"]]

    def seal(
        self,
        type_: str,
        audience: str,
        payload: Mapping[str, Any],
        *,
        key: str = "operator",
        signer: SigningKey | None = None,
        lifetime_seconds: float = 600.0,
    ) -> Envelope:
        """Return a document signed now by `operator`, `root` or `hub`, or by another `signer`.

        An operator's names its proof unless `payload` has one.
        """
        now = datetime.now(UTC)
        content = dict(payload)
        if key == "operator":
            content.setdefault("proof", self.operator_proof())
        return seal_document(
            type=type_,
            id=format_uuid7(now, secrets.token_bytes(10)),
            timestamp=now,
            expires=now + timedelta(seconds=lifetime_seconds),
            audience=audience,
            payload=content,
            signer=signer or self.hub.key(key),
        )

    def signed_order(
        self, agent: Agent, action: str, params: Mapping[str, Any], **more: Any
    ) -> Envelope:
        """Return an order signed by the first operator."""
        payload = {"action": action, "params": dict(params), "realm": "default"}
        return self.seal("intent", agent.did, {**payload, "timeoutSeconds": 60, **more})

    def pending_approval(self, intent_id: str) -> dict[str, Any]:
        """Wait until an agent asks for approval of an order; return the request."""

        def probe() -> dict[str, Any] | None:
            found = self.rest.items("/approvals", state="pending")
            return next((one for one in found if one["intentId"] == intent_id), None)

        asked: dict[str, Any] = wait_until(probe, f"a request for approval of {intent_id}")
        return asked

    # -- proof --------------------------------------------------------------------------------

    def save_documents(self, intent: Mapping[str, Any], name: str) -> Path:
        """Write the documents of an order into a file that `writ verify` reads."""
        path = self.folder / name
        path.write_text(json.dumps({"documents": intent["documents"]}))
        return path

    def show(self) -> str:
        """Return what every running process said and logged, for a failing test."""
        held = [one.process for one in (self.hub, *self.agents)]
        return "\n".join(one.tail() for one in held if one is not None and one.running)
