"""`/users`: people and service accounts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane.api.agents import parse_if_match
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import PageQuery, etag_of, page_view, time_view
from controlplane.people.users import (
    UserChange,
    UserDetail,
    add_user,
    change_user,
    list_users,
    load_user,
    remove_user,
)
from storage.records import UserRecord

UserName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}$")]
Email = Annotated[
    str, Field(pattern=r"^[^@\s\x00-\x1f<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}$")
]
RoleNames = Annotated[list[str], Field(max_length=8)]


class UserView(View):
    """A person or a service account; `realmRoles` only where one was asked for."""

    id: str
    name: str
    email: str | None
    kind: str
    state: str
    roles: list[str]
    created_at: str
    updated_at: str
    created_by: str | None
    etag: str
    realm_roles: dict[str, str] | None = None


class AddUserBody(Body):
    """A new user, who cannot sign in yet. A `service` account never does: it has API keys."""

    name: UserName
    email: Email | None = None
    roles: RoleNames = Field(default_factory=list)
    kind: Literal["person", "service"] = "person"


class UserListQuery(PageQuery):
    """Which users; `q` is a part of the name or of the e-mail address."""

    q: Annotated[str, Field(max_length=200)] | None = None
    kind: Literal["person", "service"] | None = None


class ChangeUserBody(Body):
    """What is to be different; what is left out stays."""

    name: UserName | None = None
    email: Email | None = None
    roles: RoleNames | None = None
    state: Literal["active", "disabled"] | None = None


@operation(
    "GET", "/api/v1/users", permission="users.read", query=UserListQuery, result=list[UserView]
)
async def list_(call: Call) -> Any:
    """List the people of the caller's realms, by name."""
    query = call.query
    page = await list_users(
        call.hub,
        call.actor,
        q=query.q,
        kind=query.kind,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_view(page, user_view)


@operation(
    "POST",
    "/api/v1/users",
    permission="users.write",
    body=AddUserBody,
    result=UserView,
    status=201,
)
async def add(call: Call) -> Any:
    """Add a person or a service account."""
    body = call.body
    made = await add_user(
        call.hub, call.actor, name=body.name, email=body.email, roles=body.roles, kind=body.kind
    )
    return _detail_view(made)


@operation("GET", "/api/v1/users/{id}", permission="users.read", result=UserView)
async def show(call: Call) -> Any:
    """One user, by id or name."""
    return _reply(await load_user(call.hub, call.actor, call.path["id"]))


@operation(
    "PATCH",
    "/api/v1/users/{id}",
    permission="me.write",
    body=ChangeUserBody,
    result=UserView,
    errors=("conflict", "precondition_failed"),
)
async def change(call: Call) -> Any:
    """Change a user: oneself, or somebody who stands below."""
    body = call.body
    change = UserChange(name=body.name, email=body.email, roles=body.roles, state=body.state)
    revision = parse_if_match(call.headers.get("if-match"))
    changed = await change_user(call.hub, call.actor, call.path["id"], change, revision=revision)
    return _reply(changed)


@operation(
    "DELETE",
    "/api/v1/users/{id}",
    permission="users.write",
    status=204,
    errors=("conflict",),
)
async def remove(call: Call) -> Any:
    """Remove a user for good."""
    await remove_user(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


def user_view(record: UserRecord) -> dict[str, Any]:
    """Return a user as clients see them."""
    return {
        "id": record.id,
        "name": record.name,
        "email": record.email,
        "kind": record.kind,
        "state": record.state,
        "roles": list(record.roles),
        "createdAt": time_view(record.created_at),
        "updatedAt": time_view(record.updated_at),
        "createdBy": record.created_by,
        "etag": etag_of(record.revision),
    }


def _detail_view(detail: UserDetail) -> dict[str, Any]:
    roles = {one.realm: one.role for one in detail.memberships}
    return {**user_view(detail.user), "realmRoles": roles}


def _reply(detail: UserDetail) -> Reply:
    return Reply(_detail_view(detail), headers={"ETag": etag_of(detail.user.revision)})


OPERATIONS = [list_, add, show, change, remove]
