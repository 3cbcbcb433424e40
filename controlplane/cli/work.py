"""`writ run` and `writ intents`: give orders, follow them, take them back."""

from __future__ import annotations

import contextlib
import difflib
import json
import re
import sys
import time
from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.completion import AgentName
from controlplane.cli.failures import BY_INTENT_STATE, TIMED_OUT, CliError
from controlplane.cli.order_params import read_params
from controlplane.cli.output import Column
from controlplane.cli.plain_text import clean
from controlplane.cli.session import Session
from controlplane.cli.signed_orders import sign_order, submit_order

TERMINAL = frozenset(BY_INTENT_STATE)
LIST_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("STATE", "state"),
    ("AGENT", lambda i: i.get("agentName") or i.get("agent")),
    ("ACTION", "action"),
    ("CREATED", "createdAt"),
    ("BY", "submittedBy"),
]


@click.command()
@click.argument("target", type=AgentName())
@click.argument("action")
@click.option("-p", "params", multiple=True, metavar="KEY=VALUE", help="JSON if it reads as JSON.")
@click.option("--params", "params_file", type=click.File("r"), help="JSON or YAML; - for stdin.")
@click.option("--realm", help="Needed when the agent is in more than one.")
@click.option("--wait/--detach", default=True, help="Wait for the results, or only hand over.")
@click.option("--timeout", "timeout_seconds", type=click.IntRange(1, 86_400), help="Of the work.")
@click.option("--expires-in", "expires_in_seconds", type=click.IntRange(1, 30 * 86_400))
@click.option("--wait-seconds", default=600, show_default=True, type=click.IntRange(1, 86_400))
@click.option("--sign", "sign_key", metavar="KEY", help="Sign with this key (WRIT_OPERATOR_KEY).")
@click.option("--seal", is_flag=True, help="With --sign: params and output the hub cannot read.")
@click.option("--limit", type=click.IntRange(1, 100_000), help="At most so many agents.")
@click.option("--batch", help="So many at a time: 10 or 10%.")
@click.option("--stop-after", type=click.IntRange(1), help="Stop after so many failures.")
@click.pass_context
def run(ctx: click.Context, /, target: str, action: str, **options: Any) -> None:
    """Order ACTION on TARGET.

    TARGET is an agent's name or DID, @capability:NAME, or a selector: label=value,realm=R.
    With one agent the intent is printed; with a capability or selector, the batch.
    """
    session: Session = ctx.obj
    body: dict[str, Any] = {"action": action, "params": read_params(options)}
    for name, field in (
        ("realm", "realm"),
        ("timeout_seconds", "timeoutSeconds"),
        ("expires_in_seconds", "expiresInSeconds"),
    ):
        if options[name] is not None:
            body[field] = options[name]
    body["target"] = parse_target(target, options)
    key = session.operator_key(options["sign_key"])
    if options["seal"] and key is None:
        raise click.UsageError("--seal goes with --sign KEY: only you can read the answer")
    sealing_key = None
    if options["seal"]:
        from controlplane.cli.sealed import load_operator_sealing_key

        sealing_key = load_operator_sealing_key(options["sign_key"])
    if key is None:
        batch = session.client.post("/intents", body)
    else:
        from controlplane.cli.signing import submit_signed

        batch = submit_signed(session, key, body, sealing_key)
    single = "agent" in body["target"]
    if not options["wait"]:
        session.printer.data(batch["intents"][0] if single else batch)
        return
    finished = _wait_all(session, batch["intents"], options["wait_seconds"])
    if sealing_key is not None:
        from controlplane.cli.sealed import unseal

        finished = [unseal(one, sealing_key) for one in finished]
    if single:
        _print_intent(session, finished[0])
    else:
        _print_batch(session, {"batchId": batch["batchId"], "intents": finished})
    ctx.exit(max(_exit_code(one) for one in finished) if finished else 0)


@click.group()
def intents() -> None:
    """Follow and cancel orders."""


@intents.command("list")
@click.option("--state", multiple=True, help="Only orders in this state; several: in any of them.")
@click.option("--agent", help="Only orders for this agent.")
@click.option("--batch-id", help="Only orders of this batch.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_intents(session: Session, /, limit: int, batch_id: str | None, **filters: Any) -> None:
    """List orders, newest first."""
    page = session.client.pages("/intents", limit=limit, batchId=batch_id, **filters)
    session.printer.listing(page, LIST_COLUMNS, empty="no orders yet: writ run AGENT echo -p a=1")


@intents.command("show")
@click.argument("intent_id")
@click.option("--documents", type=click.Path(), help="Write its signed documents to this folder.")
@click.option(
    "--unseal", metavar="KEY", help="Open a sealed output: the key of --sign, or its seal."
)
@click.pass_obj
def show_intent(
    session: Session, intent_id: str, documents: str | None, unseal: str | None
) -> None:
    """Show one order with its result; --documents saves what `writ verify` proves."""
    intent = session.client.get(f"/intents/{segment(intent_id)}")
    if documents:
        from controlplane.cli.verify import save_documents

        for path in save_documents(intent, documents):
            session.printer.say(f"wrote {path}")
    if unseal:
        from controlplane.cli import sealed

        intent = sealed.unseal(intent, sealed.load_operator_sealing_key(unseal, create=False))
    _print_intent(session, intent, details=True)


@intents.command("watch")
@click.argument("intent_id")
@click.pass_context
def watch_intent(ctx: click.Context, intent_id: str) -> None:
    """Follow one order live until it ends; exit code as for `run`."""
    session: Session = ctx.obj
    for name, data in session.client.events(f"/intents/{segment(intent_id)}/events"):
        if session.printer.for_people:
            click.echo(f"{click.style(name, bold=True)} {json.dumps(data, ensure_ascii=True)}")
        else:
            session.printer.line({"event": name, "data": data})
    final = session.client.get(f"/intents/{segment(intent_id)}")
    ctx.exit(_exit_code(final))


@intents.command("cancel")
@click.argument("intent_id")
@click.option("--reason", default="", help="Told to the agent and kept in the record.")
@click.pass_obj
def cancel_intent(session: Session, intent_id: str, reason: str) -> None:
    """Take an order back: at once while it is queued, else when the agent confirms."""
    body = {"reason": reason} if reason else {}
    _print_intent(session, session.client.post(f"/intents/{segment(intent_id)}/cancel", body))


def parse_target(text: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the REST target of a TARGET argument and its options."""
    selecting = {
        field: options.get(name)
        for name, field in (("limit", "limit"), ("batch", "batch"), ("stop_after", "stopAfter"))
        if options.get(name) is not None
    }
    if text.startswith("@capability:"):
        return {"capability": text.removeprefix("@capability:"), **selecting}
    if "=" in text and not text.startswith("did:"):
        return {"selector": text, **selecting}
    if selecting:
        raise click.UsageError("--limit, --batch and --stop-after go with many agents, not one")
    return {"agent": text}


def _wait_all(session: Session, started: list[dict[str, Any]], seconds: int) -> list[Any]:
    """Return the finished orders, in the order they were given; long-polls, never spins."""
    deadline = time.monotonic() + seconds
    finished: list[Any] = []
    show_bar = session.printer.for_people and sys.stderr.isatty() and len(started) > 1
    bar: Any = (
        click.progressbar(length=len(started), label="results", file=sys.stderr)
        if show_bar
        else None
    )
    for one in started:
        intent = one
        while intent.get("state") not in TERMINAL or "result" not in intent:
            left = deadline - time.monotonic()
            if left <= 0:
                raise CliError(
                    f"{one['id']} is still {intent.get('state')}: follow it with "
                    f"`writ intents watch {one['id']}`",
                    exit_code=TIMED_OUT,
                    code="timed_out",
                )
            path = f"/intents/{segment(one['id'])}"
            intent = session.client.get(path, wait=int(min(25, max(1, left))))
        finished.append(intent)
        if bar is not None:
            bar.update(1)
    if bar is not None:
        bar.render_finish()
    return finished


def _exit_code(intent: dict[str, Any]) -> int:
    return BY_INTENT_STATE.get(str(intent.get("state")), 1)


def _print_intent(session: Session, intent: dict[str, Any], *, details: bool = False) -> None:
    if not session.printer.for_people:
        session.printer.data(intent)
        return
    result = intent.get("result") or {}
    where = intent.get("agentName") or intent.get("agent")
    colour = {"succeeded": "green", "refused": "yellow"}.get(intent["state"], "red")
    state = click.style(
        clean(intent["state"]), fg=colour if intent["state"] in TERMINAL else "cyan"
    )
    # the colour is ours, the rest is others' words: cleaned piece by piece, not the line as a whole
    rest = clean(f"{intent['action']} on {where}")
    click.echo(f"{clean(intent['id'])}  {state}  {rest}", err=True)
    error = result.get("error")
    if error:
        session.printer.say(f"{error.get('code')}: {error.get('message')}")
        if error.get("code") == "unknown_action":
            _say_what_it_can(session, str(intent["agent"]), str(intent["action"]))
    rule = (result.get("decision") or {}).get("rule")
    if rule and (details or error):
        session.printer.say(f"decided by rule {rule}")
    if result.get("output") is not None:
        session.printer.data(result["output"])
    if details:
        columns: list[Column] = [("created", "createdAt"), ("finished", "finishedAt")]
        columns += [("by", "submittedBy"), ("realm", "realm"), ("params", "params")]
        session.printer.record(intent, columns)


def _say_what_it_can(session: Session, agent: str, action: str) -> None:
    """Name the action that was perhaps meant, else all there are."""
    with contextlib.suppress(CliError):
        found = session.client.get(f"/agents/{segment(agent)}")
        known = sorted(str(one["name"]) for one in found["actions"])
        near = difflib.get_close_matches(action, known, n=1)
        if near:
            session.printer.say(f"did you mean {near[0]}?")
        elif known:
            session.printer.say(f"it can do: {', '.join(known)}")


def _print_batch(session: Session, batch: dict[str, Any]) -> None:
    if not session.printer.for_people:
        session.printer.data(batch)
        return
    page = {"items": batch["intents"], "nextCursor": None}
    columns: list[Column] = [*LIST_COLUMNS[:3], ("RESULT", _short_result)]
    session.printer.listing(page, columns, empty="no agent matched: nothing was ordered")


def _short_result(intent: dict[str, Any]) -> str:
    result = intent.get("result") or {}
    error = result.get("error")
    if error:
        return f"{error.get('code')}: {error.get('message')}"
    return re.sub(r"\s+", " ", json.dumps(result.get("output"), ensure_ascii=False))[:200]


intents.add_command(sign_order)
intents.add_command(submit_order)
