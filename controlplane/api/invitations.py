"""`/invitations`: who may come in, and coming in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from controlplane.access.page_address import own_address
from controlplane.api.operation import PUBLIC, Body, Call, Reply, View, operation
from controlplane.api.sign_in import Password, SignedInView, signed_in_reply, visitor_of
from controlplane.api.users import Email, UserName
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.people.invitations import (
    accept_invitation,
    invite,
    join_by_invitation,
    list_invitations,
    revoke_invitation,
)
from protocol.messages.fields import Name
from storage.records import InvitationRecord

Token = Annotated[str, Field(min_length=1, max_length=200)]


class InvitationView(View):
    """An invitation; `link` only in the answer that made it."""

    id: str
    realm: str | None
    role: str
    email: str | None
    created_by: str
    created_at: str
    expires_at: str
    used_at: str | None
    used_by: str | None
    revoked_at: str | None
    link: str | None = None
    emailed: bool | None = None


class InviteBody(Body):
    """A role in a realm, or everywhere without one; with `email` it is sent there."""

    role: Annotated[str, Field(min_length=1, max_length=40)]
    realm: Name | None = None
    email: Email | None = None
    expires_in_seconds: Annotated[int, Field(ge=60, le=90 * 86_400)] | None = None


class AcceptBody(Body):
    """The part of the link after `#`, and who you want to be. `bearer` asks for a token."""

    token: Token
    name: UserName
    password: Password | None = None
    bearer: bool = False


class JoinBody(Body):
    """The part of the link after `#`."""

    token: Token


@operation(
    "POST",
    "/api/v1/invitations",
    permission="invitations.write",
    body=InviteBody,
    result=InvitationView,
    status=201,
)
async def create(call: Call) -> Any:
    """Invite somebody; the link is shown once."""
    body = call.body
    lifetime = body.expires_in_seconds
    made = await invite(
        call.hub,
        call.actor,
        realm=body.realm,
        role=body.role,
        email=body.email,
        lifetime=None if lifetime is None else timedelta(seconds=lifetime),
        base_url=own_address(call.hub.settings.public_url, call.scheme, call.headers),
    )
    view = {**_view(made.invitation), "emailed": made.emailed}
    return Reply({**view, "link": made.link}, replay={**view, "link": None})


@operation(
    "GET",
    "/api/v1/invitations",
    permission="invitations.read",
    query=PageQuery,
    result=list[InvitationView],
)
async def list_(call: Call) -> Any:
    """List invitations, newest first."""
    query = call.query
    page = await list_invitations(call.hub, call.actor, limit=query.limit, cursor=query.cursor)
    return page_view(page, _view)


@operation("DELETE", "/api/v1/invitations/{id}", permission="invitations.write", status=204)
async def revoke(call: Call) -> Any:
    """Make an invitation worthless."""
    await revoke_invitation(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/invitations/accept",
    permission=PUBLIC,
    body=AcceptBody,
    result=SignedInView,
    errors=("not_found", "sign_in_failed", "rate_limited"),
)
async def accept(call: Call) -> Any:
    """Come in by an invitation, as somebody new."""
    body = call.body
    made = await accept_invitation(
        call.hub,
        token=body.token,
        name=body.name,
        password=body.password,
        visitor=visitor_of(call),
    )
    return signed_in_reply(call, made, bearer=body.bearer)


@operation(
    "POST",
    "/api/v1/me/invitations",
    permission="me.write",
    body=JoinBody,
    status=204,
    errors=("not_found", "rate_limited"),
)
async def join(call: Call) -> Any:
    """Take an invitation as who you are."""
    await join_by_invitation(call.hub, call.actor, token=call.body.token, visitor=visitor_of(call))
    return Reply(status=204)


def _view(record: InvitationRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "realm": record.realm,
        "role": record.role,
        "email": record.email,
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
        "usedAt": time_view(record.used_at),
        "usedBy": record.used_by,
        "revokedAt": time_view(record.revoked_at),
    }


OPERATIONS = [create, list_, revoke, accept, join]
