"""Orders signed on this machine: the hub routes bytes it did not sign and cannot change."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.cli.failures import CliError
from controlplane.cli.fleet import find_agent
from controlplane.cli.session import Session
from protocol.envelope import seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey

DEFAULT_TIMEOUT_SECONDS = 300
DEFAULT_EXPIRES_SECONDS = 86_400


def submit_signed(session: Session, key: SigningKey, body: dict[str, Any]) -> dict[str, Any]:
    """Sign one order with `key` and hand it to the hub; return `{"batchId", "intents"}`.

    Raises:
        CliError: the target is not one agent, or the hub holds no delegation to this key.
    """
    target = body["target"]
    if "agent" not in target:
        raise CliError("a signed order names one agent: sign one for each", exit_code=2)
    agent = find_agent(session, target["agent"])
    payload: dict[str, Any] = {
        "action": body["action"],
        "params": body["params"],
        "realm": body.get("realm") or _only_realm(agent),
        "timeoutSeconds": body.get("timeoutSeconds") or DEFAULT_TIMEOUT_SECONDS,
    }
    proof = delegation_path(session, key.public_key.did)
    if proof:
        payload["proof"] = proof
    now = datetime.now(UTC)
    lifetime = timedelta(seconds=body.get("expiresInSeconds") or DEFAULT_EXPIRES_SECONDS)
    document = seal_document(
        type="intent",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + lifetime,
        audience=agent["did"],
        payload=payload,
        signer=key,
    )
    answer: dict[str, Any] = session.client.post(
        "/intents/signed", {"document": document.wire.decode()}
    )
    return answer


def delegation_path(session: Session, did: str) -> list[str]:
    """Return the ids of the delegations from the root to `did`, first link first.

    The root itself needs none: an empty list. The agent checks the chain; this only finds it.
    """
    about = session.client.get("/.well-known/writ.json")
    path: list[str] = []
    subject = did
    while subject != about["root"] and len(path) < 5:
        held = session.client.pages("/delegations", subject=subject)["items"]
        live = [one for one in held if not one.get("revoked")]
        if not live:
            raise CliError(f"the hub holds no delegation to {subject}", exit_code=4)
        newest = max(live, key=lambda one: one["expiresAt"])
        path.insert(0, newest["id"])
        subject = newest["issuer"]
    return path


def _only_realm(agent: dict[str, Any]) -> str:
    realms = agent.get("realms") or [agent.get("realm") or "default"]
    if len(realms) != 1:
        raise CliError(f"say which realm: --realm one of {', '.join(realms)}", exit_code=2)
    return str(realms[0])
