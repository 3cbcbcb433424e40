"""`writ tokens`: short-lived tokens that tell other services who you are."""

from __future__ import annotations

from typing import Any

import click

from controlplane.cli.session import Session


@click.group()
def tokens() -> None:
    """Show yourself to other services."""


@tokens.command("create")
@click.argument("audience")
@click.option("--realm", help="Where you act; `default` without it.")
@click.option("--scope", "scopes", multiple=True, help="A permission it shall name.")
@click.pass_obj
def create(session: Session, audience: str, realm: str | None, scopes: tuple[str, ...]) -> None:
    """Print a token for one service, good for a minute."""
    body: dict[str, Any] = {"audience": audience, "scopes": list(scopes)}
    if realm:
        body["realm"] = realm
    made = session.client.post("/tokens", body)
    if session.printer.for_people:
        # Alone on stdout, so that it can stand in $(...).
        click.echo(made["token"])
        session.printer.say(f"{made['subject']} to {made['audience']}, until {made['expiresAt']}")
    else:
        session.printer.data(made)
