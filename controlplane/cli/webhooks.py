"""`writ webhooks`: addresses that are told of events, and what became of telling them."""

from __future__ import annotations

from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import FAILED, CliError
from controlplane.cli.output import Column
from controlplane.cli.session import Session

COLUMNS: list[Column] = [
    ("ID", "id"),
    ("STATE", "state"),
    ("URL", "url"),
    ("EVENTS", "events"),
    ("REALM", "realm"),
    ("FAILING SINCE", "failingSince"),
]
_FIELDS: list[Column] = [
    ("id", "id"),
    ("state", "state"),
    ("why", "disabledReason"),
    ("url", "url"),
    ("events", "events"),
    ("realm", "realm"),
    ("description", "description"),
    ("failing since", "failingSince"),
    ("paused until", "pausedUntil"),
    ("old secret until", "previousSecretUntil"),
    ("waiting", "pending"),
    ("dead letters", "dead"),
]
DELIVERY_COLUMNS: list[Column] = [
    ("ID", "id"),
    ("STATE", "state"),
    ("EVENT", "type"),
    ("TRIES", "attempts"),
    ("ANSWER", lambda one: one["status"] or one["error"]),
    ("CREATED", "createdAt"),
    ("NEXT", "nextAttemptAt"),
]
_LIMIT = click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
_EVENT = click.option("--event", "events", multiple=True, help="As `intent.finished` or `agent.*`.")


@click.group()
def webhooks() -> None:
    """Have events sent to addresses."""


@webhooks.command("list")
@_LIMIT
@click.pass_obj
def list_webhooks(session: Session, limit: int) -> None:
    """List the webhooks you may see."""
    page = session.client.pages("/webhooks", limit=limit)
    session.printer.listing(page, COLUMNS, empty="no webhooks")


@webhooks.command("events")
@click.pass_obj
def list_events(session: Session) -> None:
    """List the events that can be asked for."""
    columns: list[Column] = [("EVENT", "type"), ("WHAT", "description")]
    session.printer.listing(session.client.get("/webhook-events"), columns, empty="none")


@webhooks.command("create")
@click.argument("url")
@_EVENT
@click.option("--realm", help="Only what happens there; of the whole hub without it.")
@click.option("--description", default="")
@click.pass_obj
def create_webhook(
    session: Session, url: str, events: tuple[str, ...], realm: str | None, description: str
) -> None:
    """Send events to URL; the secret that signs them is shown once."""
    body: dict[str, Any] = {"url": url, "events": list(events) or ["*"]}
    body |= {"description": description, **({"realm": realm} if realm else {})}
    made = session.client.post("/webhooks", body)
    session.printer.record(made, [("secret", "secret"), *_FIELDS[:6]])


@webhooks.command("show")
@click.argument("webhook")
@click.pass_obj
def show_webhook(session: Session, webhook: str) -> None:
    """Show a webhook and how much waits for it."""
    session.printer.record(session.client.get(f"/webhooks/{segment(webhook)}"), _FIELDS)


@webhooks.command("update")
@click.argument("webhook")
@click.option("--url")
@_EVENT
@click.option("--description")
@click.option("--enable/--disable", "enabled", default=None, help="Send to it, or do not.")
@click.option("--catch-up", is_flag=True, help="With --enable: send first what it has missed.")
@click.pass_obj
def update_webhook(
    session: Session,
    /,
    webhook: str,
    events: tuple[str, ...],
    catch_up: bool,
    **fields: Any,
) -> None:
    """Change a webhook: what is not named stays; the events are all of them."""
    body = {name: value for name, value in fields.items() if value is not None}
    body |= {"events": list(events)} if events else {}
    if not body:
        raise click.UsageError("say what to change")
    if catch_up:
        body["catchUp"] = True
    session.printer.record(session.client.patch(f"/webhooks/{segment(webhook)}", body), _FIELDS[:9])


@webhooks.command("delete")
@click.argument("webhook")
@click.pass_obj
def delete_webhook(session: Session, webhook: str) -> None:
    """Remove a webhook and everything that waits for it."""
    session.client.delete(f"/webhooks/{segment(webhook)}")
    session.printer.say("deleted")


@webhooks.command("rotate-secret")
@click.argument("webhook")
@click.pass_obj
def rotate_secret(session: Session, webhook: str) -> None:
    """Make a new secret, shown once; the one before signs too for a while."""
    made = session.client.post(f"/webhooks/{segment(webhook)}/rotate-secret")
    fields: list[Column] = [("secret", "secret"), ("old secret until", "previousSecretUntil")]
    session.printer.record(made, fields)


@webhooks.command("test")
@click.argument("webhook")
@click.pass_obj
def test_webhook(session: Session, webhook: str) -> None:
    """Send a test event now; ends with code 1 when it does not arrive."""
    sent = session.client.post(f"/webhooks/{segment(webhook)}/test")
    fields: list[Column] = [
        ("state", "state"),
        ("status", "status"),
        ("error", "error"),
        ("answer", "excerpt"),
        ("milliseconds", "durationMilliseconds"),
    ]
    session.printer.record(sent, fields)
    if sent["state"] != "delivered":
        raise CliError("it did not arrive", exit_code=FAILED)


@webhooks.command("deliveries")
@click.argument("webhook")
@click.option("--state", type=click.Choice(["pending", "delivered", "dead"]))
@_LIMIT
@click.pass_obj
def list_deliveries(session: Session, webhook: str, state: str | None, limit: int) -> None:
    """List what was sent to a webhook and what waits, newest first."""
    path = f"/webhooks/{segment(webhook)}/deliveries"
    page = session.client.pages(path, limit=limit, state=state)
    session.printer.listing(page, DELIVERY_COLUMNS, empty="nothing")


@webhooks.command("replay")
@click.argument("webhook")
@click.argument("delivery", required=False)
@click.option("--since", help="Only what was owed from this time on: 2026-01-31T00:00:00.000Z.")
@click.option("--until", help="Only what was owed before this time.")
@click.option("--delivered", is_flag=True, help="With --since: also what has arrived.")
@click.pass_obj
def replay(
    session: Session,
    /,
    webhook: str,
    delivery: str | None,
    delivered: bool,
    **span: str | None,
) -> None:
    """Send a delivery again; without one, every dead letter, or those of a span of time."""
    path = f"/webhooks/{segment(webhook)}"
    body: dict[str, Any] = {name: value for name, value in span.items() if value is not None}
    if delivered:
        body["delivered"] = True
    if delivery is not None:
        if body:
            raise click.UsageError("one delivery has no span")
        again = session.client.post(f"{path}/deliveries/{segment(delivery)}/replay")
        session.printer.record(again, [("id", "id"), ("state", "state"), ("event", "type")])
        return
    again = session.client.post(f"{path}/replay", body)
    session.printer.record(again, [("sent again", "replayed")])
