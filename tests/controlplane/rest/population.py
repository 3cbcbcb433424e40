"""A realm with one of everything in it, for tests that ask who can see what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from controlplane import clock
from protocol.approvals import call_digest
from protocol.messages import ToolApprovalRequest
from protocol.messages.enrolment import ActionDeclaration
from protocol.messages.intents import OutputFile
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import OWNER_PASSWORD, Client, ServedHub
from tests.controlplane.test_fleet_over_rest import approval_appears

FORM = (
    b'--b\r\nContent-Disposition: form-data; name="realm"\r\n\r\n%s\r\n'
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\nbytes\r\n--b--\r\n'
)
FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=b"}
ECHO = ActionDeclaration(
    name="echo", capability="files", description="", params_schema={}, idempotent=True
)


@dataclass(frozen=True)
class Population:
    """What a realm holds: ids by kind, who owns it, and its two agents."""

    realm: str
    ids: dict[str, str]
    lead: Client
    agents: tuple[ScriptedAgent, ScriptedAgent]

    @property
    def words(self) -> set[str]:
        """What only somebody of this realm may read: every id, and its name in every name."""
        return {self.realm, *self.ids.values()}


async def populate(served: ServedHub, realm: str) -> Population:
    """Make a realm and put one of everything into it; every name in it holds the realm's."""
    owner = await served.owner()
    await _made(owner, "/api/v1/realms", {"id": realm, "description": f"all about {realm}"})
    lead = await served.person(f"{realm}-lead", "owner", realm)
    ids = {"realm": realm, "lead": (await lead.get("/api/v1/me")).json["id"]}
    ids["member"] = await _invited(served, lead, realm, f"{realm}-member")
    invitation = {"role": "member", "realm": realm}
    ids["invitation"] = (await _made(lead, "/api/v1/invitations", invitation))["id"]
    token = {"realm": realm, "name": f"{realm}-*", "autoApprove": False}
    ids["join_token"] = (await _made(lead, "/api/v1/join-tokens", token))["id"]
    worker = await _enrolled(served, lead, realm)
    ids |= {"agent": worker.did, "agent_name": f"{realm}-worker"}
    applicant = ScriptedAgent(served.world())
    await applicant.connect()
    wanted = await _made(lead, "/api/v1/join-tokens", token)
    await applicant.register(token=wanted["token"], name=f"{realm}-applicant")
    pending = (await _until_listed(lead, "/api/v1/registrations?state=pending"))[0]
    ids["registration"] = pending["id"]
    machine = {"name": f"{realm}-key", "roles": ["member"], "realm": realm}
    ids["api_key"] = (await _made(lead, "/api/v1/api-keys", machine))["id"]
    form = FORM % (realm.encode(), f"{realm}.txt".encode())
    sent = await lead.send("POST", "/api/v1/files", raw=form, headers=FORM_TYPE)
    assert sent.status == 201, sent.data
    ids["file"] = sent.json["id"]
    hook = {"url": "http://127.0.0.1:1/", "events": ["webhook.*"], "realm": realm}
    ids["webhook"] = (await _made(lead, "/api/v1/webhooks", hook))["id"]
    ids |= await _permits(lead, realm, ids)
    ids |= await _work(served, lead, worker, realm)
    return Population(realm, ids, lead, (worker, applicant))


async def _made(client: Client, path: str, body: Any) -> Any:
    answer = await client.post(path, body)
    assert answer.status in (201, 202), (path, answer.data)
    return answer.json


async def _until_listed(client: Client, path: str) -> list[Any]:
    async with asyncio.timeout(10):
        while True:
            items: list[Any] = (await client.get(path)).json["items"]
            if items:
                return items


async def _invited(served: ServedHub, lead: Client, realm: str, name: str) -> str:
    made = await _made(lead, "/api/v1/invitations", {"role": "member", "realm": realm})
    accept = {
        "token": made["link"].partition("#")[2],
        "name": name,
        "password": OWNER_PASSWORD,
        "bearer": True,
    }
    answer = await served.client.as_key(None).post("/api/v1/invitations/accept", accept)
    return str(answer.json["user"]["id"])


async def _enrolled(served: ServedHub, lead: Client, realm: str) -> ScriptedAgent:
    body = {"realm": realm, "autoApprove": True, "capabilities": ["echo"]}
    token = (await _made(lead, "/api/v1/join-tokens", body))["token"]
    agent = ScriptedAgent(served.world())
    await agent.connect()
    labels = {"site": realm}
    await agent.register(token=token, name=f"{realm}-worker", labels=labels, actions=(ECHO,))
    await _until_listed(lead, f"/api/v1/agents?q={realm}-worker")
    return agent


async def _permits(lead: Client, realm: str, ids: dict[str, str]) -> dict[str, str]:
    """A policy of the agent and of the realm, and a grant to its member."""
    asked = {"people": 1, "from": ["*"], "withinSeconds": 600}
    rule = {"id": f"{realm}-rule", "effect": "allow", "actions": ["echo"], "approval": asked}
    own = await _made(lead, "/api/v1/policies", {"agent": ids["agent"], "rules": [rule]})
    layer = await _made(lead, "/api/v1/policies", {"realm": realm, "rules": [rule]})
    capability = {"action": "echo", "realms": [realm], "agents": [ids["agent"]]}
    grant = {"subject": f"user:{ids['member']}", "capabilities": [capability]}
    lent = await _made(lead, "/api/v1/delegations", grant)
    return {"policy": own["id"], "layer": layer["id"], "delegation": lent["id"]}


async def _work(
    served: ServedHub, lead: Client, agent: ScriptedAgent, realm: str
) -> dict[str, str]:
    """An order that ended with a big output, and one that waits for people."""
    order = {
        "target": {"agent": agent.did},
        "action": "echo",
        "realm": realm,
        "params": {"text": f"secret of {realm}"},
    }
    done = (await _made(lead, "/api/v1/intents", order))["intents"][0]["id"]
    intent = await agent.document()
    output = OutputFile(bytes=5, sha256="0" * 64)
    await agent.accept(intent)
    await agent.say_document(agent.result(intent, output_file=output, finished_at=clock.now()))
    await agent.result_acks(1)
    held = (await _made(lead, "/api/v1/intents", order))["intents"][0]["id"]
    await agent.accept(await agent.document())
    request = clock.new_id()
    digest = call_digest(intent_id=held, tool="echo", arguments=order["params"])
    await agent.say(
        ToolApprovalRequest(
            request_id=request,
            intent_id=held,
            tool="echo",
            arguments={"text": f"secret of {realm}"},
            call_digest=digest,
            rule=f"{realm}-rule",
            people=1,
            expires=clock.now() + timedelta(minutes=10),
        )
    )
    await approval_appears(lead, request)
    return {"intent": done, "held": held, "approval": request}
