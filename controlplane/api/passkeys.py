"""`/me/passkeys` and `/login/passkey`: WebAuthn, as browsers' JSON."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.cross_site import own_origin
from controlplane.api.operation import PUBLIC, Body, Call, Reply, View, operation
from controlplane.api.shapes import JsonObject
from controlplane.api.sign_in import SignedInView, signed_in_reply, visitor_of
from controlplane.api.views import time_view
from controlplane.people.passkeys import (
    add_passkey,
    begin_passkey,
    begin_sign_in,
    list_passkeys,
    remove_passkey,
    sign_in_with_passkey,
)
from storage.records import PasskeyRecord

Ceremony = Annotated[str, Field(min_length=1, max_length=100)]


class BegunView(View):
    """What to hand to `navigator.credentials`, and the id to bring back with its answer."""

    ceremony: str
    options: JsonObject


class PasskeyView(View):
    """One of your passkeys. `backedUp`: it is kept elsewhere too."""

    id: str
    name: str
    backed_up: bool
    transports: list[str]
    created_at: str
    last_used_at: str | None


class AddPasskeyBody(Body):
    """The browser's answer, as `PublicKeyCredential.toJSON()` gives it."""

    ceremony: Ceremony
    credential: dict[str, Any]
    name: Annotated[str, Field(min_length=1, max_length=100)]


class PasskeySignInBody(Body):
    """The browser's answer; `bearer` asks for a token instead of a cookie."""

    ceremony: Ceremony
    credential: dict[str, Any]
    bearer: bool = False


@operation(
    "POST",
    "/api/v1/me/passkeys/begin",
    permission="me.write",
    result=BegunView,
    errors=("conflict",),
    step_up=True,
)
async def begin(call: Call) -> Any:
    """Begin to make a passkey."""
    begun = await begin_passkey(call.hub, call.actor)
    return {"ceremony": begun.ceremony, "options": begun.options}


@operation(
    "POST",
    "/api/v1/me/passkeys",
    permission="me.write",
    body=AddPasskeyBody,
    result=PasskeyView,
    status=201,
    step_up=True,
    idempotency="none",
)
async def add(call: Call) -> Any:
    """Keep the passkey your browser has made."""
    body = call.body
    made = await add_passkey(
        call.hub,
        call.actor,
        ceremony=body.ceremony,
        credential=body.credential,
        name=body.name,
        origin=_origin(call),
    )
    return _view(made)


@operation("GET", "/api/v1/me/passkeys", permission="me.read", result=list[PasskeyView])
async def list_(call: Call) -> Any:
    """Your passkeys."""
    held = await list_passkeys(call.hub, call.actor)
    return {"items": [_view(one) for one in held], "nextCursor": None}


@operation("DELETE", "/api/v1/me/passkeys/{id}", permission="me.write", status=204, step_up=True)
async def remove(call: Call) -> Any:
    """Forget one of your passkeys."""
    await remove_passkey(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "POST",
    "/api/v1/login/passkey/begin",
    permission=PUBLIC,
    result=BegunView,
    errors=("rate_limited",),
)
async def begin_login(call: Call) -> Any:
    """Begin to sign in with a passkey."""
    begun = await begin_sign_in(call.hub, visitor_of(call))
    return {"ceremony": begun.ceremony, "options": begun.options}


@operation(
    "POST",
    "/api/v1/login/passkey",
    permission=PUBLIC,
    body=PasskeySignInBody,
    result=SignedInView,
    errors=("sign_in_failed", "rate_limited"),
)
async def login(call: Call) -> Any:
    """Sign in with a passkey."""
    body = call.body
    made = await sign_in_with_passkey(
        call.hub,
        ceremony=body.ceremony,
        credential=body.credential,
        origin=_origin(call),
        visitor=visitor_of(call),
    )
    return signed_in_reply(call, made, bearer=body.bearer)


def _origin(call: Call) -> str:
    return own_origin(call.hub.settings.public_url, call.scheme, call.headers)


def _view(record: PasskeyRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "backedUp": record.backed_up,
        "transports": list(record.transports),
        "createdAt": time_view(record.created_at),
        "lastUsedAt": time_view(record.last_used_at),
    }


OPERATIONS = [begin, add, list_, remove, begin_login, login]
