"""`writ audit list|export|verify|prove`: read the record, take it away, prove it elsewhere."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.output import Column
from controlplane.cli.session import Session

if TYPE_CHECKING:
    from protocol.cosignature import WitnessKey
    from protocol.keys import PublicKey


@click.group()
def audit() -> None:
    """Read, export and verify the record."""


def chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that choose entries; it takes them as `**chosen`."""
    for name, says in reversed(_CHOICES):
        command = click.option(f"--{name}", help=says)(command)
    return command


_CHOICES = (
    ("kind", "Only entries of this kind; intent.* for a family."),
    ("subject", "Only entries about this id or DID."),
    ("actor", "Only what this user, key or DID did."),
    ("realm", "Only entries of this realm."),
    ("since", "Only from this time on, such as 2026-01-31T00:00:00.000Z."),
    ("until", "Only before this time."),
)


@audit.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@chosen
@click.pass_obj
def list_audit(session: Session, /, limit: int, **chosen: str | None) -> None:
    """List entries, newest first."""
    page = session.client.pages("/audit", limit=limit, **chosen)
    columns: list[Column] = [("INDEX", "index"), ("AT", "at"), ("KIND", "kind")]
    columns += [("ACTOR", "actor"), ("BY", "assurance"), ("SUBJECT", "subject")]
    columns += [("REALM", "realms")]
    session.printer.listing(page, columns, empty="the record is empty")


@audit.command("export")
@click.argument("target", type=click.Path(path_type=Path), required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["proof", "jsonl", "cef"]),
    default="proof",
    show_default=True,
    help="A folder that proves itself, or lines for other programs.",
)
@chosen
@click.pass_obj
def export_audit(session: Session, /, target: Path | None, form: str, **chosen: str | None) -> None:
    """Write the record into TARGET: a folder with everything an offline check needs.

    With --format jsonl or cef TARGET is a file, standard output without it. Entries that were not
    chosen, or lie in other realms than yours, stand in the proof as hashes.
    """
    from controlplane.cli.failures import USAGE, CliError
    from controlplane.cli.record import write_record

    if form != "proof":
        with click.open_file(str(target or "-"), "wb") as file:
            for piece in session.client.download("/audit/export", format=form, **chosen):
                file.write(piece)
        return
    if target is None:
        raise CliError("say which folder to write", exit_code=USAGE)
    show = session.printer.for_people and sys.stderr.isatty()

    def on_leaf(count: int) -> None:
        if show and count % 1000 == 0:
            click.echo(f"\r{count} leaves", nl=False, err=True)

    size = write_record(_lines(session, chosen), target, on_leaf=on_leaf)
    session.printer.record(
        {"folder": str(target), "leaves": size}, [("folder", "folder"), ("leaves", "leaves")]
    )
    session.printer.say(f"check it anywhere: writ audit verify {target} --root did:key:...")


@audit.command("verify")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--root", "root_did", help="DID of the root you trust; default: of your profile.")
@click.option(
    "--witness",
    "witnesses",
    multiple=True,
    metavar="KEY",
    help="A witness that must have cosigned: its verifier key or DID. Can be repeated.",
)
@click.pass_obj
def verify_audit(
    session: Session, folder: Path, root_did: str | None, witnesses: tuple[str, ...]
) -> None:
    """Check an exported record offline; exit 1 with the first bad index when it does not hold."""
    from controlplane.cli.failures import FAILED
    from controlplane.cli.record import BadRecordError, verify_record
    from controlplane.cli.verify import trusted_root

    demanded = [_witness_key(one) for one in witnesses]
    try:
        report = verify_record(folder, root=trusted_root(root_did), witnesses=demanded)
    except BadRecordError as exc:
        if not session.printer.for_people:
            session.printer.data({"ok": False, "index": exc.index, "says": exc.message})
            sys.exit(FAILED)
        raise
    value = {
        "ok": True,
        "leaves": report.size,
        "shown": report.shown,
        "personal": report.personal,
        "rootHash": base64.b64encode(report.root_hash).decode(),
        "origin": report.origin,
    }
    if report.witnessed is not None:
        value["witnessed"] = report.witnessed
    session.printer.record(value, [(name, name) for name in value])


def _witness_key(text: str) -> WitnessKey:
    from controlplane.cli.failures import USAGE, CliError
    from protocol.cosignature import parse_witness_key
    from protocol.errors import Error

    try:
        return parse_witness_key(text)
    except Error as exc:
        raise CliError(f"{text!r} is not the key of a witness", exit_code=USAGE) from exc


@audit.command("witness")
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(dir_okay=False),
    help="The witness's own key; writ keys new FILE makes one.",
)
@click.option("--root", "root_did", help="DID of the root you trust; default: of your profile.")
@click.option("--name", help="The witness's name in the note; default: made of its key.")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File with the highest checkpoint seen; default: in your data folder.",
)
@click.option(
    "--every", type=click.FloatRange(min=0), metavar="SECONDS", help="Go on, look so often."
)
@click.pass_obj
def witness_audit(
    session: Session,
    key_file: str,
    root_did: str | None,
    name: str | None,
    state: Path | None,
    every: float | None,
) -> None:
    """Watch from another machine that the record only grows, and cosign what was seen.

    Exit 1 with log_fork when the hub shows a record that does not contain the one before: then
    nothing is signed, and both checkpoints are kept beside the state file as evidence.
    """
    from controlplane.cli.failures import USAGE, CliError, UnreachableError
    from controlplane.cli.verify import trusted_root
    from controlplane.cli.witness import Witness

    signer = session.operator_key(key_file)
    assert signer is not None
    root = trusted_root(root_did)
    witness = Witness(
        root,
        signer,
        name or f"writ.v1/witness/{signer.public_key.multikey}",
        state or _witness_state(root, signer.public_key),
    )
    try:
        verifier = witness.verifier
    except ValueError as exc:
        raise CliError(str(exc), exit_code=USAGE) from exc
    while True:
        try:
            seen = witness.watch_once(session.client, unix_seconds=int(time.time()))
        except UnreachableError as exc:
            if every is None:
                raise
            # A hub that is away is not a fork; what it shows when it is back is judged the same.
            click.echo(f"writ: {exc.message}", err=True)
        else:
            value = {
                "cosigned": seen.size,
                "before": seen.before,
                "origin": seen.origin,
                "rootHash": base64.b64encode(seen.root_hash).decode(),
                "witness": verifier,
            }
            session.printer.record(value, [(one, one) for one in value])
        if every is None:
            return
        time.sleep(every)


@audit.command("report-fork")
@click.argument("evidence", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def report_fork_of(session: Session, evidence: Path) -> None:
    """Hand the hub the EVIDENCE a witness has kept: a file of two checkpoints (.fork.json)."""
    from controlplane.cli.failures import USAGE, CliError
    from controlplane.cli.witness import report_fork

    try:
        held = json.loads(evidence.read_bytes())
        before, after = str(held["seenBefore"]), str(held["shownNow"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise CliError(f"{evidence} is no evidence of a fork", exit_code=USAGE) from exc
    report = report_fork(session.client, seen_before=before, shown_now=after)
    session.printer.record(report, [("id", "id"), ("why", "why")])


def _witness_state(root: PublicKey, key: PublicKey) -> Path:
    import platformdirs

    folder = Path(platformdirs.user_data_dir("writ", appauthor=False)) / "witness"
    return folder / f"{root.multikey}-{key.multikey}.json"


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


def _lines(session: Session, chosen: dict[str, str | None]) -> Iterator[dict[str, Any]]:
    buffer = b""
    for piece in session.client.download("/audit/export", **chosen):
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            yield json.loads(line)
    if buffer:
        yield json.loads(buffer)
