"""`/login`, `/logout`, `/me/password`, `/me/sessions`: who one is, proved to the hub."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.session_tokens import SESSION_COOKIE, cookie_text, csrf_token_of
from controlplane.api.operation import PUBLIC, Body, Call, Reply, View, operation
from controlplane.api.rendering import is_secure
from controlplane.api.users import UserView, user_view
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.people.sign_in import (
    SignedIn,
    Visitor,
    end_other_sessions,
    end_session,
    list_sessions,
    set_password,
    sign_in_with_password,
    sign_out,
)
from controlplane.people.sign_in_links import sign_in_with_link
from storage.records import SessionRecord

Password = Annotated[str, Field(min_length=1, max_length=256)]


class SignedInView(View):
    """Who has signed in. `token` only where it was asked for instead of a cookie."""

    user: UserView
    expires_at: str
    csrf_token: str
    token: str | None = None


class LoginBody(Body):
    """A name and a password; `bearer` asks for a token in the answer instead of a cookie."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    password: Password
    bearer: bool = False


class LinkBody(Body):
    """The part of the link after `#`."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class PasswordBody(Body):
    """A new password; `current` where there is one."""

    password: Password
    current: Password | None = None


class SessionView(View):
    """One of your sessions; `current` is the one that asks."""

    id: str
    method: str
    address: str
    client: str
    current: bool
    created_at: str
    authenticated_at: str
    last_seen_at: str
    expires_at: str
    revoked_at: str | None


class EndedSessionsView(View):
    """How many sessions have ended."""

    ended: int


@operation(
    "POST",
    "/api/v1/login",
    permission=PUBLIC,
    body=LoginBody,
    result=SignedInView,
    errors=("sign_in_failed", "rate_limited"),
)
async def login(call: Call) -> Any:
    """Sign in with name and password."""
    body = call.body
    made = await sign_in_with_password(
        call.hub, name=body.name, password=body.password, visitor=visitor_of(call)
    )
    return signed_in_reply(call, made, bearer=body.bearer)


@operation(
    "POST",
    "/api/v1/login/link",
    permission=PUBLIC,
    body=LinkBody,
    result=SignedInView,
    errors=("sign_in_failed", "rate_limited"),
)
async def login_by_link(call: Call) -> Any:
    """Sign in by a link of `writ hub sign-in-link`, which works once."""
    made = await sign_in_with_link(call.hub, token=call.body.token, visitor=visitor_of(call))
    return signed_in_reply(call, made, bearer=False)


@operation("POST", "/api/v1/logout", permission="me.read", status=204)
async def logout(call: Call) -> Any:
    """End this session."""
    await sign_out(call.hub, call.actor)
    secure = is_secure(call.hub.settings, call.scheme)
    return Reply(status=204, cookies=(cookie_text(SESSION_COOKIE, "", seconds=0, secure=secure),))


@operation(
    "PUT",
    "/api/v1/me/password",
    permission="me.write",
    body=PasswordBody,
    status=204,
    errors=("sign_in_failed", "conflict", "rate_limited"),
    step_up=True,
)
async def password(call: Call) -> Any:
    """Set your password; your other sessions end."""
    body = call.body
    await set_password(call.hub, call.actor, password=body.password, current=body.current)
    return Reply(status=204)


@operation(
    "GET",
    "/api/v1/me/sessions",
    permission="me.read",
    query=PageQuery,
    result=list[SessionView],
)
async def sessions(call: Call) -> Any:
    """Where you are signed in, newest first."""
    query = call.query
    page = await list_sessions(call.hub, call.actor, limit=query.limit, cursor=query.cursor)
    return page_view(page, lambda one: _session_view(one, call.actor.session_id))


@operation("DELETE", "/api/v1/me/sessions/{id}", permission="me.write", status=204)
async def end(call: Call) -> Any:
    """End one of your sessions."""
    await end_session(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST", "/api/v1/me/sessions/end-others", permission="me.write", result=EndedSessionsView
)
async def end_others(call: Call) -> Any:
    """End every session of yours but this one."""
    return {"ended": await end_other_sessions(call.hub, call.actor)}


def visitor_of(call: Call) -> Visitor:
    """Return from where a request comes, for the list of sessions."""
    client = call.headers.get("user-agent", "")
    return Visitor(call.address, "".join(one for one in client if one.isprintable()))


def signed_in_reply(call: Call, made: SignedIn, *, bearer: bool) -> Reply:
    """Return the answer to a sign-in: the session as a cookie, or as a token in the body."""
    view = {
        "user": user_view(made.user),
        "expiresAt": time_view(made.session.expires_at),
        "csrfToken": csrf_token_of(made.token),
    }
    if bearer:
        return Reply({**view, "token": made.token})
    return Reply(view, cookies=(session_cookie(call, made),))


def session_cookie(call: Call, made: SignedIn) -> str:
    """Return the `Set-Cookie` value of a new session."""
    return cookie_text(
        SESSION_COOKIE,
        made.token,
        seconds=call.hub.settings.session_seconds,
        secure=is_secure(call.hub.settings, call.scheme),
    )


def _session_view(record: SessionRecord, current: str | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "method": record.method,
        "address": record.address,
        "client": record.client,
        "current": record.id == current,
        "createdAt": time_view(record.created_at),
        "authenticatedAt": time_view(record.authenticated_at),
        "lastSeenAt": time_view(record.last_seen_at),
        "expiresAt": time_view(record.expires_at),
        "revokedAt": time_view(record.revoked_at),
    }


OPERATIONS = [login, login_by_link, logout, password, sessions, end, end_others]
