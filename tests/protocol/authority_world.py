"""A small fleet for tests of authority: a root, a hub, people, one agent, and signed documents."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.authority import AuthorityView
from protocol.delegation import Link, RevocationView, verify_link
from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from protocol.messages.policies import PolicyUpdate
from protocol.messages.registry import parse_payload
from protocol.policy import Policy, compile_policy
from protocol.timestamps import format_timestamp
from protocol.verification import Verified, verify_document_offline

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
USER = "user:0195a5b2-7c3e-4a10-8000-000000000001"
OTHER_USER = "user:0195a5b2-7c3e-4a10-8000-000000000002"


def key(name: str) -> SigningKey:
    """The same key for the same name."""
    return SigningKey.from_seed(name.encode().ljust(32, b"."))


ROOT, HUB, ALICE, BOB, CAROL, AGENT = map(key, ["root", "hub", "alice", "bob", "carol", "agent"])

_counter = 0


def new_id() -> str:
    """A fresh id; the same ones in the same order in every run."""
    global _counter
    _counter += 1
    return format_uuid7(NOW, _counter.to_bytes(10, "big"))


def seal(signer: SigningKey, type: str, payload: dict[str, Any], **changes: Any) -> Envelope:
    """A signed document to the agent, valid for an hour around `NOW`."""
    fields: dict[str, Any] = {
        "type": type,
        "id": new_id(),
        "timestamp": NOW,
        "expires": NOW + timedelta(hours=1),
        "audience": AGENT.public_key.did,
        "payload": payload,
        "signer": signer,
    }
    return seal_document(**(fields | changes))


def verified(
    signer: SigningKey, type: str, payload: dict[str, Any], **changes: Any
) -> Verified[Any]:
    """The same, with signature and payload verified."""
    return verify_document_offline(seal(signer, type, payload, **changes), at=None)


def delegate(
    signer: SigningKey,
    subject: SigningKey | str,
    capabilities: list[Any] | None = None,
    *,
    parent: Link | None = None,
    max_depth: int = 0,
    conditions: list[str] | None = None,
    not_before: datetime = NOW - timedelta(hours=1),
    expires: datetime = NOW + timedelta(hours=1),
    budget: dict[str, int] | None = None,
    **changes: Any,
) -> Link:
    """A verified link; a capability may be given as the name of its action."""
    payload: dict[str, Any] = {
        "subject": subject if isinstance(subject, str) else subject.public_key.did,
        "capabilities": [
            {"action": item} if isinstance(item, str) else item
            for item in (["*"] if capabilities is None else capabilities)
        ],
        "conditions": conditions or [],
        "notBefore": format_timestamp(not_before),
        "maxDepth": max_depth,
        "parent": parent.digest if parent is not None else None,
    }
    if budget is not None:
        payload["budget"] = budget
    changes = {"audience": "*", "timestamp": NOW - timedelta(hours=1), "expires": expires} | changes
    return verify_link(seal(signer, "delegation", payload, **changes))


HUB_ACTIONS = [
    "*",
    *(
        f"writ.{name}"
        for name in ["route", "policy", "cancel", "approve", "revoke", "quarantine", "configure"]
    ),
]


def hub_link(**changes: Any) -> Link:
    """The delegation of the hub's `hello`."""
    return delegate(ROOT, HUB, HUB_ACTIONS, **({"max_depth": 3} | changes))


def policy(
    *rules: dict[str, Any], realms: list[str] | None = None, limits: dict[str, int] | None = None
) -> Policy:
    """A compiled policy; without rules it allows everything in the realm `default`."""
    payload = {
        "policyId": new_id(),
        "version": 1,
        "realms": ["default"] if realms is None else realms,
        "default": "deny",
        "rules": list(rules) or [{"id": "all", "effect": "allow", "actions": ["*"]}],
        "limits": limits or {},
    }
    update = parse_payload("policy_update", payload)
    assert isinstance(update, PolicyUpdate)
    return compile_policy(update)


def view(*links: Link, **changes: Any) -> AuthorityView:
    """What the agent holds: the hub's delegation, these links, a policy that allows all."""
    hello = hub_link()
    held = {link.id: link for link in (hello, *links)}
    fields: dict[str, Any] = {
        "root": ROOT.public_key,
        "agent_did": AGENT.public_key.did,
        "hub": HUB.public_key,
        "hub_delegation_id": hello.id,
        "held": held,
        "policy": policy(),
        "policy_expires": NOW + timedelta(hours=1),
        "agent_name": "worker",
        "agent_labels": {"env": "prod"},
        "actions": {"echo": lambda params: None, "files.read": lambda params: None},
    }
    return AuthorityView(**(fields | changes))


def intent(signer: SigningKey, *proof: Link, **fields: Any) -> Verified[Any]:
    """An order `echo` in the realm `default`; `proof` names these links when there are any."""
    payload: dict[str, Any] = {
        "action": "echo",
        "params": {},
        "realm": "default",
        "timeoutSeconds": 60,
    }
    if proof:
        payload["proof"] = [link.id for link in proof]
    return verified(signer, "intent", payload | fields)


def revoked(*items: SigningKey | Link) -> RevocationView:
    """These keys and delegations, revoked."""
    return RevocationView(
        1,
        frozenset(item.public_key.did for item in items if isinstance(item, SigningKey)),
        frozenset(item.id for item in items if isinstance(item, Link)),
    )
