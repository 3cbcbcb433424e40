"""Join tokens: single-use tickets into the fleet (SPEC section 5).

The secret is shown once, in the token. What is kept is its SHA-256, sealed with a data key of the
realm, so that neither a copied database nor a log lets anybody in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, holds_all, realms_with
from controlplane.context import Hub
from controlplane.errors import AccessDeniedError, HiddenError, InvalidFieldError
from protocol import limits
from protocol.ids import is_action_pattern
from storage.pages import Page
from storage.records import JoinTokenRecord
from storage.unit_of_work import UnitOfWork

MAX_LIFETIME_SECONDS = 30 * 86_400
DEFAULT_REALM = "default"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as it is shown, once."""

    id: str
    token: str
    expires_at: datetime


def secret_place(token_id: str) -> str:
    """Return the place that a join token's key is sealed for."""
    return f"join_tokens/{token_id}/key"


def format_join_token(hub_url: str, root_did: str, token_id: str, secret: bytes) -> str:
    """Return `writ-join:` and what an agent needs to find, trust and convince the hub."""
    content = {
        "hub": hub_url,
        "root": root_did,
        "id": token_id,
        "secret": base64.urlsafe_b64encode(secret).rstrip(b"=").decode(),
    }
    text = base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode())
    return "writ-join:" + text.rstrip(b"=").decode()


async def create_join_token(
    hub: Hub,
    actor: Actor,
    *,
    hub_url: str,
    realm: str | None,
    name: str | None,
    auto_approve: bool,
    expires_in_seconds: int | None,
    capabilities: Sequence[str] | None,
) -> IssuedToken:
    """Make a token; its secret is in the answer and nowhere else.

    Raises:
        AccessDeniedError: the caller may not enrol in that realm, or not grant those actions.
        InvalidFieldError: no such realm, or not an action pattern.
    """
    chosen = realm or DEFAULT_REALM
    authorize(actor, "enrolment.manage", realm=chosen)
    if auto_approve and capabilities and not holds_all(actor, ("policies.write",), chosen):
        raise AccessDeniedError("needs policies.write to grant capabilities")
    for index, pattern in enumerate(capabilities or ()):
        if not is_action_pattern(pattern):
            raise InvalidFieldError("an action or a pattern", pointer=f"/capabilities/{index}")
    if not await hub.secrets.prepare(chosen):
        raise InvalidFieldError(f"no realm {chosen}", pointer="/realm")
    now = clock.now()
    lifetime = (
        limits.JOIN_TOKEN_LIFETIME
        if expires_in_seconds is None
        else timedelta(seconds=expires_in_seconds)
    )
    token_id, secret = clock.new_id(), os.urandom(limits.JOIN_SECRET_BYTES)
    key = hashlib.sha256(secret).digest()
    record = JoinTokenRecord(
        id=token_id,
        sealed_secret=hub.secrets.seal(key, place=secret_place(token_id), realm=chosen),
        created_by=actor.subject,
        created_at=now,
        expires_at=now + lifetime,
        realm=chosen,
        name_pattern=name or "*",
        auto_approve=auto_approve,
        capabilities=None if capabilities is None else tuple(capabilities),
    )

    def unit(uow: UnitOfWork) -> None:
        if uow.realms.get(chosen) is None:
            raise InvalidFieldError(f"no realm {chosen}", pointer="/realm")
        uow.join_tokens.add(record)
        uow.audit.append(
            "join_token.created",
            actor.subject,
            token_id,
            {"realm": chosen, "autoApprove": auto_approve},
            realms=(chosen,),
            personal={"name": record.name_pattern},
            at=now,
        )

    await hub.database.write(unit)
    token = format_join_token(hub_url, hub.identity.root_did, token_id, secret)
    return IssuedToken(token_id, token, record.expires_at)


async def list_join_tokens(
    hub: Hub, actor: Actor, limit: int, cursor: str | None
) -> Page[JoinTokenRecord]:
    """Return a page of the tokens of the caller's realms, newest first."""
    realms = realms_with(actor, "enrolment.manage")
    return await hub.database.read(
        lambda uow: uow.join_tokens.list(realms=realms, limit=limit, cursor=cursor)
    )


async def revoke_join_token(hub: Hub, actor: Actor, token_id: str) -> None:
    """Make a token worthless; one that is used, revoked or expired already stays as it is."""

    def unit(uow: UnitOfWork) -> None:
        token = uow.join_tokens.get(token_id)
        realms = realms_with(actor, "enrolment.manage")
        if token is None or (realms is not None and token.realm not in realms):
            raise HiddenError("no such join token")
        if uow.join_tokens.revoke(token_id):
            within = () if token.realm is None else (token.realm,)
            uow.audit.append("join_token.revoked", actor.subject, token_id, {}, realms=within)

    await hub.database.write(unit)
