"""`/login/device`: signing in a machine by another (RFC 8628, in our JSON)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.page_address import own_address
from controlplane.api.operation import PUBLIC, Body, Call, View, operation
from controlplane.api.sign_in import SignedInView, signed_in_reply, visitor_of
from controlplane.api.views import time_view
from controlplane.people.device_logins import (
    INTERVAL_SECONDS,
    begin_device_login,
    decide_device_login,
    load_device_login,
    poll_device_login,
)
from storage.records import DeviceLoginRecord


class DeviceLoginView(View):
    """The codes: the long one is the machine's secret, the short one is for its person."""

    device_code: str
    user_code: str
    verification_uri: str
    expires_at: str
    interval_seconds: int


class WaitingView(View):
    """The machine that waits under a code."""

    client: str
    address: str
    requested_at: str
    expires_at: str


class PollBody(Body):
    """The machine's own code."""

    device_code: Annotated[str, Field(min_length=1, max_length=200)]


class DecideBody(Body):
    """The code the machine shows, and whether it may in."""

    user_code: Annotated[str, Field(min_length=1, max_length=40)]
    approved: bool


@operation(
    "POST",
    "/api/v1/login/device",
    permission=PUBLIC,
    result=DeviceLoginView,
    errors=("rate_limited",),
)
async def begin(call: Call) -> Any:
    """Ask for codes to sign in this machine by another."""
    made = await begin_device_login(call.hub, visitor_of(call))
    address = own_address(call.hub.settings.public_url, call.scheme, call.headers)
    return {
        "deviceCode": made.device_code,
        "userCode": made.user_code,
        "verificationUri": f"{address}/device",
        "expiresAt": time_view(made.record.expires_at),
        "intervalSeconds": INTERVAL_SECONDS,
    }


@operation(
    "POST",
    "/api/v1/login/device/token",
    permission=PUBLIC,
    body=PollBody,
    result=SignedInView,
    errors=(
        "authorization_pending",
        "slow_down",
        "access_denied",
        "expired_token",
        "sign_in_failed",
    ),
)
async def poll(call: Call) -> Any:
    """Ask whether this machine was let in; then its session."""
    made = await poll_device_login(call.hub, call.body.device_code, visitor_of(call))
    return signed_in_reply(call, made, bearer=True)


@operation(
    "GET",
    "/api/v1/me/device-logins/{code}",
    permission="me.write",
    result=WaitingView,
    errors=("rate_limited",),
)
async def show(call: Call) -> Any:
    """The machine that waits under a code."""
    return _waiting_view(await load_device_login(call.hub, call.actor, call.path["code"]))


@operation(
    "POST",
    "/api/v1/me/device-logins",
    permission="me.write",
    body=DecideBody,
    result=WaitingView,
    errors=("not_found", "rate_limited"),
    step_up=True,
)
async def decide(call: Call) -> Any:
    """Let a machine in as yourself, or not."""
    body = call.body
    found = await decide_device_login(call.hub, call.actor, body.user_code, approved=body.approved)
    return _waiting_view(found)


def _waiting_view(record: DeviceLoginRecord) -> dict[str, Any]:
    return {
        "client": record.client,
        "address": record.address,
        "requestedAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
    }


OPERATIONS = [begin, poll, show, decide]
