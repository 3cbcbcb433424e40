"""`writ files put|get|list|rm`: the hub's file store from a shell; nothing is held in memory."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from controlplane.cli.client import segment
from controlplane.cli.failures import CONFLICT, CliError
from controlplane.cli.output import Column
from controlplane.cli.session import Session

CHUNK_BYTES = 256 * 1024
UPLOAD_SECONDS = 3_600.0
COLUMNS: list[Column] = [
    ("ID", "id"),
    ("NAME", "name"),
    ("BYTES", "bytes"),
    ("REALM", "realm"),
    ("CREATED", "createdAt"),
]


@click.group()
def files() -> None:
    """Put and get files of the hub's store."""


@files.command("put")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="Name in the store; default: the file's own.")
@click.option("--realm", default="default", show_default=True, help="Whose file it will be.")
@click.pass_obj
def put_file(session: Session, source: Path, name: str | None, realm: str) -> None:
    """Upload one file and check that the hub stored exactly its bytes."""
    try:
        file = source.open("rb")
    except OSError as exc:
        raise CliError(f"cannot read {source}: {exc.strerror}") from exc
    with file, _progress(session, source.name, os.fstat(file.fileno()).st_size) as show:
        form = FormUpload(file, name=name or source.name, realm=realm, show=show)
        made = session.client.request(
            "POST", "/files", stream=form, headers=form.headers, timeout_seconds=UPLOAD_SECONDS
        )
    if made["sha256"] != form.sha256:
        raise CliError("the hub stored other bytes than were sent", code="bad_digest")
    columns: list[Column] = [("id", "id"), ("name", "name"), ("bytes", "bytes")]
    session.printer.record(made, [*columns, ("sha256", "sha256"), ("realm", "realm")])


@files.command("get")
@click.argument("file_id")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    help="A file, or a folder to put it into under its id; default: standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file at --to.")
@click.pass_obj
def get_file(session: Session, file_id: str, target: Path | None, force: bool) -> None:
    """Download one file by id; what does not have its digest is not kept."""
    path = f"/files/{segment(file_id)}"
    about = session.client.get(path)
    if target is None:
        stdout = sys.stdout.buffer
        _receive(session, path, about, stdout, show=not sys.stdout.isatty())
        stdout.flush()
        return
    if target.is_dir():
        # Names in the store are data and may say anything; ids are safe as names of files.
        target = target / about["id"]
    if target.exists() and not force:
        raise CliError(f"{target} exists; --force replaces it", exit_code=CONFLICT)
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            _receive(session, path, about, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as exc:
        raise CliError(f"cannot write {target}: {exc.strerror}") from exc
    finally:
        part.unlink(missing_ok=True)
    session.printer.say(f"wrote {target}")
    if not session.printer.for_people:
        session.printer.data({**about, "file": str(target)})


@files.command("list")
@click.option("--realm", help="Only files of this realm.")
@click.option("--intent", help="Only outputs of this order.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_files(session: Session, realm: str | None, intent: str | None, limit: int) -> None:
    """List the files you may see, newest first."""
    page = session.client.pages("/files", limit=limit, realm=realm, intent=intent)
    session.printer.listing(page, COLUMNS, empty="no files yet: writ files put FILE")


@files.command("rm")
@click.argument("file_id")
@click.pass_obj
def remove_file(session: Session, file_id: str) -> None:
    """Remove one file by id, for everybody and for good."""
    session.client.delete(f"/files/{segment(file_id)}")
    session.printer.say("removed")


class FormUpload:
    """A form with one file as a readable stream of known length.

    Args:
        file: read once, from where it stands.
        name: in the store.
        realm: whose file it will be.
        show: called with the number of bytes sent, for a progress bar.
    """

    def __init__(self, file: BinaryIO, *, name: str, realm: str, show: Any) -> None:
        boundary = secrets.token_hex(16)
        fields = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in (("realm", realm), ("name", name))
        )
        file_head = 'Content-Disposition: form-data; name="file"; filename="file"'
        kind = "Content-Type: application/octet-stream"
        self._head = f"{fields}--{boundary}\r\n{file_head}\r\n{kind}\r\n\r\n".encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self._file = file
        self._size_bytes = os.fstat(file.fileno()).st_size
        self._digest = hashlib.sha256()
        self._show = show
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._size_bytes + len(self._tail)),
        }

    @property
    def sha256(self) -> str:
        """Hex digest of the file's bytes that were sent."""
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        left = self._size_bytes
        while left > 0:
            piece = self._file.read(min(CHUNK_BYTES, left))
            if not piece:
                raise CliError("the file became shorter while it was sent")
            left -= len(piece)
            self._digest.update(piece)
            yield piece
            self._show(len(piece))
        yield self._tail


def _receive(
    session: Session, path: str, about: dict[str, Any], file: BinaryIO, *, show: bool = True
) -> None:
    digest = hashlib.sha256()
    size_bytes = 0
    with _progress(session, about["name"], about["bytes"] if show else 0) as bar:
        for piece in session.client.download(f"{path}/content"):
            file.write(piece)
            digest.update(piece)
            size_bytes += len(piece)
            bar(len(piece))
    if size_bytes != about["bytes"] or digest.hexdigest() != about["sha256"]:
        raise CliError("the hub sent other bytes than the file has", code="bad_digest")


@contextlib.contextmanager
def _progress(session: Session, label: str, size_bytes: int) -> Iterator[Any]:
    """Yield what is called with each number of bytes; a bar where a person waits at a terminal."""
    if not (size_bytes and session.printer.for_people and sys.stderr.isatty()):
        yield lambda count: None
        return
    from controlplane.cli.output import fit
    from controlplane.cli.plain_text import clean

    shown = fit(clean(label), 24)
    with click.progressbar(length=size_bytes, label=shown, file=sys.stderr, width=0) as bar:
        yield bar.update
