"""`writ delegations ...`: who may order what, lent, passed on, renewed and taken back.

With `--sign KEY` the document is made here and the hub only carries it; without, the hub signs
inside its own rights. `--out` needs no hub at all: for a root key on a machine that is off.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from controlplane.cli.client import segment
from controlplane.cli.delegation_tree import print_tree
from controlplane.cli.failures import CONFLICT, NOT_FOUND, USAGE, CliError
from controlplane.cli.fleet import find_agent
from controlplane.cli.output import Column
from controlplane.cli.session import Session
from controlplane.cli.signing import delegation_path
from protocol.ids import format_uuid7
from protocol.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from protocol.envelope import Envelope
    from protocol.keys import SigningKey

DEFAULT_LIFETIME = "90d"
_BACKDATE = timedelta(seconds=60)
_SAFETY_LIFETIME = timedelta(days=365)
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_sign = click.option("--sign", metavar="KEY", help="Sign here with this key (WRIT_OPERATOR_KEY).")


class Duration(click.ParamType[timedelta]):
    """Seconds, or a number with s, m, h or d behind it."""

    name = "duration"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the duration of a text such as 90d, 12h or 3600."""
        if isinstance(value, timedelta):
            return value
        text = str(value)
        unit = _UNITS.get(text[-1:], 0)
        digits = text[:-1] if unit else text
        if not (digits.isascii() and digits.isdigit() and 0 < int(digits) < 10**9):
            self.fail(f"{text!r} is no duration: 90d, 12h, 30m or seconds", param, ctx)
        return timedelta(seconds=int(digits) * (unit or 1))


@click.group()
def delegations() -> None:
    """See, lend, renew and take back who may order what."""


@delegations.command("list")
@click.option("--subject", help="Only delegations to this DID or user.")
@click.option("--issuer", help="Only delegations by this DID.")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_delegations(session: Session, subject: str | None, issuer: str | None, limit: int) -> None:
    """List the delegations the hub holds, newest first."""
    page = session.client.pages("/delegations", limit=limit, subject=subject, issuer=issuer)
    columns: list[Column] = [
        ("ID", "id"),
        ("SUBJECT", "subject"),
        ("ISSUER", "issuer"),
        ("EXPIRES", "expiresAt"),
        ("REVOKED", "revoked"),
        ("ACTIONS", lambda d: [c.get("action") for c in d.get("capabilities") or []]),
    ]
    session.printer.listing(page, columns, empty="no delegations")


@delegations.command("show")
@click.argument("which", required=False)
@click.pass_obj
def show_delegations(session: Session, which: str | None) -> None:
    """Show the tree from the root; WHICH (id, DID or user) only the chains to it."""
    if which is not None and not which.startswith(("did:", "user:")):
        found = session.client.get(f"/delegations/{segment(which)}")
        if not session.printer.for_people:
            session.printer.data(found)
            return
    about = session.client.get("/.well-known/writ.json")
    everything = session.client.pages("/delegations")["items"]
    if not session.printer.for_people:
        shown = [one for one in everything if which is None or one["subject"] == which]
        session.printer.data({"root": about["root"], "items": shown})
        return
    if not print_tree(about, everything, which):
        raise CliError(f"nothing was lent to {which}", exit_code=NOT_FOUND)


@delegations.command("issue")
@click.argument("subject")
@click.option("--action", "actions", multiple=True, required=True, help="files.read, files.*, *")
@click.option("--realm", "realms", multiple=True, help="Only there. Default: every realm.")
@click.option("--agent", "agents", multiple=True, help="Only this agent (name or DID).")
@click.option("--condition", "conditions", multiple=True, help="CEL that must be true.")
@click.option("--expires-in", type=Duration(), default=DEFAULT_LIFETIME, show_default=True)
@click.option("--max-depth", default=0, show_default=True, type=click.IntRange(0, 16))
@click.option("--budget", "budget", multiple=True, metavar="LIMIT=N", help="ordersPerHour=10")
@_sign
@click.option("--parent", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Sign without a hub.")
@click.pass_obj
def issue(session: Session, /, subject: str, sign: str | None, out: Path | None, **f: Any) -> None:
    """Let SUBJECT (DID, user:UUID) do these actions, here and until then.

    The key that signs must have been lent as much, with a depth left; the root needs nothing.
    """
    content: dict[str, Any] = {
        "subject": subject,
        "conditions": list(f["conditions"]),
        "maxDepth": f["max_depth"],
    }
    if f["budget"]:
        content["budget"] = _budget(f["budget"])
    key = session.operator_key(sign)
    if out is not None:
        if key is None:
            raise CliError("--out signs here: say with which key (--sign)", exit_code=USAGE)
        for agent in f["agents"]:
            if not agent.startswith("did:"):
                raise CliError("without a hub an agent is named by its DID", exit_code=USAGE)
        content["capabilities"] = _capabilities(f["actions"], f["realms"], f["agents"])
        parent = json.loads(f["parent"].read_text("utf-8")) if f["parent"] else None
        document = _seal(key, content, parent, f["expires_in"])
        if out.exists():
            raise CliError(f"{out} exists", exit_code=CONFLICT)
        out.write_bytes(document.wire + b"\n")
        _say_made(session, {"id": document.id, "subject": subject, "file": str(out)})
        return
    dids = [find_agent(session, agent)["did"] for agent in f["agents"]]
    content["capabilities"] = _capabilities(f["actions"], f["realms"], dids)
    _say_made(session, _issue(session, key, content, f["expires_in"]))


@delegations.command("post")
@click.argument("file", type=click.File("r"))
@click.pass_obj
def post(session: Session, file: Any) -> None:
    """Hand the hub a delegation that was signed elsewhere (`issue --out`)."""
    made = session.client.post("/delegations/signed", {"document": file.read().strip()})
    _say_made(session, made)


@delegations.command("renew")
@click.argument("delegation_id")
@click.option("--expires-in", type=Duration(), default=DEFAULT_LIFETIME, show_default=True)
@_sign
@click.pass_obj
def renew(session: Session, delegation_id: str, expires_in: timedelta, sign: str | None) -> None:
    """Lend the same again for longer, by a new delegation; the old one runs out by itself.

    What hangs under the old one names the old one: renew that too, from the top down.
    """
    old = session.client.get(f"/delegations/{segment(delegation_id)}")
    content = {name: old[name] for name in ("subject", "capabilities", "conditions", "maxDepth")}
    if old["budget"]:
        content["budget"] = old["budget"]
    key = session.operator_key(sign)
    hub = session.client.get("/.well-known/writ.json")["hub"]
    if key is None and old["issuer"] != hub:
        text = f"{old['issuer']} signed it: renew it with --sign that key"
        raise CliError(text, exit_code=USAGE)
    _say_made(session, _issue(session, key, content, expires_in))


@delegations.command("revoke")
@click.argument("delegation_id")
@click.option("--reason", default="", help="Kept in the record.")
@_sign
@click.pass_obj
def revoke(session: Session, delegation_id: str, reason: str, sign: str | None) -> None:
    """Take a delegation back, and with it everything that hangs under it."""
    key = session.operator_key(sign)
    if key is None:
        path = f"/delegations/{segment(delegation_id)}/revoke"
        answer = session.client.post(path, {"reason": reason})
    else:
        session.client.get(f"/delegations/{segment(delegation_id)}")
        _sign_revocations(session, key, add_delegations=(delegation_id,))
        answer = session.client.get(f"/delegations/{segment(delegation_id)}")
    columns: list[Column] = [("id", "id"), ("subject", "subject"), ("revoked", "revokedAt")]
    session.printer.record(answer, columns)


@delegations.command("revocations")
@click.option("--revoke-key", "add_keys", multiple=True, metavar="DID", help="Add this key.")
@click.option("--restore", "remove", multiple=True, metavar="ID|DID", help="Root only: take off.")
@_sign
@click.pass_obj
def revocations(
    session: Session, add_keys: tuple[str, ...], remove: tuple[str, ...], sign: str | None
) -> None:
    """Show the list of what is revoked; with --sign, put a longer or shorter one in force."""
    if add_keys or remove:
        key = session.operator_key(sign)
        if key is None:
            raise CliError("say with which key: --sign", exit_code=USAGE)
        answer = _sign_revocations(session, key, add_keys=add_keys, remove=remove)
    else:
        answer = session.client.get("/revocations")
    columns: list[Column] = [("epoch", "epoch"), ("keys", "keys"), ("delegations", "delegations")]
    session.printer.record(answer, columns)


def _issue(
    session: Session, key: SigningKey | None, content: dict[str, Any], lifetime: timedelta
) -> dict[str, Any]:
    if key is None:
        body = {**content, "expiresInSeconds": round(lifetime.total_seconds())}
        made: dict[str, Any] = session.client.post("/delegations", body)
        return made
    path = delegation_path(session, key.public_key.did)
    parent = None
    if path:
        held = session.client.get(f"/delegations/{segment(path[-1])}")
        parent = json.loads(held["document"])
    document = _seal(key, content, parent, lifetime)
    made = session.client.post("/delegations/signed", {"document": document.wire.decode()})
    return made


def _seal(
    key: SigningKey, content: dict[str, Any], parent: dict[str, Any] | None, lifetime: timedelta
) -> Envelope:
    from protocol.envelope import envelope_from_value, seal_document

    now = datetime.now(UTC)
    starts, expires, digest = now - _BACKDATE, now + lifetime, None
    if parent is not None:
        above = envelope_from_value(parent)
        assert above.expires is not None
        starts = max(starts, parse_timestamp(str(above.payload["notBefore"])))
        expires = min(expires, above.expires)
        digest = above.digest
    return seal_document(
        type="delegation",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=expires,
        audience="*",
        payload={**content, "notBefore": format_timestamp(starts), "parent": digest},
        signer=key,
    )


def _sign_revocations(
    session: Session,
    key: SigningKey,
    *,
    add_keys: tuple[str, ...] = (),
    add_delegations: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
) -> dict[str, Any]:
    from protocol.envelope import seal_document

    now = datetime.now(UTC)
    before = session.client.get("/revocations")
    payload: dict[str, Any] = {
        "epoch": before["epoch"] + 1,
        "keys": [d for d in dict.fromkeys([*before["keys"], *add_keys]) if d not in remove],
        "delegations": [
            one
            for one in dict.fromkeys([*before["delegations"], *add_delegations])
            if one not in remove
        ],
    }
    proof = delegation_path(session, key.public_key.did)
    if proof:
        payload["proof"] = proof
    document = seal_document(
        type="revocations",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + _SAFETY_LIFETIME,
        audience="*",
        payload=payload,
        signer=key,
    )
    answer: dict[str, Any] = session.client.post(
        "/revocations/signed", {"document": document.wire.decode()}
    )
    return answer


def _capabilities(actions: Any, realms: Any, agents: Any) -> list[dict[str, Any]]:
    bounds = {**({"realms": list(realms)} if realms else {})}
    if agents:
        bounds["agents"] = list(agents)
    return [{"action": action, **bounds} for action in actions]


def _budget(texts: tuple[str, ...]) -> dict[str, int]:
    budget = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not (name and number.isascii() and number.isdigit()):
            raise click.BadParameter(f"{text!r} is not LIMIT=NUMBER", param_hint="--budget")
        budget[name] = int(number)
    return budget


def _say_made(session: Session, made: dict[str, Any]) -> None:
    names = [name for name in ("id", "subject", "issuer", "expiresAt", "file") if name in made]
    session.printer.record(made, [(name, name) for name in names])
