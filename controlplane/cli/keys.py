"""`writ keys new|show`: signing keys of operators and roots, made and kept on this machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import click

from controlplane.cli.failures import CONFLICT, CliError
from controlplane.cli.session import Session


@click.group()
def keys() -> None:
    """Make and show signing keys."""


@keys.command("new")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--passphrase", is_flag=True, help="Ask for one (WRIT_KEY_PASSPHRASE is read too).")
@click.pass_obj
def new_key(session: Session, file: str, passphrase: bool) -> None:
    """Make an Ed25519 key in FILE (PKCS#8 PEM, readable for you alone)."""
    from controlplane.key_files import save_private_key
    from protocol.keys import SigningKey

    if os.path.exists(file):
        raise CliError(f"{file} exists; a key is never overwritten", exit_code=CONFLICT)
    secret = os.environ.get("WRIT_KEY_PASSPHRASE")
    if passphrase and not secret:
        secret = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    key = SigningKey.from_seed(secrets.token_bytes(32))
    save_private_key(Path(file), key, secret.encode() if secret else None)
    _show(session, file, key.public_key.did, key.public_key.multikey)


@keys.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.pass_obj
def show_key(session: Session, file: str) -> None:
    """Show the public part of a key file."""
    from controlplane.key_files import load_private_key

    secret = os.environ.get("WRIT_KEY_PASSPHRASE")
    key = load_private_key(Path(file), secret.encode() if secret else None)
    _show(session, file, key.public_key.did, key.public_key.multikey)


def _show(session: Session, file: str, did: str, multikey: str) -> None:
    value = {"file": file, "did": did, "publicKey": multikey}
    session.printer.record(value, [("did", "did"), ("publicKey", "publicKey"), ("file", "file")])
