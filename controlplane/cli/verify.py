"""`writ verify FILE`: prove stored documents with nothing but a root DID; no hub, no network.

FILE is one signed document, the `documents` object of an order, or a whole order as
`writ --json intents show` prints it. Delegations that lead from the root to the signer are taken
from the same file, or from `--with`.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from controlplane.cli.failures import FAILED, USAGE, CliError
from controlplane.cli.session import Session
from protocol.capabilities import covers_order
from protocol.delegation import Chain, Link, RevocationView, verify_chain, verify_link
from protocol.envelope import Envelope, envelope_from_value, parse_document
from protocol.errors import Error
from protocol.keys import PublicKey
from protocol.strict_json import parse_strict_json
from protocol.timestamps import format_timestamp
from protocol.verification import verify_document_offline

MAX_FILE_BYTES = 64 * 1024 * 1024


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--root", "root_did", help="DID of the root you trust; default: of your profile.")
@click.option("--with", "extra", type=click.Path(exists=True), multiple=True, help="Delegations.")
@click.pass_context
def verify(ctx: click.Context, file: str, root_did: str | None, extra: tuple[str, ...]) -> None:
    """Prove every document in FILE: signature, chain from the root, result against its order.

    Exit code 0 when everything holds, 1 at the first thing that does not.
    """
    session: Session = ctx.obj
    root = trusted_root(root_did)
    documents = read_documents(file)
    for path in extra:
        documents.extend(read_documents(path))
    report = prove(documents, root=root)
    if session.printer.for_people:
        for row in report:
            mark = click.style("ok  ", fg="green") if row["ok"] else click.style("BAD ", fg="red")
            click.echo(f"{mark}{row['type']:<12} {row['id']}  {row['says']}")
    else:
        ok = all(row["ok"] for row in report)
        session.printer.data({"ok": ok, "root": root.did, "documents": report})
    ctx.exit(0 if all(row["ok"] for row in report) else FAILED)


def prove(documents: list[Envelope], *, root: PublicKey) -> list[dict[str, Any]]:
    """Return one row a document: what it is, whether it holds, and why or why not.

    An order holds when a chain of valid delegations led from `root` to its signer at the time it
    was signed; a result when it is signed by the order's own agent and names the order's digest.
    """
    held: dict[str, Link] = {}
    for one in documents:
        if one.type == "delegation":
            try:
                held[one.id] = verify_link(one)
            except Error:
                continue
    intents = {one.id: one for one in documents if one.type == "intent"}
    rows = []
    for one in documents:
        row: dict[str, Any] = {"type": one.type, "id": one.id, "signer": one.sender_did}
        row["timestamp"] = format_timestamp(one.timestamp)
        try:
            row.update(ok=True, says=_prove_one(one, root=root, held=held, intents=intents))
        except Error as exc:
            code = (exc.problem_code if isinstance(exc, CliError) else None) or exc.code
            row.update(ok=False, says=f"{code}: {exc.message}", code=code)
        rows.append(row)
    return rows


def _prove_one(
    document: Envelope,
    *,
    root: PublicKey,
    held: dict[str, Link],
    intents: dict[str, Envelope],
) -> str:
    verified = verify_document_offline(document, at=None)
    payload = verified.payload
    if document.type == "result":
        return _prove_result(document, payload, intents)
    if document.type == "delegation":
        path = path_to(document.public_key, root=root, held=held)
        _check_chain(document.public_key, root, path, held, document.timestamp)
        return f"from {_who(document.public_key, root)} to {payload.subject}"
    proof = list(payload.proof) if getattr(payload, "proof", None) else None
    path = proof or path_to(document.public_key, root=root, held=held)
    chain = _check_chain(document.public_key, root, path, held, document.timestamp)
    if document.type != "intent":
        return f"signed by {_who(document.public_key, root)}, {len(chain.links)} links"
    for link in chain.links:
        if not any(
            covers_order(one, action=payload.action, realm=payload.realm, agent=document.audience)
            for one in link.delegation.capabilities
        ):
            raise CliError(f"link {link.envelope.id} does not cover it", code="not_granted")
    return f"{payload.action} ordered by {_who(document.public_key, root)}, {len(path)} links"


def _prove_result(document: Envelope, payload: Any, intents: dict[str, Envelope]) -> str:
    intent = intents.get(payload.intent_id)
    if intent is None:
        raise CliError("its order is not in the file", code="no_intent")
    if intent.digest != payload.intent_digest:
        raise CliError("it answers other bytes than the order's", code="bad_digest")
    if document.sender_did != intent.audience:
        raise CliError("signed by another key than the ordered agent's", code="wrong_key")
    return f"{payload.status} by {document.sender_did}"


def _check_chain(
    signer: PublicKey, root: PublicKey, path: list[str], held: dict[str, Link], at: datetime
) -> Chain:
    return verify_chain(
        root=root,
        signer=signer,
        proof=path,
        held=held,
        hub=None,
        hub_delegation_id=None,
        revocations=RevocationView(),
        now=at,
        forbid_hub=False,
    )


def path_to(signer: PublicKey, *, root: PublicKey, held: dict[str, Link]) -> list[str]:
    """Return ids of held delegations from `root` to `signer`, first link first; [] for the root."""
    path: list[str] = []
    subject = signer.did
    while subject != root.did and len(path) < 6:
        links = [one for one in held.values() if one.delegation.subject == subject]
        if not links:
            break
        newest = max(links, key=lambda one: one.envelope.timestamp)
        path.insert(0, newest.envelope.id)
        subject = newest.envelope.sender_did
    return path


def read_documents(path: str) -> list[Envelope]:
    """Return every signed document in a file, as its exact bytes where they were kept as text.

    Raises:
        CliError: nothing in the file is a signed document.
    """
    with click.open_file(path, "rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise CliError(f"{path} is larger than {MAX_FILE_BYTES} bytes", exit_code=USAGE)
    value = _loads(data)
    found: list[Envelope] = []
    if isinstance(value, dict) and "signature" in value:
        found.append(parse_document(data.strip()))
    else:
        _collect(value, found)
    if not found:
        raise CliError(f"{path} holds no signed document", exit_code=USAGE)
    return found


def _loads(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise CliError("not JSON", exit_code=USAGE, code="bad_json") from exc


def _collect(value: Any, found: list[Envelope]) -> None:
    if isinstance(value, str) and '"signature"' in value:
        found.append(parse_document(value))
    elif isinstance(value, dict) and "signature" in value:
        found.append(envelope_from_value(parse_strict_json(json.dumps(value))))
    elif isinstance(value, dict):
        for name, child in value.items():
            if name in ("documents", "intent", "result", "delegations", "approvals", "items"):
                _collect(child, found)
    elif isinstance(value, list):
        for child in value:
            _collect(child, found)


def save_documents(intent: dict[str, Any], folder: str) -> list[Path]:
    """Write the signed documents of an order as files, byte for byte; return the paths."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    documents = intent["documents"]
    named = [("intent", documents.get("intent")), ("result", documents.get("result"))]
    for group in ("delegations", "approvals"):
        for number, text in enumerate(documents.get(group) or []):
            named.append((f"{group.removesuffix('s')}-{number}", text))
    paths = []
    for name, text in named:
        if text is not None:
            path = target / f"{name}.json"
            path.write_bytes(text.encode())
            paths.append(path)
    bundle = target / "bundle.json"
    bundle.write_text(json.dumps({"documents": documents}, ensure_ascii=False))
    return [*paths, bundle]


def _who(key: PublicKey, root: PublicKey) -> str:
    return "the root" if key == root else key.did


def trusted_root(did: str | None) -> PublicKey:
    """Return the root to check against: the one named, else the one of the default profile.

    Raises:
        CliError: neither, or not a did:key of an Ed25519 key.
    """
    if did is None:
        from controlplane.cli.profiles import choose_profile

        profile = choose_profile(None)
        did = profile.root if profile else None
    if did is None:
        raise CliError("say which root you trust: --root did:key:...", exit_code=USAGE)
    try:
        return PublicKey.parse_did(did)
    except Error as exc:
        raise CliError(f"{did!r} is not the DID of a root", exit_code=USAGE) from exc
