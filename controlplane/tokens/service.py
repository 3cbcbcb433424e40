"""Tokens for other services: who may have one, for whom, and what it says.

A token says who its bearer is, in one realm, to one service, for a minute. It is no credential of
this hub, and never says more than its bearer may at the moment it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from controlplane import clock
from controlplane.access.attempts import bound_by, count_attempt
from controlplane.access.authorize import Actor, authorize
from controlplane.access.permissions import PERMISSIONS
from controlplane.errors import AccessDeniedError, InvalidFieldError
from controlplane.first_start import DEFAULT_REALM
from controlplane.token_keys import TOKEN_SECONDS
from protocol.errors import NotGrantedError, PersonNotGrantedError, UnknownIntentError
from protocol.lifecycle import TERMINAL

if TYPE_CHECKING:
    from controlplane.context import Hub
    from storage.records import IntentRecord
    from storage.unit_of_work import UnitOfWork

MAX_SCOPES: Final = 64
_USER: Final = "user:"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its bearer gets it, and nobody else."""

    token: str
    id: str
    subject: str
    audience: str
    realm: str
    expires_at: datetime


def issuer_of(hub: Hub) -> str:
    """Return what tokens name as their issuer: the hub's public URL, or its DID where it has none.

    Below that URL, `/.well-known/jwks.json` has the keys.
    """
    return hub.settings.public_url.rstrip("/") or hub.identity.hub_did


async def issue_token(
    hub: Hub, actor: Actor, *, audience: str, realm: str | None, scopes: Sequence[str]
) -> IssuedToken:
    """Return a token that says to `audience` who the caller is.

    Args:
        hub: the hub.
        actor: the caller.
        audience: one of the services of the realm, or of the whole hub.
        realm: where the caller acts; `default` without one.
        scopes: permissions it shall name, each of which the caller holds there.

    Raises:
        AccessDeniedError: not in that realm, not for that service, or a scope they do not hold.
        InvalidFieldError: no such permission.
        TooManyAttemptsError: too many tokens in five minutes.
    """
    chosen = realm or actor.realm or DEFAULT_REALM
    authorize(actor, "tokens.create", realm=chosen)
    for index, scope in enumerate(scopes):
        if scope not in PERMISSIONS:
            raise InvalidFieldError("no such permission", pointer=f"/scopes/{index}")
        authorize(actor, scope, realm=chosen)
    bound = bound_by("tokens", actor.subject, most=hub.settings.tokens_per_caller)
    await count_attempt(hub.database, [bound])
    claims: dict[str, Any] = {"sub": actor.subject, "name": actor.name}
    if scopes:
        claims["scope"] = " ".join(dict.fromkeys(scopes))
    if actor.key_id is not None and actor.kind == "user":
        claims["act"] = {"sub": f"key:{actor.key_id}"}

    def unit(uow: UnitOfWork) -> IssuedToken:
        if not _is_service_of(uow, hub, audience, chosen):
            raise AccessDeniedError("no tokens for this audience in this realm")
        return _issue(uow, hub, claims, audience, chosen)

    return await hub.database.write(unit)


async def issue_agent_token(hub: Hub, did: str, *, intent_id: str, audience: str) -> IssuedToken:
    """Return a token that says to `audience` which agent works on which order, and for whom.

    Raises:
        UnknownIntentError: no open order of this agent.
        NotGrantedError: not a service of the order's realm, or the agent is stopped.
        PersonNotGrantedError: whoever the order is for, or came from, may not be here any more.
        TooManyAttemptsError: too many tokens in five minutes.
    """
    bound = bound_by("tokens", did, most=hub.settings.tokens_per_caller)
    await count_attempt(hub.database, [bound])

    def unit(uow: UnitOfWork) -> IssuedToken:
        intent = _open_order(uow, did, intent_id)
        if not _is_service_of(uow, hub, audience, intent.realm):
            raise NotGrantedError("no tokens for this audience in this realm")
        claims: dict[str, Any] = {
            "sub": did,
            "name": intent.agent_name,
            "intent": intent.id,
            "action": intent.action,
            "ordered_by": intent.submitted_by,
        }
        if intent.on_behalf_of is not None:
            claims["on_behalf_of"] = intent.on_behalf_of
        return _issue(uow, hub, claims, audience, intent.realm)

    return await hub.database.write(unit)


def _open_order(uow: UnitOfWork, did: str, intent_id: str) -> IntentRecord:
    intent = uow.intents.get(intent_id)
    if intent is None or intent.agent_did != did or intent.state in TERMINAL:
        raise UnknownIntentError("no open order of this agent")
    agent = uow.agents.get(did)
    if agent is None or agent.state != "active" or intent.realm not in agent.realms:
        raise NotGrantedError("this agent may not act there now")
    for party in (intent.on_behalf_of, intent.submitted_by):
        if party is not None and party.startswith(_USER):
            person = uow.users.get(party.removeprefix(_USER))
            if person is None or person.state != "active":
                raise PersonNotGrantedError("whoever this order is for is not here any more")
    return intent


def _is_service_of(uow: UnitOfWork, hub: Hub, audience: str, realm: str) -> bool:
    if audience in hub.settings.token_audiences:
        return True
    found = uow.realms.get(realm)
    return found is not None and audience in found.audiences


def _issue(
    uow: UnitOfWork, hub: Hub, claims: dict[str, Any], audience: str, realm: str
) -> IssuedToken:
    now, id = clock.now(), clock.new_id()
    issued_at = int(now.timestamp())
    expires_at = issued_at + TOKEN_SECONDS
    said = {
        "iss": issuer_of(hub),
        **claims,
        "aud": audience,
        "realm": realm,
        "iat": issued_at,
        "exp": expires_at,
        "jti": id,
    }
    token = hub.token_keys.sign(said, now)
    noted = {"audience": audience}
    if "intent" in claims:
        noted["intent"] = claims["intent"]
    uow.audit.append("token.issued", claims["sub"], id, noted, realms=(realm,), at=now)
    ends = now.replace(microsecond=0) + timedelta(seconds=TOKEN_SECONDS)
    return IssuedToken(token, id, claims["sub"], audience, realm, ends)
