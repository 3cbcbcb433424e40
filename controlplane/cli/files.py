"""`writ files put|get|list`: the hub's file store from a shell."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import CliError
from controlplane.cli.session import Session


@click.group()
def files() -> None:
    """Put and get files of the hub's store."""


@files.command("put")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name in the store; default: the file's own.")
@click.option("--realm", default="default", show_default=True)
@click.pass_obj
def put_file(session: Session, source: Path, name: str | None, realm: str) -> None:
    """Upload one file."""
    from urllib3.filepost import encode_multipart_formdata

    data = source.read_bytes()
    fields: Any = {
        "realm": realm,
        "file": (name or source.name, data, "application/octet-stream"),
    }
    body, content_type = encode_multipart_formdata(fields)
    made = session.client.request(
        "POST", "/files", body=body, headers={"Content-Type": content_type}
    )
    if made.get("sha256") not in (None, hashlib.sha256(data).hexdigest()):
        raise CliError("the hub stored other bytes than were sent", code="bad_digest")
    session.printer.record(made, [("id", "id"), ("name", "name"), ("bytes", "bytes")])


@files.command("get")
@click.argument("file_id")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Default: standard output.")
@click.pass_obj
def get_file(session: Session, file_id: str, target: Path | None) -> None:
    """Download one file by id."""
    pieces = session.client.download(f"/files/{segment(file_id)}/content")
    if target is None:
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    part = target.with_name(target.name + ".part")
    with part.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    part.replace(target)
    session.printer.say(f"wrote {target}")


@files.command("list")
@click.option("--realm")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_files(session: Session, realm: str | None, limit: int) -> None:
    """List the files you may see."""
    page = session.client.pages("/files", limit=limit, realm=realm)
    columns: Any = [("ID", "id"), ("NAME", "name"), ("BYTES", "bytes"), ("CREATED", "createdAt")]
    session.printer.listing(page, columns, empty="no files")
