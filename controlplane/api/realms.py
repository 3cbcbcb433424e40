"""`/realms`, their members, and `/roles`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.permissions import LADDER, PERMISSIONS, ROLES
from controlplane.api.agents import parse_if_match
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import PageQuery, etag_of, page_view, time_view
from controlplane.people.realms import (
    Member,
    add_realm,
    change_realm,
    list_members,
    list_realms,
    load_realm,
    remove_member,
    remove_realm,
    set_member,
)
from protocol.messages.fields import Name
from protocol.messages.tokens import Audience
from storage.records import RealmRecord

Audiences = Annotated[list[Audience], Field(max_length=64)]
Description = Annotated[str, Field(max_length=1_000)]
UserKey = Annotated[str, Field(min_length=1, max_length=100)]
RoleName = Annotated[str, Field(min_length=1, max_length=40)]


class RealmView(View):
    """A realm; its id is its name."""

    id: str
    description: str
    audiences: list[str]
    created_at: str
    created_by: str | None
    etag: str


class CreateRealmBody(Body):
    """A new realm; `owner` is a user's id or name."""

    id: Name
    description: Description = ""
    owner: UserKey | None = None
    audiences: Audiences = Field(default_factory=list)


class ChangeRealmBody(Body):
    """What is to be different; `audiences` are the services that tokens are made for."""

    description: Description | None = None
    audiences: Audiences | None = None


class MemberView(View):
    """Somebody's role in a realm."""

    realm: str
    user: str
    name: str
    kind: str
    state: str
    role: str
    since: str


class AddMemberBody(Body):
    """Who (id or name) is to belong to the realm, and as what."""

    user: UserKey
    role: RoleName


class SetMemberBody(Body):
    """The role instead of the present one."""

    role: RoleName


class RoleView(View):
    """A role, its place on the ladder (null: beside it), and what it permits."""

    name: str
    rung: int | None
    permissions: list[str]


class PermissionView(View):
    """A permission: what it lets one do, and whether it must be held in the whole hub."""

    name: str
    reach: str
    does: str


class RolesView(View):
    """The matrix."""

    items: list[RoleView]
    permissions: list[PermissionView]
    next_cursor: str | None


@operation(
    "GET", "/api/v1/realms", permission="realms.read", query=PageQuery, result=list[RealmView]
)
async def list_(call: Call) -> Any:
    """List realms."""
    query = call.query
    page = await list_realms(call.hub, call.actor, limit=query.limit, cursor=query.cursor)
    return page_view(page, _realm_view)


@operation(
    "POST",
    "/api/v1/realms",
    permission="realms.write",
    body=CreateRealmBody,
    result=RealmView,
    status=201,
)
async def add(call: Call) -> Any:
    """Make a realm."""
    body = call.body
    made = await add_realm(
        call.hub,
        call.actor,
        realm=body.id,
        description=body.description,
        owner=body.owner,
        audiences=body.audiences,
    )
    return _realm_view(made)


@operation("GET", "/api/v1/realms/{id}", permission="realms.read", result=RealmView)
async def show(call: Call) -> Any:
    """One realm."""
    return _reply(await load_realm(call.hub, call.actor, call.path["id"]))


@operation(
    "PATCH",
    "/api/v1/realms/{id}",
    permission="realms.edit",
    body=ChangeRealmBody,
    result=RealmView,
    errors=("precondition_failed",),
)
async def change(call: Call) -> Any:
    """Describe a realm anew."""
    revision = parse_if_match(call.headers.get("if-match"))
    changed = await change_realm(
        call.hub,
        call.actor,
        call.path["id"],
        description=call.body.description,
        audiences=call.body.audiences,
        revision=revision,
    )
    return _reply(changed)


@operation(
    "DELETE",
    "/api/v1/realms/{id}",
    permission="realms.write",
    status=204,
    errors=("conflict",),
)
async def remove(call: Call) -> Any:
    """Remove a realm without agents."""
    await remove_realm(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "GET",
    "/api/v1/realms/{id}/members",
    permission="members.read",
    result=list[MemberView],
)
async def members(call: Call) -> Any:
    """Who belongs to a realm, by name."""
    found = await list_members(call.hub, call.actor, call.path["id"])
    return {"items": [_member_view(one) for one in found], "nextCursor": None}


@operation(
    "POST",
    "/api/v1/realms/{id}/members",
    permission="members.write",
    body=AddMemberBody,
    result=MemberView,
    status=201,
    errors=("conflict",),
)
async def add_member(call: Call) -> Any:
    """Give a user a role in a realm."""
    body = call.body
    made = await set_member(call.hub, call.actor, call.path["id"], body.user, body.role)
    return _member_view(made)


@operation(
    "PUT",
    "/api/v1/realms/{id}/members/{user}",
    permission="members.write",
    body=SetMemberBody,
    result=MemberView,
    errors=("conflict",),
)
async def change_member(call: Call) -> Any:
    """Give a user another role in a realm."""
    path = call.path
    return _member_view(
        await set_member(call.hub, call.actor, path["id"], path["user"], call.body.role)
    )


@operation(
    "DELETE",
    "/api/v1/realms/{id}/members/{user}",
    permission="members.read",
    status=204,
    errors=("conflict",),
)
async def end_member(call: Call) -> Any:
    """End a membership: one's own, or of somebody who stands below."""
    await remove_member(call.hub, call.actor, call.path["id"], call.path["user"])
    return Reply(status=204)


@operation("GET", "/api/v1/roles", permission="realms.read", result=RolesView)
async def roles(call: Call) -> Any:
    """The roles there are, and what each permits."""
    items = [
        {
            "name": name,
            "rung": LADDER.index(name) if name in LADDER else None,
            "permissions": sorted(held),
        }
        for name, held in ROLES.items()
    ]
    permissions = [
        {"name": name, "reach": one.reach.value, "does": one.does}
        for name, one in PERMISSIONS.items()
    ]
    return {"items": items, "permissions": permissions, "nextCursor": None}


def _realm_view(record: RealmRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "description": record.description,
        "audiences": list(record.audiences),
        "createdAt": time_view(record.created_at),
        "createdBy": record.created_by,
        "etag": etag_of(record.revision),
    }


def _reply(record: RealmRecord) -> Reply:
    return Reply(_realm_view(record), headers={"ETag": etag_of(record.revision)})


def _member_view(member: Member) -> dict[str, Any]:
    record, user = member
    return {
        "realm": record.realm,
        "user": user.id,
        "name": user.name,
        "kind": user.kind,
        "state": user.state,
        "role": record.role,
        "since": time_view(record.created_at),
    }


OPERATIONS = [
    list_,
    add,
    show,
    change,
    remove,
    members,
    add_member,
    change_member,
    end_member,
    roles,
]
