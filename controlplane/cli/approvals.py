"""`writ approvals ...`: what waits for a person, decided here or signed here."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import CliError
from controlplane.cli.output import Column
from controlplane.cli.plain_text import clean
from controlplane.cli.session import Session


@click.group()
def approvals() -> None:
    """Decide what waits for a person."""


@approvals.command("list")
@click.option("--state", default="pending", show_default=True)
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_approvals(session: Session, state: str, limit: int) -> None:
    """List what waits, what expires soonest first."""
    page = session.client.pages("/approvals", limit=limit, state=None if state == "all" else state)
    page["items"].sort(key=lambda one: (one["state"] != "pending", one["expiresAt"]))
    columns: list[Column] = [
        ("ID", "id"),
        ("STATE", "state"),
        ("AGENT", lambda a: a.get("agentName") or a.get("agent")),
        ("TOOL", "tool"),
        ("RULE", "rule"),
        ("PEOPLE", _progress),
        ("WHO", "from"),
        ("EXPIRES", "expiresAt"),
    ]
    session.printer.listing(page, columns, empty=f"no {state} approvals")


@approvals.command("show")
@click.argument("approval")
@click.pass_obj
def show_approval(session: Session, approval: str) -> None:
    """Show the exact call that waits."""
    found = session.client.get(f"/approvals/{segment(approval)}")
    session.printer.data(found)


@approvals.command("watch")
@click.pass_obj
def watch(session: Session) -> None:
    """Show what waits, and then live what is asked and decided, until Ctrl-C."""
    # The stream is opened first: what is asked while the list is read is on it.
    events = session.client.events("/events?type=approval.")
    for one in _waiting(session):
        _tell(session, "approval.waiting", one)
    for name, data in events:
        if name == "lagged":
            raise CliError("too slow to follow; start again", code="lagged")
        _tell(session, name, session.client.get(f"/approvals/{segment(str(data['id']))}"))


def _waiting(session: Session) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.client.pages("/approvals", state="pending")["items"]
    return sorted(found, key=lambda one: str(one["expiresAt"]))


def _tell(session: Session, event: str, approval: dict[str, Any]) -> None:
    if not session.printer.for_people:
        session.printer.line({"event": event, "approval": approval})
        return
    agent = approval.get("agentName") or approval["agent"]
    text = (
        f"{event.removeprefix('approval.')}: {approval['tool']} on {agent} "
        f"({_progress(approval)}, {approval['state']}, until {approval['expiresAt']}) "
    )
    click.echo(clean(text + approval["id"]))


def _progress(approval: dict[str, Any]) -> str:
    """Return how many of how many people have approved, such as `1/2`."""
    return f"{approval.get('approved', 0)}/{approval['people']}"


def _decide(session: Session, approval: str, approved: bool, reason: str, sign: str | None) -> None:
    key = session.operator_key(sign)
    path = f"/approvals/{segment(approval)}"
    if key is None:
        verb = "approve" if approved else "reject"
        answer = session.client.post(f"{path}/{verb}", {"reason": reason} if reason else {})
    else:
        from controlplane.cli.signing import delegation_path
        from protocol.envelope import seal_document
        from protocol.ids import format_uuid7
        from protocol.timestamps import parse_timestamp

        waiting = session.client.get(path)
        now = datetime.now(UTC)
        payload: dict[str, Any] = {
            "requestId": waiting["requestId"],
            "callDigest": waiting["callDigest"],
            "approved": approved,
            "approver": key.public_key.did,
        }
        if reason:
            payload["reason"] = reason
        proof = delegation_path(session, key.public_key.did)
        if proof:
            payload["proof"] = proof
        document = seal_document(
            type="tool_approval_response",
            id=format_uuid7(now, secrets.token_bytes(10)),
            timestamp=now,
            expires=parse_timestamp(waiting["expiresAt"]),
            audience=waiting["agent"],
            payload=payload,
            signer=key,
        )
        answer = session.client.post(f"{path}/signed", {"document": document.wire.decode()})
    columns: list[Column] = [
        ("id", "id"),
        ("state", "state"),
        ("people", _progress),
        ("tool", "tool"),
    ]
    session.printer.record(answer, columns)


@approvals.command("approve")
@click.argument("approval")
@click.option("--reason", default="")
@click.option("--sign", metavar="KEY", help="Sign with this key (WRIT_OPERATOR_KEY).")
@click.pass_obj
def approve(session: Session, approval: str, reason: str, sign: str | None) -> None:
    """Let this exact call happen, once."""
    _decide(session, approval, True, reason, sign)


@approvals.command("reject")
@click.argument("approval")
@click.option("--reason", default="")
@click.option("--sign", metavar="KEY", help="Sign with this key (WRIT_OPERATOR_KEY).")
@click.pass_obj
def reject(session: Session, approval: str, reason: str, sign: str | None) -> None:
    """Deny it; final."""
    _decide(session, approval, False, reason, sign)
