"""`writ intents sign` and `submit`: orders signed where no hub is reached, handed in later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from controlplane.cli.failures import CliError
from controlplane.cli.order_params import read_params
from controlplane.cli.session import Session

MAX_FILE_BYTES = 4 * 1024 * 1024


@click.command("sign")
@click.argument("agent_did")
@click.argument("action")
@click.option("-p", "params", multiple=True, metavar="KEY=VALUE", help="JSON if it reads as JSON.")
@click.option("--params", "params_file", type=click.File("r"), help="JSON or YAML; - for stdin.")
@click.option("--realm", default="default", show_default=True)
@click.option("--timeout", "timeout_seconds", default=300, type=click.IntRange(1, 86_400))
@click.option("--expires-in", default=86_400, type=click.IntRange(1, 30 * 86_400))
@click.option("--sign", "sign_key", metavar="KEY", help="Sign with this key (WRIT_OPERATOR_KEY).")
@click.option(
    "--delegation",
    "delegations",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="From the root to KEY, first link first: files with the signed documents.",
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="The signed order.")
@click.pass_obj
def sign_order(session: Session, /, agent_did: str, action: str, **options: Any) -> None:
    """Sign an order for AGENT_DID without asking any hub.

    What --out holds can be handed in by anybody, once: `writ intents submit FILE`.
    """
    from controlplane.cli.signing import new_intent_id, seal_order
    from protocol.errors import Error
    from protocol.messages import parse_payload

    key = session.operator_key(options["sign_key"])
    if key is None:
        raise click.UsageError("--sign KEY, or WRIT_OPERATOR_KEY")
    links = [_read_delegation(path) for path in options["delegations"]]
    payload: dict[str, Any] = {
        "action": action,
        "params": read_params(options),
        "realm": options["realm"],
        "timeoutSeconds": options["timeout_seconds"],
    }
    if links:
        payload["proof"] = [link.id for link in links]
        if links[-1].payload["subject"] != key.public_key.did:
            raise CliError("the last --delegation is not to this key", exit_code=2)
    try:
        parse_payload("intent", payload)
        order = seal_order(
            key,
            agent_did,
            payload,
            intent_id=new_intent_id(),
            lifetime_seconds=options["expires_in"],
        )
    except Error as exc:
        raise CliError(exc.message, code=exc.code, exit_code=2) from exc
    content = {
        "document": order.wire.decode(),
        "delegations": [link.wire.decode() for link in links],
    }
    Path(options["out"]).write_text(json.dumps(content) + "\n", "utf-8")
    session.printer.data({"id": order.id, "file": options["out"]})


@click.command("submit")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.pass_obj
def submit_order(session: Session, file: str) -> None:
    """Hand in an order that `writ intents sign` made; again gets the first answer."""
    content = _read_json(file)
    if not isinstance(content, dict) or not isinstance(content.get("document"), str):
        raise CliError(f"{file} holds no signed order", exit_code=2)
    batch = session.client.post("/intents/signed", content)
    session.printer.data(batch["intents"][0])


def _read_delegation(path: str) -> Any:
    from protocol.delegation import verify_link
    from protocol.envelope import parse_document
    from protocol.errors import Error

    content = _read_json(path)
    text = content.get("document") if isinstance(content, dict) else None
    try:
        return verify_link(parse_document(text or json.dumps(content))).envelope
    except Error as exc:
        raise CliError(f"{path} is no delegation: {exc.message}", exit_code=2) from exc


def _read_json(path: str) -> Any:
    data = Path(path).read_bytes()
    if len(data) > MAX_FILE_BYTES:
        raise CliError(f"{path} is too large", exit_code=2)
    try:
        return json.loads(data)
    except ValueError as exc:
        raise CliError(f"{path} is not JSON", exit_code=2) from exc
