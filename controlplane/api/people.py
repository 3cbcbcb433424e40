"""`/me` and `/api-keys`: who is asking, and their keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.authorize import is_allowed
from controlplane.access.keys_service import create_api_key, list_api_keys, revoke_api_key
from controlplane.access.permissions import PERMISSIONS
from controlplane.access.session_tokens import SESSION_COOKIE, csrf_token_of, read_cookie
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.rendering import is_secure
from controlplane.api.views import PageQuery, page_view, time_view
from protocol.messages.fields import Name
from storage.records import ApiKeyRecord, UserRecord


class MeView(View):
    """Who the hub takes you for; `kind` is user, service or machine."""

    kind: str
    id: str
    name: str
    subject: str
    roles: list[str]
    realm_roles: dict[str, list[str]]
    scopes: list[str] | None
    realm: str | None
    permissions: list[str]
    csrf_token: str | None
    authenticated_at: str | None


class ApiKeyView(View):
    """An API key; `key` only in the answer that made it.

    `kind` is person, service or machine; `user` is the name of the person or service account that
    it belongs to.
    """

    id: str
    name: str
    prefix: str
    kind: str
    user: str | None
    user_id: str | None
    roles: list[str]
    scopes: list[str]
    realm: str | None
    created_by: str
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    issuer_id: str | None
    key: str | None = None


class CreateApiKeyBody(Body):
    """A key of your own; with `roles` or `machine`, one for a machine.

    `user` makes it the key of a service account.
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    roles: Annotated[list[str], Field(max_length=16)] = Field(default_factory=list)
    scopes: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    realm: Name | None = None
    machine: bool | None = None
    user: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    expires_in_seconds: Annotated[int, Field(ge=1, le=10 * 366 * 86_400)] | None = None


@operation("GET", "/api/v1/me", permission="me.read", result=MeView)
async def me(call: Call) -> Any:
    """Who the hub takes you for."""
    actor = call.actor
    secure = is_secure(call.hub.settings, call.scheme)
    token = read_cookie(call.headers, SESSION_COOKIE, secure) if actor.session_id else None
    return {
        "kind": "service" if actor.service else actor.kind,
        "id": actor.id,
        "name": actor.name,
        "subject": actor.subject,
        "roles": sorted(actor.roles),
        "realmRoles": {realm: sorted(roles) for realm, roles in actor.realm_roles.items()},
        "scopes": None if actor.scopes is None else sorted(actor.scopes),
        "realm": actor.realm,
        "permissions": [one for one in PERMISSIONS if is_allowed(actor, one)],
        "csrfToken": csrf_token_of(token) if token else None,
        "authenticatedAt": time_view(actor.authenticated_at),
    }


@operation(
    "POST",
    "/api/v1/api-keys",
    permission="keys.write",
    body=CreateApiKeyBody,
    result=ApiKeyView,
    status=201,
    step_up=True,
)
async def create_key(call: Call) -> Any:
    """Make an API key; it is shown once."""
    body = call.body
    machine = body.machine if body.machine is not None else bool(body.roles)
    record, key = await create_api_key(
        call.hub.database,
        call.actor,
        name=body.name,
        roles=body.roles,
        scopes=body.scopes,
        realm=body.realm,
        expires_in_seconds=body.expires_in_seconds,
        own=not machine,
        service=body.user,
    )
    owner = await call.hub.database.read(lambda uow: uow.users.get(record.user_id or ""))
    shown = _key_view(record, owner)
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
    query = call.query
    page, owners = await list_api_keys(call.hub.database, call.actor, query.limit, query.cursor)
    return page_view(page, lambda one: _key_view(one, owners.get(one.user_id or "")))


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


def _key_view(record: ApiKeyRecord, owner: UserRecord | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "prefix": record.prefix,
        "kind": "machine" if record.user_id is None else owner.kind if owner else "person",
        "user": owner.name if owner else None,
        "userId": record.user_id,
        "roles": list(record.roles),
        "scopes": list(record.scopes),
        "realm": record.realm,
        "issuerId": record.issuer_id,
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
        "lastUsedAt": time_view(record.last_used_at),
        "revokedAt": time_view(record.revoked_at),
    }


OPERATIONS = [me, create_key, list_keys, revoke_key]
