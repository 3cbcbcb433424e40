"""Orders signed on this machine: the hub routes bytes it did not sign and cannot change."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from controlplane.cli.failures import CliError
from controlplane.cli.fleet import find_agent
from controlplane.cli.session import Session
from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from protocol.sealing import EncryptionKey

DEFAULT_TIMEOUT_SECONDS = 300
DEFAULT_EXPIRES_SECONDS = 86_400


def submit_signed(
    session: Session,
    key: SigningKey,
    body: dict[str, Any],
    sealing_key: EncryptionKey | None = None,
) -> dict[str, Any]:
    """Sign one order with `key` and hand it to the hub; return `{"batchId", "intents"}`.

    Args:
        session: where to.
        key: whose order it is.
        body: as for `POST /intents`.
        sealing_key: seal the params to the agent, and have the output sealed to this key.

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
    intent_id = new_intent_id()
    if sealing_key is not None:
        from controlplane.cli.sealed import seal_for

        payload = seal_for(
            agent,
            target["agent"],
            payload,
            sealing_key,
            intent_id=intent_id,
            signer=key.public_key.did,
        )
    document = seal_order(
        key,
        agent["did"],
        payload,
        intent_id=intent_id,
        lifetime_seconds=body.get("expiresInSeconds") or DEFAULT_EXPIRES_SECONDS,
    )
    answer: dict[str, Any] = session.client.post(
        "/intents/signed", {"document": document.wire.decode()}
    )
    return answer


def new_intent_id() -> str:
    """Return a fresh UUIDv7."""
    return format_uuid7(datetime.now(UTC), secrets.token_bytes(10))


def seal_order(
    key: SigningKey,
    audience: str,
    payload: dict[str, Any],
    *,
    intent_id: str,
    lifetime_seconds: float,
) -> Envelope:
    """Return an `intent` for the agent `audience`, signed now."""
    now = datetime.now(UTC)
    return seal_document(
        type="intent",
        id=intent_id,
        timestamp=now,
        expires=now + timedelta(seconds=lifetime_seconds),
        audience=audience,
        payload=payload,
        signer=key,
    )


def delegation_path(session: Session, did: str) -> list[str]:
    """Return the ids of the delegations from the root to `did`, first link first.

    The root itself needs none: an empty list. The agent checks the chain; this only finds it.
    """
    about = session.client.get("/.well-known/writ.json")
    path: list[str] = []
    subject, digest = did, None
    while subject != about["root"] and len(path) < 5:
        held = session.client.pages("/delegations", subject=subject)["items"]
        live = [one for one in held if not one.get("revoked")]
        # Above the last link there is no choice: a link names its parent.
        live = [one for one in live if digest is None or one["digest"] == digest]
        if not live:
            raise CliError(f"the hub holds no delegation to {subject}", exit_code=4)
        newest = max(live, key=lambda one: one["expiresAt"])
        path.insert(0, newest["id"])
        subject, digest = newest["issuer"], newest["parent"]
    return path


def _only_realm(agent: dict[str, Any]) -> str:
    realms = agent.get("realms") or [agent.get("realm") or "default"]
    if len(realms) != 1:
        raise CliError(f"say which realm: --realm one of {', '.join(realms)}", exit_code=2)
    return str(realms[0])
