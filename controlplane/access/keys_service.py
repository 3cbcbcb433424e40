"""API keys: made (shown once), listed and revoked; nobody makes a key that may more than they."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from controlplane import clock
from controlplane.access.api_keys import SHOWN_CHARS, api_key_hash, new_api_key
from controlplane.access.authorize import Actor, holds_all, is_allowed, may_grant
from controlplane.access.permissions import PERMISSIONS, ROLES, Reach, is_scope, scope_covers
from controlplane.errors import AccessDeniedError, HiddenError, InvalidFieldError
from storage.pages import Page
from storage.records import ApiKeyRecord, UserRecord

if TYPE_CHECKING:
    from controlplane.access.authenticate import Authenticator
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork


async def create_api_key(
    database: Database,
    actor: Actor,
    *,
    name: str,
    roles: Sequence[str],
    scopes: Sequence[str],
    realm: str | None,
    expires_in_seconds: int | None,
    own: bool,
    service: str | None = None,
) -> tuple[ApiKeyRecord, str]:
    """Return a new key's record and the key, which is nowhere else.

    Args:
        database: where it is kept.
        actor: who makes it.
        name: for people.
        roles: of a machine key; empty for a key of one's own.
        scopes: what it is narrowed to; empty for everything the roles (or the person) may.
        realm: the one realm it works in, or None.
        expires_in_seconds: its lifetime, or None for no end.
        own: whether it acts as the person who makes it.
        service: instead as this service account (id or name).

    Raises:
        AccessDeniedError: it would allow something its maker may not do, or a key asks for a key.
        InvalidFieldError: no such role, scope or realm, or a machine key that may do nothing.
    """
    for index, role in enumerate(roles):
        if role not in ROLES:
            raise InvalidFieldError("no such role", pointer=f"/roles/{index}")
    for index, scope in enumerate(scopes):
        if not is_scope(scope):
            raise InvalidFieldError("no such scope", pointer=f"/scopes/{index}")
    if actor.key_id is not None:
        raise AccessDeniedError("a key cannot make a key: sign in")
    if own and actor.kind != "user":
        raise InvalidFieldError("a machine has no keys of its own: give roles", pointer="/roles")
    if service is not None and (roles or not own):
        raise InvalidFieldError("a service account has roles of its own", pointer="/roles")
    if not own and not roles and not scopes:
        raise InvalidFieldError("a machine key needs roles or scopes", pointer="/roles")
    bound = realm or actor.realm
    if not own:
        if not is_allowed(actor, "keys.machine", bound):
            raise AccessDeniedError("needs keys.machine" + ("" if bound else " in every realm"))
        if not _holds(actor, _permissions(roles, scopes), bound):
            raise AccessDeniedError("nobody grants more than they have")
    if bound is not None and not is_allowed(actor, "realms.read", bound):
        raise InvalidFieldError(f"no realm {bound}", pointer="/realm")
    now = clock.now()
    key = new_api_key()
    record = ApiKeyRecord(
        id=clock.new_id(),
        name=name,
        hash=api_key_hash(key),
        created_by=actor.subject,
        created_at=now,
        prefix=key[:SHOWN_CHARS],
        user_id=actor.id if own else None,
        issuer_id=actor.id if actor.kind == "user" else None,
        roles=tuple(roles),
        scopes=tuple(scopes),
        realm=bound,
        expires_at=None
        if expires_in_seconds is None
        else now + timedelta(seconds=expires_in_seconds),
    )

    def unit(uow: UnitOfWork) -> ApiKeyRecord:
        if bound is not None and uow.realms.get(bound) is None:
            raise InvalidFieldError(f"no realm {bound}", pointer="/realm")
        made = record if service is None else replace(record, user_id=_service(uow, actor, service))
        uow.api_keys.add(made)
        uow.audit.append(
            "api_key.created",
            actor.subject,
            record.id,
            {
                "kind": _kind_of(made, service),
                "user": made.user_id,
                "roles": list(roles),
                "scopes": list(scopes),
                "realm": bound,
            },
            realms=() if bound is None else (bound,),
            personal={"name": name},
            at=now,
        )
        return made

    return replace(await database.write(unit), hash=""), key


async def list_api_keys(
    database: Database, actor: Actor, limit: int, cursor: str | None
) -> tuple[Page[ApiKeyRecord], Mapping[str, UserRecord]]:
    """Return a page of the caller's own keys and those they made; of all, for who may end all.

    `keys.read` is sight of one's own: that somebody sees people everywhere does not show them what
    those people's keys are named, narrowed to and last used at. With the page come the people and
    service accounts that its keys belong to, by id.
    """
    everything = is_allowed(actor, "users.write")

    def unit(uow: UnitOfWork) -> tuple[Page[ApiKeyRecord], Mapping[str, UserRecord]]:
        page = uow.api_keys.list(
            keep=lambda one: everything or _is_theirs(actor, one), limit=limit, cursor=cursor
        )
        ids = {one.user_id for one in page.items if one.user_id is not None}
        return page, {user.id: user for user in uow.users.get_many(ids)}

    return await database.read(unit)


async def revoke_api_key(
    database: Database, authenticator: Authenticator, actor: Actor, key_id: str
) -> None:
    """Make a key worthless, here at once and everywhere within two seconds; again is harmless.

    Raises:
        HiddenError: no such key, or neither the caller's nor made by them.
    """

    def unit(uow: UnitOfWork) -> None:
        found = uow.api_keys.get(key_id)
        everything = is_allowed(actor, "users.write")
        if found is None or not (everything or _is_theirs(actor, found)):
            raise HiddenError("no such API key")
        if uow.api_keys.revoke(key_id):
            realms = () if found.realm is None else (found.realm,)
            uow.audit.append("api_key.revoked", actor.subject, key_id, {}, realms=realms)

    await database.write(unit)
    authenticator.forget()


def _kind_of(record: ApiKeyRecord, service: str | None) -> str:
    if record.user_id is None:
        return "machine"
    return "person" if service is None else "service"


def _permissions(roles: Sequence[str], scopes: Sequence[str]) -> frozenset[str]:
    held = frozenset().union(*(ROLES[role] for role in roles)) if roles else frozenset(PERMISSIONS)
    if not scopes:
        return held
    return frozenset(one for one in held if any(scope_covers(scope, one) for scope in scopes))


def _holds(actor: Actor, permissions: Iterable[str], realm: str | None) -> bool:
    """Whether the actor holds all of it; in a realm, what reaches the hub counts for nothing."""
    if realm is not None:
        permissions = [one for one in permissions if PERMISSIONS[one].reach is not Reach.HUB]
    return holds_all(actor, permissions, realm)


def _service(uow: UnitOfWork, actor: Actor, name_or_id: str) -> str:
    """Return the id of a service account that the actor may make keys for.

    Raises:
        AccessDeniedError: they may not, or it stands as high as they do.
        InvalidFieldError: no such service account.
    """
    if not is_allowed(actor, "users.write"):
        raise AccessDeniedError("needs users.write")
    found = uow.users.get(name_or_id) or uow.users.get_by_name(name_or_id)
    if found is None or found.kind != "service":
        raise InvalidFieldError("no such service account", pointer="/user")
    if not all(may_grant(actor, role, None) for role in found.roles):
        raise AccessDeniedError("it stands as high as you do")
    return found.id


def _is_theirs(actor: Actor, record: ApiKeyRecord) -> bool:
    if actor.kind == "user" and record.user_id == actor.id:
        return True
    return record.created_by == actor.subject or record.id == actor.key_id
