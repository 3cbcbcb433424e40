"""`writ audit list|export|verify|prove`: read the record, take it away, prove it elsewhere."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from controlplane.cli.output import Column
from controlplane.cli.session import Session


@click.group()
def audit() -> None:
    """Read, export and verify the record."""


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--kind", help="Only entries of this kind.")
@click.option("--subject", help="Only entries about this id or DID.")
@click.pass_obj
def list_audit(session: Session, limit: int, kind: str | None, subject: str | None) -> None:
    """List entries, newest first."""
    page = session.client.pages("/audit", limit=limit, kind=kind, subject=subject)
    columns: list[Column] = [("INDEX", "index"), ("AT", "at"), ("KIND", "kind")]
    columns += [("ACTOR", "actor"), ("SUBJECT", "subject")]
    session.printer.listing(page, columns, empty="the record is empty")


@audit.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.pass_obj
def export_audit(session: Session, folder: Path) -> None:
    """Write the whole record into FOLDER, with everything an offline check needs."""
    from controlplane.cli.record import write_record

    show = session.printer.for_people and sys.stderr.isatty()

    def on_leaf(count: int) -> None:
        if show and count % 1000 == 0:
            click.echo(f"\r{count} leaves", nl=False, err=True)

    size = write_record(_lines(session), folder, on_leaf=on_leaf)
    session.printer.record(
        {"folder": str(folder), "leaves": size}, [("folder", "folder"), ("leaves", "leaves")]
    )
    session.printer.say(f"check it anywhere: writ audit verify {folder} --root did:key:...")


@audit.command("verify")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--root", "root_did", help="DID of the root you trust; default: of your profile.")
@click.pass_obj
def verify_audit(session: Session, folder: Path, root_did: str | None) -> None:
    """Check an exported record offline; exit 1 with the first bad index when it does not hold."""
    from controlplane.cli.failures import FAILED
    from controlplane.cli.record import BadRecordError, verify_record
    from controlplane.cli.verify import trusted_root

    try:
        report = verify_record(folder, root=trusted_root(root_did))
    except BadRecordError as exc:
        if not session.printer.for_people:
            session.printer.data({"ok": False, "index": exc.index, "says": exc.message})
            sys.exit(FAILED)
        raise
    value = {
        "ok": True,
        "leaves": report.size,
        "rootHash": base64.b64encode(report.root_hash).decode(),
        "origin": report.origin,
    }
    session.printer.record(value, [(name, name) for name in value])


@audit.command("prove")
@click.argument("what")
@click.option("--root", "root_did", help="DID of the root you trust; default: of your profile.")
@click.pass_obj
def prove_audit(session: Session, what: str, root_did: str | None) -> None:
    """Fetch and check the proof that WHAT (an index, or the id of an order) is in the record."""
    from controlplane.cli.record import verify_inclusion_answer
    from controlplane.cli.verify import trusted_root

    query: dict[str, Any] = {"index": int(what)} if what.isdigit() else {"intent": what}
    answer = session.client.get("/audit/proof/inclusion", **query)
    verify_inclusion_answer(answer, root=trusted_root(root_did))
    columns: list[Column] = [("index", "index"), ("size", "size"), ("leaf", "leaf")]
    session.printer.record({"ok": True, **answer}, columns)


def _lines(session: Session) -> Iterator[dict[str, Any]]:
    buffer = b""
    for piece in session.client.download("/audit/export"):
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)
    if buffer:
        yield json.loads(buffer)
