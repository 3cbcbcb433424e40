"""`writ agents quarantine|release`: stop agents at once, and let them work again.

Stopping needs the hub only; letting go is signed here, by an operator's or the root's key.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import NOT_ALLOWED, USAGE, CliError
from controlplane.cli.fleet import agents, find_agent
from controlplane.cli.output import Column
from controlplane.cli.session import Session
from controlplane.cli.signing import delegation_path
from protocol.envelope import seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey

__all__ = ["agents"]

_LIFETIME = timedelta(days=30)
_COLUMNS: list[Column] = [("name", "name"), ("status", "status"), ("did", "did")]


@agents.command("quarantine")
@click.argument("names", nargs=-1, metavar="[AGENT]...")
@click.option("--realm", help="Every agent of this realm.")
@click.option("--all", "everyone", is_flag=True, help="Every agent there is.")
@click.option("--reason", default="", help="Kept in the record and told to the agents.")
@click.pass_obj
def quarantine(
    session: Session, names: tuple[str, ...], realm: str | None, everyone: bool, reason: str
) -> None:
    """Stop agents at once: running tools are ended, all work is refused until the release."""
    _choose_one(names, realm, everyone)
    if not names:
        body: dict[str, Any] = {"reason": reason, "all": everyone}
        if realm is not None:
            body["realm"] = realm
        answer = session.client.post("/agents/quarantine", body)
        session.printer.record(answer, [("stopped", "stopped")])
        return
    # The names go straight to the hub: nothing stands between the wish and the signature.
    for name in names:
        answer = session.client.post(f"/agents/{segment(name)}/quarantine", {"reason": reason})
        session.printer.record(answer, _COLUMNS)


@agents.command("release")
@click.argument("names", nargs=-1, metavar="[AGENT]...")
@click.option("--realm", help="Every agent of this realm that is in quarantine.")
@click.option("--all", "everyone", is_flag=True, help="Every agent that is in quarantine.")
@click.option("--reason", default="", help="Kept in the record and told to the agents.")
@click.option("--sign", metavar="KEY", help="Sign with this key (WRIT_OPERATOR_KEY).")
@click.pass_obj
def release(
    session: Session,
    names: tuple[str, ...],
    realm: str | None,
    everyone: bool,
    reason: str,
    sign: str | None,
) -> None:
    """Let agents work again; the hub alone cannot, so an operator's or the root's key signs."""
    _choose_one(names, realm, everyone)
    key = session.operator_key(sign)
    if key is None:
        text = "the hub cannot lift a quarantine: sign with --sign KEY or WRIT_OPERATOR_KEY"
        raise CliError(text, exit_code=NOT_ALLOWED)
    if names:
        found = [find_agent(session, name) for name in names]
    else:
        found = session.client.pages("/agents", status="quarantined", realm=realm)["items"]
    proof = delegation_path(session, key.public_key.did)
    for agent in found:
        document = seal_release(agent, key, proof, reason)
        path = f"/agents/{segment(agent['did'])}/release"
        answer = session.client.post(path, {"document": document})
        session.printer.record(answer, _COLUMNS)


def seal_release(agent: dict[str, Any], key: SigningKey, proof: list[str], reason: str) -> str:
    """Return a `quarantine` document that lifts the one the hub knows of, as JSON text.

    An agent that put itself into quarantine has seen no epoch; any number lifts that.
    """
    now = datetime.now(UTC)
    epoch = int((agent.get("quarantine") or {}).get("epoch", 0)) + 1
    payload: dict[str, Any] = {"epoch": epoch, "active": False, "reason": reason}
    if proof:
        payload["proof"] = proof
    return seal_document(
        type="quarantine",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + _LIFETIME,
        audience=agent["did"],
        payload=payload,
        signer=key,
    ).wire.decode()


def _choose_one(names: tuple[str, ...], realm: str | None, everyone: bool) -> None:
    if sum((bool(names), realm is not None, everyone)) != 1:
        raise CliError("say which: agents by name, --realm, or --all", exit_code=USAGE)
