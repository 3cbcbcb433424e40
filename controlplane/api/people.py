"""`/me`, `/api-keys`, `/realms`, `/roles`: who is asking, their keys, and where they belong."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.authorize import realms_with
from controlplane.access.keys_service import create_api_key, list_api_keys, revoke_api_key
from controlplane.access.permissions import PERMISSIONS, ROLES
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.errors import InvalidFieldError
from protocol.messages.fields import Name
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import ApiKeyRecord, RealmRecord
from storage.unit_of_work import UnitOfWork


class MeView(View):
    """Who the hub takes you for."""

    kind: str
    id: str
    name: str
    subject: str
    roles: list[str]
    realm_roles: dict[str, list[str]]
    scopes: list[str] | None
    realm: str | None
    permissions: list[str]


class ApiKeyView(View):
    """An API key; `key` only in the answer that made it."""

    id: str
    name: str
    prefix: str
    user_id: str | None
    roles: list[str]
    scopes: list[str]
    realm: str | None
    created_by: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    key: str | None = None


class CreateApiKeyBody(Body):
    """A key of your own; with `roles` or `machine`, one for a machine."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    roles: Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    scopes: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    realm: Name | None = None
    machine: bool | None = None
    expires_in_seconds: Annotated[int, Field(ge=1, le=10 * 366 * 86_400)] | None = None


class RealmView(View):
    """A realm; its id is its name."""

    id: str
    description: str
    created_at: str
    created_by: str | None


class CreateRealmBody(Body):
    """A new realm."""

    id: Name
    description: Annotated[str, Field(max_length=1_000)] = ""


class RoleView(View):
    """A role and what it permits."""

    name: str
    permissions: list[str]


@operation("GET", "/api/v1/me", permission="me.read", result=MeView)
async def me(call: Call) -> Any:
    """Who the hub takes you for."""
    actor = call.actor
    return {
        "kind": actor.kind,
        "id": actor.id,
        "name": actor.name,
        "subject": actor.subject,
        "roles": sorted(actor.roles),
        "realmRoles": {realm: sorted(roles) for realm, roles in actor.realm_roles.items()},
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
        "realm": actor.realm,
        "permissions": [one for one in PERMISSIONS if realms_with(actor, one) != frozenset()],
    }


@operation(
    "POST",
    "/api/v1/api-keys",
    permission="keys.write",
    body=CreateApiKeyBody,
    result=ApiKeyView,
    status=201,
)
async def create_key(call: Call) -> Any:
    """Make an API key; it is shown once."""
    body = call.body
    machine = body.machine if body.machine is not None else bool(body.roles or body.scopes)
    record, key = await create_api_key(
        call.hub.database,
        call.actor,
        name=body.name,
        roles=body.roles,
        scopes=body.scopes,
        realm=body.realm,
        expires_in_seconds=body.expires_in_seconds,
        own=not machine,
    )
    shown = _key_view(record)
    return Reply({**shown, "key": key}, replay={**shown, "key": None})


@operation(
    "GET",
    "/api/v1/api-keys",
    permission="keys.read",
    query=PageQuery,
    result=list[ApiKeyView],
)
async def list_keys(call: Call) -> Any:
    """List API keys, newest first."""
    page = await list_api_keys(call.hub.database, call.actor, call.query.limit, call.query.cursor)
    return page_view(page, _key_view)


@operation(
    "DELETE",
    "/api/v1/api-keys/{id}",
    permission="keys.write",
    status=204,
)
async def revoke_key(call: Call) -> Any:
    """Make an API key worthless."""
    hub = call.hub
    await revoke_api_key(hub.database, hub.authenticator, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "GET",
    "/api/v1/realms",
    permission="realms.read",
    query=PageQuery,
    result=list[RealmView],
)
async def list_realms(call: Call) -> Any:
    """List realms."""
    query = call.query
    page = await call.hub.database.read(
        lambda uow: uow.realms.list(limit=query.limit, cursor=query.cursor)
    )
    realms = realms_with(call.actor, "realms.read")
    shown = tuple(one for one in page.items if realms is None or one.id in realms)
    return page_view(Page(shown, page.next_cursor), _realm_view)


@operation(
    "POST",
    "/api/v1/realms",
    permission="realms.write",
    body=CreateRealmBody,
    result=RealmView,
    status=201,
)
async def create_realm(call: Call) -> Any:
    """Make a realm."""
    body, actor = call.body, call.actor

    def unit(uow: UnitOfWork) -> RealmRecord:
        if uow.realms.get(body.id) is not None:
            raise InvalidFieldError("this realm exists", pointer="/id")
        made = RealmRecord(
            body.id, uow.now, uow.now, description=body.description, created_by=actor.subject
        )
        uow.realms.add(made)
        uow.audit.append("realm.created", actor.subject, body.id, {})
        return made

    try:
        return _realm_view(await call.hub.database.write(unit))
    except ConflictError as exc:
        raise InvalidFieldError("this realm exists", pointer="/id") from exc


@operation(
    "GET",
    "/api/v1/roles",
    permission="realms.read",
    result=list[RoleView],
)
async def list_roles(call: Call) -> Any:
    """The roles there are, and what each permits."""
    items = [{"name": name, "permissions": sorted(held)} for name, held in ROLES.items()]
    return {"items": items, "nextCursor": None}


def _key_view(record: ApiKeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "userId": record.user_id,
        "roles": list(record.roles),
        "scopes": list(record.scopes),
        "realm": record.realm,
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
        "lastUsedAt": time_view(record.last_used_at),
        "revokedAt": time_view(record.revoked_at),
    }


def _realm_view(record: RealmRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "description": record.description,
        "createdAt": time_view(record.created_at),
        "createdBy": record.created_by,
    }


OPERATIONS = [
    me,
    create_key,
    list_keys,
    revoke_key,
    list_realms,
    create_realm,
    list_roles,
]
