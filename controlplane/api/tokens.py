"""`/tokens`: short-lived tokens that tell other services who is calling."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.views import time_view
from controlplane.tokens.service import MAX_SCOPES, issue_token
from protocol.messages.fields import Name
from protocol.messages.tokens import Audience


class CreateTokenBody(Body):
    """For which service; `realm` is `default` without one, `scopes` are permissions to name."""

    audience: Audience
    realm: Name | None = None
    scopes: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=MAX_SCOPES)
    ] = Field(default_factory=list)


class TokenView(View):
    """A signed JWT, good for a minute; `id` is its `jti`."""

    token: str
    id: str
    subject: str
    audience: str
    realm: str
    expires_at: str


@operation(
    "POST",
    "/api/v1/tokens",
    permission="tokens.create",
    body=CreateTokenBody,
    result=TokenView,
    status=201,
    errors=("rate_limited",),
    idempotency="none",
)
async def create(call: Call) -> Any:
    """Make a token that tells one other service who you are, for a minute."""
    body = call.body
    made = await issue_token(
        call.hub, call.actor, audience=body.audience, realm=body.realm, scopes=body.scopes
    )
    view = {
        "token": made.token,
        "id": made.id,
        "subject": made.subject,
        "audience": made.audience,
        "realm": made.realm,
        "expiresAt": time_view(made.expires_at),
    }
    return Reply(view, headers={"Cache-Control": "no-store"})


OPERATIONS = [create]
