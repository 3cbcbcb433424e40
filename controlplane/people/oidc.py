"""Signing in by an OpenID provider (code flow with PKCE), and roles from its groups.

Who somebody is there is known by issuer and subject, never by e-mail or name.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import structlog

from controlplane import clock
from controlplane.access.oidc_provider import OidcProvider
from controlplane.access.oidc_tokens import TokenError, groups_of, new_pkce
from controlplane.access.permissions import ROLES, rung_of
from controlplane.access.session_tokens import secret_hash
from controlplane.context import Hub
from controlplane.errors import HiddenError, SignInError
from controlplane.people.realms import enter_realm, is_last_owner_of
from controlplane.people.sign_in import SignedIn, Visitor, count_sign_in, start_session
from controlplane.people.standing import settle_grants
from controlplane.people.users import OWNER, is_last_owner
from controlplane.settings import OidcIssuer
from protocol.audit_leaf import Assurance
from storage.records import CeremonyRecord, IdentityRecord, UserRecord
from storage.unit_of_work import UnitOfWork

BY_OIDC: Final = "oidc"
LIFETIME: Final = timedelta(minutes=10)
_KIND: Final = "oidc"
_ODD = re.compile(r"[^A-Za-z0-9._@+-]+")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where the browser goes, and what it must bring back as a cookie."""

    url: str
    browser: str


def provider_named(hub: Hub, name: str) -> OidcProvider:
    """Return the provider of that name; `HiddenError` when the settings have none."""
    found = hub.providers.get(name)
    if found is None:
        raise HiddenError("no such provider")
    return found


async def begin_oidc(hub: Hub, name: str, *, redirect_uri: str, visitor: Visitor) -> Redirect:
    """Return the redirect to a provider; the browser that asks must be the one that comes back.

    Raises:
        HiddenError: no such provider.
        ProviderUnreachableError: it does not answer.
        TooManyAttemptsError: tried too often from there.
    """
    provider = provider_named(hub, name)
    await count_sign_in(hub, visitor.address, "")
    page = await provider.sign_in_page()
    state, nonce, browser = (secrets.token_urlsafe(32) for _ in range(3))
    pkce, now = new_pkce(), clock.now()
    data = {
        "provider": name,
        "nonce": nonce,
        "verifier": pkce.verifier,
        "browser": secret_hash(browser),
        "redirectUri": redirect_uri,
    }
    record = CeremonyRecord(secret_hash(state), _KIND, data, now, now + LIFETIME)
    await hub.database.write(lambda uow: uow.ceremonies.add(record))
    query = {
        "response_type": "code",
        "client_id": provider.issuer.client_id,
        "redirect_uri": redirect_uri,
        "scope": " ".join(provider.issuer.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
    }
    return Redirect(f"{page}{'&' if '?' in page else '?'}{urlencode(query)}", browser)


async def end_oidc(
    hub: Hub,
    name: str,
    *,
    state: str,
    code: str | None,
    issuer: str | None,
    browser: str | None,
    visitor: Visitor,
) -> SignedIn:
    """Return a new session of whom the provider vouches for.

    Raises:
        HiddenError: no such provider.
        SignInError: not begun here by this browser, refused by the provider, a token that does
            not hold, or somebody this hub has no place for; the log says which.
        ProviderUnreachableError: it does not answer.
        TooManyAttemptsError: tried too often from there.
    """
    provider = provider_named(hub, name)
    await count_sign_in(hub, visitor.address, "")
    taken = await hub.database.write(lambda uow: uow.ceremonies.take(secret_hash(state), _KIND))
    begun: Mapping[str, Any] = {} if taken is None else taken.data
    if begun.get("provider") != name:
        raise SignInError
    if browser is None or not hmac.compare_digest(secret_hash(browser), begun["browser"]):
        raise SignInError
    metadata = await provider.metadata()
    # RFC 9207: an answer of another provider must not be redeemed at this one.
    named = metadata.get("authorization_response_iss_parameter_supported") is True
    if code is None or (issuer is None and named) or issuer not in (None, provider.issuer.issuer):
        raise SignInError
    now = clock.now()
    try:
        token = await provider.redeem(
            code, verifier=begun["verifier"], redirect_uri=begun["redirectUri"]
        )
        claims = await provider.verify(token, nonce=begun["nonce"], now=now)
    except TokenError as exc:
        log.warning("oidc_refused", provider=name, reason=exc.message)
        raise SignInError from exc
    told: list[str] = []

    def unit(uow: UnitOfWork) -> SignedIn:
        told.clear()
        user = _user_of(uow, provider.issuer, claims)
        told.extend(_take_roles(uow, hub, provider.issuer, user, claims))
        return start_session(
            uow,
            hub,
            user,
            method=BY_OIDC,
            visitor=visitor,
            now=clock.now(),
            assurance=Assurance.ATTRIBUTED,  # on the provider's word
        )

    signed_in = await hub.database.write(unit)
    hub.authenticator.forget()
    for did in told:
        hub.dispatcher.wake(did)
    return signed_in


def _user_of(uow: UnitOfWork, issuer: OidcIssuer, claims: Mapping[str, Any]) -> UserRecord:
    """Return who this is here, added now when they are new and may come in."""
    subject = str(claims["sub"])
    known = uow.identities.get(issuer.issuer, subject)
    if known is not None:
        user = uow.users.get(known.user_id)
        if user is None:
            raise SignInError
        return user
    if not issuer.sign_up and not groups_of(claims, issuer.groups_claim) & issuer.roles.keys():
        log.warning("oidc_no_place", provider=issuer.name)
        raise SignInError
    now = uow.now
    email = claims.get("email")
    user = UserRecord(
        id=clock.new_id(),
        name=_free_name(uow, claims),
        email=email if isinstance(email, str) and len(email) <= 254 else None,
        created_at=now,
        updated_at=now,
        created_by=f"oidc:{issuer.name}",
    )
    uow.users.add(user)
    uow.identities.add(IdentityRecord(issuer.issuer, subject, user.id, now))
    data = {"provider": issuer.name, "kind": user.kind, "roles": []}
    uow.audit.append("user.added", f"oidc:{issuer.name}", user.id, data, at=now)
    return user


def _free_name(uow: UnitOfWork, claims: Mapping[str, Any]) -> str:
    wish = next(
        (claims[one] for one in ("preferred_username", "email", "sub") if claims.get(one)), "user"
    )
    name = _ODD.sub("-", str(wish)).strip("-._@+")[:80] or "user"
    found, number = name, 1
    while uow.users.get_by_name(found) is not None:
        number += 1
        found = f"{name}-{number}"
    return found


def _take_roles(
    uow: UnitOfWork, hub: Hub, issuer: OidcIssuer, user: UserRecord, claims: Mapping[str, Any]
) -> list[str]:
    """Leave the user with the roles their groups mean, in every place that the settings name.

    Places they do not name are left alone, and so is the last owner of one.
    """
    held = groups_of(claims, issuer.groups_claim)
    places: dict[str | None, list[str]] = {}
    for group, meaning in issuer.roles.items():
        named, _, role = meaning.rpartition(":")
        given = places.setdefault(named or None, [])
        if group in held and role in ROLES:
            given.append(role)
    by, told = f"oidc:{issuer.name}", list[str]()
    for realm, roles in places.items():
        best: str | None = max(roles, key=rung_of, default=None)
        if realm is None:
            told += _set_everywhere(uow, hub, user, roles, by)
        elif uow.realms.get(realm) is not None:
            told += _set_in_realm(uow, hub, user, realm, best, by)
    return told


def _set_everywhere(
    uow: UnitOfWork, hub: Hub, user: UserRecord, roles: list[str], by: str
) -> list[str]:
    wanted = tuple(sorted(set(roles), key=rung_of, reverse=True))
    current = uow.users.get(user.id)
    if current is None or current.roles == wanted:
        return []
    if OWNER in current.roles and OWNER not in wanted and is_last_owner(uow, user.id):
        return []
    uow.users.update(user.id, roles=wanted, updated_at=uow.now)
    uow.audit.append("user.changed", by, user.id, {"roles": list(wanted), "state": current.state})
    return settle_grants(uow, hub, user.id, by=by, now=uow.now)


def _set_in_realm(
    uow: UnitOfWork, hub: Hub, user: UserRecord, realm: str, role: str | None, by: str
) -> list[str]:
    current = uow.realms.member(realm, user.id)
    if (current.role if current else None) == role:
        return []
    if current and current.role == OWNER and is_last_owner_of(uow, realm, user.id):
        return []
    if role is not None:
        return enter_realm(uow, hub, realm=realm, user=user, role=role, by=by)
    uow.realms.remove_member(realm, user.id)
    uow.audit.append("member.removed", by, realm, {"user": user.id}, realms=(realm,))
    return settle_grants(uow, hub, user.id, by=by, now=uow.now)
