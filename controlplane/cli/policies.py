"""`writ policies ...`: what agents may do: written, tried, explained, compared and put in force.

`test` and `schema` need no hub. With `--sign KEY` a policy is merged and signed on this machine:
whatever the hub says about the other layers, it can only take away from what the file allows.
"""

from __future__ import annotations

import json
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import NOT_ALLOWED, USAGE, CliError
from controlplane.cli.fleet import find_agent
from controlplane.cli.output import Column
from controlplane.cli.session import Session

if TYPE_CHECKING:
    from controlplane.policies.files import PolicyFile
    from protocol.keys import SigningKey

DEFAULT_SIGNED_DAYS = 90
_NOBODY = "did:key:z6MknobodyIsOrderedWhenAPolicyIsOnlyTested111111"
_file = click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
_params = click.option(
    "-p", "params", multiple=True, metavar="KEY=VALUE", help="JSON if it reads as JSON."
)
_RULES: list[Column] = [
    ("RULE", "id"),
    ("EFFECT", "effect"),
    ("OUTCOME", "outcome"),
    ("FROM", lambda r: [f"{one['layer']}/{one['rule']}" for one in r.get("from") or []]),
    ("WHY", "detail"),
]


@click.group()
def policies() -> None:
    """See, try and set what agents may do."""


@policies.command("list")
@click.option("--agent", help="Only policies of this agent.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_policies(session: Session, agent: str | None, limit: int) -> None:
    """List policies, newest first; one without a version is not in force."""
    did = find_agent(session, agent)["did"] if agent else None
    page = session.client.pages("/policies", limit=limit, agent=did)
    columns: list[Column] = [
        ("ID", "id"),
        ("NAME", "name"),
        ("LAYER", "layer"),
        ("AGENT", "agent"),
        ("VERSION", "version"),
        ("RULES", lambda p: len(p.get("rules") or [])),
        ("CREATED", "createdAt"),
    ]
    session.printer.listing(page, columns, empty="no policies")


@policies.command("show")
@click.argument("policy", required=False)
@click.option("--agent", help="What this agent holds, and what it is merged of.")
@click.pass_obj
def show_policy(session: Session, policy: str | None, agent: str | None) -> None:
    """Show one policy, or an agent's with the layers it is merged of."""
    if (policy is None) == (agent is None):
        raise click.UsageError("name a POLICY or --agent")
    path = f"/policies/{segment(policy)}" if policy else f"/agents/{segment(agent or '')}/policy"
    session.printer.data(session.client.get(path))


@policies.command("apply")
@_file
@click.option("--agent", help="Name or DID of the agent whose own policy it becomes.")
@click.option("--realm", "realms", multiple=True, help="The realm; with --agent: its realms.")
@click.option("--fleet", is_flag=True, help="For every agent.")
@click.option("--name", help="For people; default: the file's.")
@click.option("--sign", metavar="KEY", help="Merge and sign here with this key; with --agent.")
@click.option("--days", type=click.IntRange(1, 730), default=DEFAULT_SIGNED_DAYS, show_default=True)
@click.pass_obj
def apply_policy(session: Session, /, file: str, **options: Any) -> None:
    """Put a policy FILE (YAML or JSON) in force.

    An agent's own policy is what it may do; those of its realm and of the fleet only take away
    from it. Each replaces the one before. --days is how long a policy signed here is valid.
    """
    agent, realms, fleet = options["agent"], options["realms"], options["fleet"]
    if agent is None and len(realms) + fleet != 1:
        raise click.UsageError("name one of --agent, --realm and --fleet")
    if agent is not None and fleet:
        raise click.UsageError("--fleet is not one agent's")
    if options["sign"] and agent is None:
        raise click.UsageError("--sign goes with --agent: one document is signed for one agent")
    loaded = load_policy_file(file)
    content = loaded.content
    body: dict[str, Any] = {"rules": list(content.rules), "limits": content.limits}
    if (name := options["name"] or loaded.name) is not None:
        body["name"] = name
    if agent is None:
        body |= {"fleet": True} if fleet else {"realm": realms[0]}
    else:
        found = find_agent(session, agent)
        body["agent"] = found["did"]
        body["realms"] = list(realms) or list(loaded.realms or ()) or list(found["realms"])
        key = session.operator_key(options["sign"]) if options["sign"] else None
        if key is not None:
            body["document"] = _sign(session, key, body, loaded, options["days"])
    made = session.client.post("/policies", body)
    for waiting in made.get("waiting") or []:
        session.printer.say(
            f"{waiting}: its policy is signed by an operator; "
            "sign it again with: writ policies apply FILE --agent A --sign KEY"
        )
    columns: list[Column] = [
        ("id", "id"),
        ("layer", "layer"),
        ("version", "version"),
        ("agent", "agent"),
        ("signed", "signed"),
    ]
    session.printer.record(made, columns)


@policies.command("test")
@_file
@click.option("--action", required=True, help="The action that would be ordered.")
@_params
@click.option("--agent", default="agent", show_default=True, help="Its name, or its DID.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Of the agent.")
@click.option("--realm", default="default", show_default=True)
@click.option("--caller", default=_NOBODY, help="DID that would sign the order.")
@click.option("--on-behalf-of", help="The person it would be ordered for.")
@click.option("--at", help="When, such as 2026-07-01T22:00:00Z; default: now.")
@click.option("--layer", "layers", multiple=True, help="Another policy file that must allow too.")
@click.pass_context
def test_policy(ctx: click.Context, /, file: str, **options: Any) -> None:
    """Say what a policy FILE would answer, without a hub; exit code 4 when it denies."""
    from controlplane.policies.content import read_content
    from controlplane.policies.demands import LayersError
    from controlplane.policies.explanation import explain_policy, explanation_view
    from controlplane.policies.layers import AGENT, FLEET, layer_of, merge_layers
    from protocol.conditions import ConditionContext

    session: Session = ctx.obj
    loaded, *others = [load_policy_file(one) for one in (file, *options["layers"])]
    realms = tuple(loaded.realms or (options["realm"],))
    try:
        # Each further file narrows what is left, as a layer of the fleet does.
        merged = merge_layers(layer_of(AGENT, loaded.content), [], realms)
        for other in others:
            own = layer_of(AGENT, merged.content)
            merged = merge_layers(own, [layer_of(FLEET, other.content)], realms)
    except LayersError as exc:
        raise CliError(exc.message, code=exc.code) from exc
    agent = options["agent"]
    context = ConditionContext(
        action=options["action"],
        params=read_pairs(options["params"]),
        realm=options["realm"],
        caller_did=options["caller"],
        on_behalf_of=options["on_behalf_of"],
        depth=1,
        now=_moment(options["at"]),
        agent_did=agent if agent.startswith("did:") else _NOBODY,
        agent_name="" if agent.startswith("did:") else agent,
        agent_labels={name: str(value) for name, value in read_pairs(options["labels"]).items()},
    )
    answer = explanation_view(explain_policy(read_content(merged.content, realms), context))
    if options["realm"] not in realms:
        summary = f"denied: the policy takes no orders in realm {options['realm']}"
        answer |= {"effect": "deny", "rule": None, "approval": None, "code": "wrong_realm"}
        answer["summary"] = summary
    _print_explanation(session, answer)
    ctx.exit(0 if answer["effect"] == "allow" else NOT_ALLOWED)


@policies.command("explain")
@click.argument("intent", required=False)
@click.option("--agent", help="Ask its policy about an order that is not given.")
@click.option("--action", help="The action of that order.")
@_params
@click.option("--realm", default="default", show_default=True)
@click.option("--caller", help="DID that would sign it; default: the hub's.")
@click.option("--on-behalf-of", help="The person it would be ordered for.")
@click.pass_obj
def explain(session: Session, /, intent: str | None, **options: Any) -> None:
    """Name the rule that decided the order INTENT, and why the others did not."""
    if intent is not None:
        body: dict[str, Any] = {"intent": intent}
    elif options["agent"] and options["action"]:
        body = {
            "agent": find_agent(session, options["agent"])["did"],
            "action": options["action"],
            "params": read_pairs(options["params"]),
            "realm": options["realm"],
        }
        for name, field in (("caller", "caller"), ("on_behalf_of", "onBehalfOf")):
            if options[name]:
                body[field] = options[name]
    else:
        raise click.UsageError("name an INTENT, or --agent and --action")
    _print_explanation(session, session.client.post("/policies/explain", body))


@policies.command("diff")
@_file
@click.option("--agent", required=True, help="Whose orders are replayed.")
@click.option("--days", default=7, show_default=True, type=click.IntRange(1, 90))
@click.pass_obj
def diff(session: Session, file: str, agent: str, days: int) -> None:
    """List the real orders of the last days that FILE would have decided otherwise."""
    content = load_policy_file(file).content
    body = {"agent": agent, "rules": list(content.rules), "limits": content.limits, "days": days}
    answer = session.client.post("/policies/diff", body)
    if not session.printer.for_people:
        session.printer.data(answer)
        return
    columns: list[Column] = [
        ("INTENT", "intentId"),
        ("ACTION", "action"),
        ("CHANGE", "change"),
        ("BEFORE", lambda c: _decision_text(c["before"])),
        ("AFTER", lambda c: _decision_text(c["after"])),
    ]
    page = {"items": answer["changes"], "nextCursor": None}
    session.printer.listing(page, columns, empty="no order would have ended otherwise")
    left_out = "; older ones were left out" if answer["truncated"] else ""
    session.printer.say(
        f"{answer['orders']} orders looked at, {answer['changed']} would change: "
        f"{answer['nowRefused']} refused, {answer['nowAllowed']} allowed, "
        f"{answer['nowAsked']} asked about, {answer['otherwise']} otherwise{left_out}"
    )


@policies.command("schema")
def schema() -> None:
    """Print the JSON Schema of policy files, for editors."""
    from controlplane.policies.files import policy_file_schema

    click.echo(json.dumps(policy_file_schema(), indent=2))


def load_policy_file(path: str) -> PolicyFile:
    """Return the policy of a file, or of stdin for `-`.

    Raises:
        CliError: it is none; each fault on a line of its own, with line number and field.
    """
    from controlplane.policies.files import PolicyFileError, parse_policy_file

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CliError(f"{path} cannot be read: {exc}", exit_code=USAGE) from exc
    try:
        return parse_policy_file(text, name="stdin" if path == "-" else Path(path).name)
    except PolicyFileError as exc:
        raise CliError(exc.message, exit_code=USAGE, code=exc.code) from exc


def read_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """Return `key=value` arguments as an object; a value that reads as JSON is that."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, sep, text = pair.partition("=")
        if not sep or not name:
            raise click.UsageError(f"{pair}: key=value")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


def _sign(
    session: Session, key: SigningKey, body: dict[str, Any], file: PolicyFile, days: int
) -> str:
    """Return the `policy_update` that the file and the hub's layers make, signed by `key`."""
    from controlplane.cli.signing import delegation_path
    from controlplane.policies.content import PolicyContent
    from controlplane.policies.demands import LayersError
    from controlplane.policies.layers import AGENT, layer_of, merge_layers
    from protocol.envelope import seal_document
    from protocol.ids import format_uuid7

    standing = session.client.get(f"/agents/{segment(body['agent'])}/policy")
    others = [
        layer_of(one["layer"], PolicyContent(one["rules"], one["limits"]))
        for one in session.client.pages("/policies")["items"]
        if one["version"] is not None and one["layer"] != AGENT
    ]
    try:
        merged = merge_layers(layer_of(AGENT, file.content), others, body["realms"])
    except LayersError as exc:
        raise CliError(exc.message, code=exc.code) from exc
    held = standing["policy"]
    now = datetime.now(UTC)
    payload: dict[str, Any] = {
        "policyId": format_uuid7(now, secrets.token_bytes(10)),
        "version": 1 if held is None else held["version"] + 1,
        "realms": body["realms"],
        "default": "deny",
        "rules": list(merged.content.rules),
        "limits": merged.content.limits,
    }
    proof = delegation_path(session, key.public_key.did)
    if proof:
        payload["proof"] = proof
    document = seal_document(
        type="policy_update",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + timedelta(days=days),
        audience=body["agent"],
        payload=payload,
        signer=key,
    )
    return document.wire.decode()


def _print_explanation(session: Session, answer: dict[str, Any]) -> None:
    if not session.printer.for_people:
        session.printer.data(answer)
        return
    click.echo(answer["summary"])
    page = {"items": answer["rules"], "nextCursor": None}
    session.printer.listing(page, _RULES, empty="the policy has no rules")
    if answer.get("decided") and not answer.get("exactVersion"):
        session.printer.say("the version that decided is no longer held: this is the one in force")


def _decision_text(decision: dict[str, Any]) -> str:
    if decision["effect"] != "allow":
        return f"refused ({decision['rule'] or decision['code']})"
    asked = decision.get("approval")
    return f"allowed ({decision['rule']})" + (f", asks {asked['people']}" if asked else "")


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise click.UsageError(f"--at {text}: a time such as 2026-07-01T22:00:00Z") from exc
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
