"""`writ agents`, `registrations`, `join-tokens`: who is in the fleet, and who may come."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.completion import AgentName
from controlplane.cli.output import Column
from controlplane.cli.session import Session

AGENT_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("STATUS", lambda a: a.get("status") or ("online" if a.get("online") else "offline")),
    ("REALM", lambda a: a.get("realm") or a.get("realms")),
    ("CAPABILITIES", "capabilities"),
    ("LAST SEEN", "lastSeenAt"),
    ("DID", "did"),
]
_DEEP = re.compile(r"[\[{](?:\s*[\[{]){64}")
REGISTRATION_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("STATE", "state"),
    ("NAME", "name"),
    ("FINGERPRINT", "fingerprint"),
    ("ADDRESS", "address"),
    ("REQUESTED", "requestedAt"),
]


def _labels(values: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for value in values:
        name, sep, text = value.partition("=")
        if not sep or not name:
            raise click.BadParameter(f"{value!r} is not key=value")
        pairs[name] = text
    return pairs


@click.group()
def agents() -> None:
    """See and steer the agents of the fleet."""


@agents.command("list")
@click.option("--realm", help="Only agents of this realm.")
@click.option("--capability", help="Only agents that can do this.")
@click.option("--status", type=click.Choice(["online", "offline", "quarantined", "revoked"]))
@click.option("--label", help="Only agents with this label: key=value.")
@click.option("-q", "--query", help="Text in the name.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_agents(session: Session, /, limit: int, query: str | None, **filters: Any) -> None:
    """List the agents you may see."""
    page = session.client.pages("/agents", limit=limit, q=query, **filters)
    session.printer.listing(page, AGENT_COLUMNS, empty="no agents yet: writ join-tokens create")


@agents.command("show")
@click.argument("agent", type=AgentName())
@click.pass_obj
def show_agent(session: Session, agent: str) -> None:
    """Show one agent by name or DID, with the actions it declares."""
    found = find_agent(session, agent)
    columns = [(name.lower(), source) for name, source in AGENT_COLUMNS]
    columns += [("fingerprint", "fingerprint"), ("version", "version"), ("labels", "labels")]
    columns.append(("actions", lambda a: [one.get("name") for one in a.get("actions") or []]))
    session.printer.record(found, columns)


@agents.command("label")
@click.argument("agent", type=AgentName())
@click.argument("labels", nargs=-1, required=True)
@click.pass_obj
def label_agent(session: Session, agent: str, labels: tuple[str, ...]) -> None:
    """Set labels (key=value) on an agent; an empty value removes one."""
    found = find_agent(session, agent)
    merged = {**found.get("labels", {}), **_labels(labels)}
    body = {"labels": {name: text for name, text in merged.items() if text}}
    headers = {"If-Match": found["etag"]} if "etag" in found else {}
    path = f"/agents/{segment(found['did'])}"
    changed = session.client.request("PATCH", path, body=body, headers=headers)
    session.printer.record(changed, [("name", "name"), ("labels", "labels")])


@agents.command("revoke")
@click.argument("agent", type=AgentName())
@click.option("--reason", default="", help="Kept in the record.")
@click.confirmation_option(prompt="A revoked key never comes back. Go on?")
@click.pass_obj
def revoke_agent(session: Session, agent: str, reason: str) -> None:
    """Revoke an agent's key for good."""
    did = find_agent(session, agent)["did"]
    answer = session.client.post(f"/agents/{segment(did)}/revoke", {"reason": reason})
    session.printer.record(answer, [("name", "name"), ("status", "status"), ("did", "did")])


@click.group()
def registrations() -> None:
    """Approve or reject agents that ask to join."""


@registrations.command("list")
@click.option("--state", default="pending", show_default=True)
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_registrations(session: Session, state: str, limit: int) -> None:
    """List the requests; compare the fingerprint with the agent's own console."""
    chosen = None if state == "all" else state
    page = session.client.pages("/registrations", limit=limit, state=chosen)
    session.printer.listing(page, REGISTRATION_COLUMNS, empty=f"no {state} registrations")


@registrations.command("approve")
@click.argument("registration")
@click.option("--name", help="Another name than the agent wished for.")
@click.option("--realm", "realms", multiple=True, default=["default"], show_default=True)
@click.option("--allow", "capabilities", multiple=True, help="An action or pattern: files.*")
@click.option("--policy", type=click.File("r"), help="JSON or YAML with rules and limits.")
@click.pass_obj
def approve_registration(
    session: Session,
    registration: str,
    name: str | None,
    realms: tuple[str, ...],
    capabilities: tuple[str, ...],
    policy: Any,
) -> None:
    """Let an agent in, under a name, in realms, with a policy."""
    if bool(capabilities) == (policy is not None):
        raise click.UsageError("say what it may do: either --allow ACTION ... or --policy FILE")
    body: dict[str, Any] = {"realms": list(realms)}
    if name:
        body["name"] = name
    if policy is None:
        body["capabilities"] = list(capabilities)
    else:
        body["policy"] = load_structured(policy.read())
    answer = session.client.post(f"/registrations/{segment(registration)}/approve", body)
    session.printer.record(answer, [(n.lower(), s) for n, s in REGISTRATION_COLUMNS])


@registrations.command("reject")
@click.argument("registration")
@click.option("--reason", required=True, help="Told to the agent.")
@click.pass_obj
def reject_registration(session: Session, registration: str, reason: str) -> None:
    """Turn an agent away."""
    path = f"/registrations/{segment(registration)}/reject"
    answer = session.client.post(path, {"reason": reason})
    session.printer.record(answer, [(n.lower(), s) for n, s in REGISTRATION_COLUMNS])


@click.group("join-tokens")
def join_tokens() -> None:
    """Make tokens that let an agent join, once."""


@join_tokens.command("create")
@click.option("--realm", default="default", show_default=True)
@click.option("--name", help="Glob that the agent's name must match: press-*")
@click.option("--auto-approve", is_flag=True, help="No person looks at the fingerprint.")
@click.option("--expires-in", "expires_in_seconds", type=click.IntRange(1, 30 * 86_400))
@click.option("--allow", "capabilities", multiple=True, help="What the agent may do at once.")
@click.pass_obj
def create_join_token(session: Session, /, auto_approve: bool, **fields: Any) -> None:
    """Make a token; it is shown once."""
    body: dict[str, Any] = {"realm": fields["realm"], "autoApprove": auto_approve}
    if fields["name"]:
        body["name"] = fields["name"]
    if fields["expires_in_seconds"]:
        body["expiresInSeconds"] = fields["expires_in_seconds"]
    if fields["capabilities"]:
        body["capabilities"] = list(fields["capabilities"])
    made = session.client.post("/join-tokens", body)
    if session.printer.for_people:
        click.echo(made["token"])
        session.printer.say(f"\nOn the agent's machine, before {made['expiresAt']}:")
        glob = fields["name"] or ""
        wish = f" --name {glob}" if glob and not set(glob) & set("*?[") else " --name NAME"
        if glob and wish == " --name NAME":
            session.printer.say(f"(NAME must match {glob})")
        session.printer.say(f"  writ agent run --join TOKEN{wish}")
    else:
        session.printer.data(made)


@join_tokens.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_join_tokens(session: Session, limit: int) -> None:
    """List tokens, without their secrets."""
    columns: list[Column] = [("ID", "id"), ("REALM", "realm"), ("NAME", "name")]
    columns += [("AUTO", "autoApprove"), ("USED", "usedAt"), ("EXPIRES", "expiresAt")]
    page = session.client.pages("/join-tokens", limit=limit)
    session.printer.listing(page, columns, empty="no tokens")


@join_tokens.command("revoke")
@click.argument("token_id")
@click.pass_obj
def revoke_join_token(session: Session, token_id: str) -> None:
    """Make a token useless."""
    session.client.delete(f"/join-tokens/{segment(token_id)}")
    session.printer.say("revoked")


def find_agent(session: Session, name_or_did: str) -> dict[str, Any]:
    """Return the agent with this DID or exact name; `ProblemError` (404) when there is none."""
    found: dict[str, Any] = session.client.get(f"/agents/{segment(name_or_did)}")
    return found


def load_structured(text: str) -> Any:
    """Return the value of a JSON or YAML text."""
    if _DEEP.search(text):  # a YAML parser takes minutes over this
        raise click.BadParameter("nested too deeply")
    try:
        return json.loads(text)
    except ValueError:
        pass
    except RecursionError as exc:
        raise click.BadParameter("nested too deeply") from exc
    from controlplane.cli.output import load_yaml

    yaml = load_yaml()
    try:
        return yaml.safe_load(text)
    except RecursionError as exc:
        raise click.BadParameter("nested too deeply") from exc
    except yaml.YAMLError as exc:
        text = " ".join(str(exc).split())
        raise click.BadParameter(f"neither JSON nor YAML: {text}") from exc
