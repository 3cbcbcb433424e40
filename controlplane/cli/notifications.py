"""`writ notifications`: what you were told, and what you want to be told."""

from __future__ import annotations

from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.output import Column
from controlplane.cli.session import Session

COLUMNS: list[Column] = [
    ("WHEN", "createdAt"),
    ("WHAT", "title"),
    ("REALM", "realm"),
    ("READ", "readAt"),
    ("ID", "id"),
]
_CHOICES: list[Column] = [
    ("FAMILY", "family"),
    ("IN APP", "inApp"),
    ("E-MAIL", "email"),
    ("WHEN", "description"),
]


@click.group()
def notifications() -> None:
    """See what you were told, and choose what you are told."""


@notifications.command("list")
@click.option("--unread", is_flag=True, help="Only what you have not read.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_notifications(session: Session, unread: bool, limit: int) -> None:
    """List what you were told, newest first."""
    query = {"unread": "true"} if unread else {}
    page = session.client.pages("/notifications", limit=limit, **query)
    session.printer.listing(page, COLUMNS, empty="nothing")


@notifications.command("read")
@click.argument("notification", required=False)
@click.pass_obj
def read(session: Session, notification: str | None) -> None:
    """Note that you have read one; without one, everything."""
    if notification is not None:
        session.client.post(f"/notifications/{segment(notification)}/read")
        session.printer.say("read")
        return
    session.printer.record(session.client.post("/notifications/read"), [("read", "read")])


@notifications.command("preferences")
@click.argument("family", required=False)
@click.option("--email", type=click.Choice(["off", "immediate", "digest"]))
@click.option("--in-app/--no-in-app", "in_app", default=None, help="Count it as unread, or not.")
@click.pass_obj
def preferences(
    session: Session, family: str | None, email: str | None, in_app: bool | None
) -> None:
    """Show what you are told, and how; with FAMILY and an option, choose."""
    change: dict[str, Any] = {} if email is None else {"email": email}
    if in_app is not None:
        change["inApp"] = in_app
    if bool(change) != (family is not None):
        raise click.UsageError("name a family and what to change of it, or neither")
    path = "/me/notification-preferences"
    if family is None:
        found = session.client.get(path)
    else:
        found = session.client.patch(path, {"families": {family: change}})
    if not session.printer.for_people:
        session.printer.data(found)
        return
    rows = [{"family": name, **one} for name, one in found["families"].items()]
    session.printer.listing({"items": rows}, _CHOICES, empty="nothing")
    if found["hubSendsMail"] and not found["email"]:
        session.printer.say("no mail: you have no address (`writ users set NAME --email ...`)")
    elif not found["hubSendsMail"]:
        session.printer.say("no mail: this hub has no mail server")
