"""`writ audit list|export|verify`: read the record, take it away, prove it elsewhere."""

from __future__ import annotations

import click

from controlplane.cli.output import Column
from controlplane.cli.session import Session


@click.group()
def audit() -> None:
    """Read, export and verify the record."""


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--kind", help="Only entries of this kind.")
@click.pass_obj
def list_audit(session: Session, limit: int, kind: str | None) -> None:
    """List entries, newest first."""
    page = session.client.pages("/audit", limit=limit, kind=kind)
    columns: list[Column] = [("INDEX", "index"), ("AT", "at"), ("KIND", "kind")]
    columns += [("ACTOR", "actor"), ("SUBJECT", "subject")]
    session.printer.listing(page, columns, empty="the record is empty")
