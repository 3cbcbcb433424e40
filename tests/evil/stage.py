"""What an evil hub has at hand: its own keys, documents of others, and a wire without manners.

The work that must never be done appends a word to a file, by the agent's real executor: what the
file says afterwards is what was done.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from protocol.envelope import Envelope
from protocol.keys import SigningKey
from protocol.messages import DocumentAck, ErrorMessage, ToolApprovalRequest
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble, delegate, new_key, seal

OPERATOR_ACTIONS = (
    "*",
    "writ.policy",
    "writ.approve",
    "writ.quarantine",
    "writ.revoke",
    "writ.configure",
    "writ.cancel",
)


class Stage:
    """One agent under test, its evil hub, and an operator whom the root trusts."""

    def __init__(self, hub: HubDouble, data_dir: Path) -> None:
        self.hub = hub
        self.data_dir = data_dir
        self.operator = new_key()
        self.grant = delegate(hub.root, self.operator.public_key.did, OPERATOR_ACTIONS)
        hub.delegations = [self.grant]

    # --- the agent ---

    def agent(self, **flags: Any) -> AgentHere:
        """An agent that takes orders from operators only; its policy is the operator's."""
        flags.setdefault("require_operator_signature", True)
        if flags["require_operator_signature"]:
            self.hub.on_register = lambda _event: self._give_policy()
        return AgentHere(self.hub, self.data_dir, **flags)

    def _give_policy(self) -> None:
        if self.hub.policy is None:
            self.hub.policy = self.policy(1)

    def policy(self, version: int, rules: list[dict[str, Any]] | None = None, **more: Any) -> Any:
        """A policy of the operator's."""
        return self.hub.make_policy(
            version, rules, signer=self.operator, proof=[self.grant.id], **more
        )

    @property
    def witness(self) -> list[str]:
        """The words that work has left, in order."""
        path = self.data_dir / "workspace" / "witness"
        return path.read_text().split() if path.exists() else []

    # --- orders ---

    def wish(self, word: str, **more: Any) -> Envelope:
        """An order that would leave `word`; by the operator unless `signer` says otherwise."""
        params = {"path": "witness", "content": f"{word}\n", "append": True}
        if "signer" not in more:
            more["signer"], more["proof"] = self.operator, [self.grant.id]
        return self.hub.make_intent("files.write", more.pop("params", params), **more)

    async def send(self, envelope: Envelope) -> Envelope:
        """Send a document as it is."""
        return await self.hub.send_document(envelope)

    async def send_raw(self, data: str | bytes) -> None:
        """Send bytes that no honest session machine would."""
        socket = self.hub._socket
        assert socket is not None
        await socket.send(data, text=True)

    async def code_of(self, envelope: Envelope) -> str:
        """Send a document and return what the agent says to it: a status or a code."""
        await self.send(envelope)
        return await self.answer_to(envelope)

    async def answer_to(self, envelope: Envelope) -> str:
        """Return the code (or status) of the result, the ack or the error about a document."""
        return str(await self.hub.until(lambda: self._answer(envelope)))

    def _answer(self, envelope: Envelope) -> str | None:
        result = self.hub.result_of(envelope)
        if result is not None:
            return str(result["error"]["code"] if "error" in result else result["status"])
        for error in self.hub.received.of(ErrorMessage):
            if error.in_reply_to == envelope.id:
                return str(error.code)
        for ack in self.hub.received.of(DocumentAck):
            for item in ack.documents:
                if (item.id, item.digest) == (envelope.id, envelope.digest):
                    return str(item.code or item.state)
        return None

    async def truth(self, word: str = "truth") -> None:
        """Have the operator's own order done: all that was sent before it has taken effect."""
        order = self.wish(word)
        assert await self.code_of(order) == "succeeded"

    async def question(self, intent: Envelope) -> ToolApprovalRequest:
        """Send an order that waits for people and return the agent's question."""
        await self.send(intent)
        return await self.asked(intent)

    async def asked(self, intent: Envelope, after: int = 0) -> ToolApprovalRequest:
        def find() -> ToolApprovalRequest | None:
            frames: list[ToolApprovalRequest] = [
                frame
                for frame in self.hub.received.of(ToolApprovalRequest)
                if frame.intent_id == intent.id
            ]
            return frames[after] if len(frames) > after else None

        found = await self.hub.until(find)
        assert isinstance(found, ToolApprovalRequest)
        return found

    def decision(
        self, asked: ToolApprovalRequest, signer: SigningKey, *proof: Envelope, **more: Any
    ) -> Envelope:
        """A decision about a question, by whoever signs."""
        payload: dict[str, Any] = {
            "requestId": asked.request_id,
            "callDigest": asked.call_digest,
            "approved": True,
            "approver": signer.public_key.did,
            **more,
        }
        if proof:
            payload["proof"] = [link.id for link in proof]
        return seal("tool_approval_response", signer, self.hub.agent_did or "", payload)


def forged(envelope: Envelope, *, payload: dict[str, Any] | None = None, **fields: Any) -> Envelope:
    """The same document with other contents under the old signature."""
    from protocol.envelope import parse_document

    value = json.loads(envelope.wire)
    value.update(fields)
    value["payload"].update(payload or {})
    return parse_document(json.dumps(value))


def approval_rule(**more: Any) -> list[dict[str, Any]]:
    """A policy's rules that ask people before anything is done."""
    approval = {"people": 1, "from": ["*"], "withinSeconds": 60, **more}
    return [{"id": "ask", "effect": "allow", "actions": ["*"], "approval": approval}]
