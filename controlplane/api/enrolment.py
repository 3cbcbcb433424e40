"""`/join-tokens` and `/registrations`: who may come into the fleet."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from controlplane.api.agents import ReasonBody
from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.shapes import Limits, Rule
from controlplane.api.views import (
    JoinTokenView,
    PageQuery,
    RegistrationView,
    agent_view,
    join_token_view,
    page_view,
    registration_view,
    time_view,
)
from controlplane.fleet.join_tokens import (
    MAX_LIFETIME_SECONDS,
    create_join_token,
    list_join_tokens,
    revoke_join_token,
)
from controlplane.fleet.registrations import (
    Approval,
    approve_registration,
    list_registrations,
    load_registration,
    realms_or_default,
    reject_registration,
)
from controlplane.policies.content import PolicyContent, allow_content
from protocol.messages.fields import ActionPattern, Name


class CreateJoinTokenBody(Body):
    """A ticket for one agent; `name` is a glob that its wish must match."""

    realm: Name | None = None
    name: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    auto_approve: bool = False
    expires_in_seconds: Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS)] | None = None
    capabilities: Annotated[list[ActionPattern], Field(max_length=64)] | None = None


class IssuedTokenView(View):
    """A join token; `token` is shown this once."""

    id: str
    token: str | None
    expires_at: str


class PolicyBody(Body):
    """Rules and limits in their wire form."""

    rules: Annotated[list[Rule], Field(max_length=256)]
    limits: Limits = Field(default_factory=dict)


class ApproveBody(Body):
    """What the agent gets; `capabilities` is short for one allow rule over these actions."""

    name: Name | None = None
    realms: Annotated[list[Name], Field(min_length=1, max_length=64)] | None = None
    capabilities: Annotated[list[ActionPattern], Field(max_length=64)] | None = None
    policy: PolicyBody | None = None

    @model_validator(mode="after")
    def _one_policy(self) -> Self:
        if self.capabilities is not None and self.policy is not None:
            raise ValueError("either capabilities or policy")
        return self

    def content(self) -> PolicyContent | None:
        """Return the policy that is granted, or None for none."""
        if self.policy is not None:
            return PolicyContent(rules=self.policy.rules, limits=self.policy.limits)
        return None if self.capabilities is None else allow_content(self.capabilities)


class RegistrationListQuery(PageQuery):
    """Which requests."""

    state: Annotated[str | None, Field(pattern="^(pending|approved|rejected|expired)$")] = None


@operation(
    "POST",
    "/api/v1/join-tokens",
    permission="enrolment.manage",
    body=CreateJoinTokenBody,
    result=IssuedTokenView,
    status=201,
)
async def create_token(call: Call) -> Any:
    """Make a single-use join token; it is shown once."""
    body = call.body
    made = await create_join_token(
        call.hub,
        call.actor,
        hub_url=agent_url(call),
        realm=body.realm,
        name=body.name,
        auto_approve=body.auto_approve,
        expires_in_seconds=body.expires_in_seconds,
        capabilities=body.capabilities,
    )
    shown = {"id": made.id, "token": made.token, "expiresAt": time_view(made.expires_at)}
    return Reply(shown, replay={**shown, "token": None})


@operation(
    "GET",
    "/api/v1/join-tokens",
    permission="enrolment.manage",
    query=PageQuery,
    result=list[JoinTokenView],
)
async def list_tokens(call: Call) -> Any:
    """List join tokens, without their secrets."""
    page = await list_join_tokens(call.hub, call.actor, call.query.limit, call.query.cursor)
    return page_view(page, join_token_view)


@operation(
    "DELETE",
    "/api/v1/join-tokens/{id}",
    permission="enrolment.manage",
    status=204,
)
async def revoke_token(call: Call) -> Any:
    """Make a join token worthless."""
    await revoke_join_token(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "GET",
    "/api/v1/registrations",
    permission="enrolment.read",
    query=RegistrationListQuery,
    result=list[RegistrationView],
)
async def list_requests(call: Call) -> Any:
    """List requests to join, newest first."""
    query = call.query
    page = await list_registrations(
        call.hub, call.actor, state=query.state, limit=query.limit, cursor=query.cursor
    )
    return page_view(page, registration_view)


@operation(
    "GET",
    "/api/v1/registrations/{id}",
    permission="enrolment.read",
    result=RegistrationView,
)
async def show_request(call: Call) -> Any:
    """One request to join."""
    return registration_view(await load_registration(call.hub, call.actor, call.path["id"]))


@operation(
    "POST",
    "/api/v1/registrations/{id}/approve",
    permission="enrolment.manage",
    body=ApproveBody,
    result=RegistrationView,
    errors=("conflict",),
)
async def approve(call: Call) -> Any:
    """Enrol who asks: name, realms and policy."""
    found = await load_registration(call.hub, call.actor, call.path["id"])
    approval = Approval(
        realms=realms_or_default(call.body.realms, found),
        name=call.body.name,
        content=call.body.content(),
    )
    decided, agent = await approve_registration(call.hub, call.actor, found.id, approval)
    return {**registration_view(decided), "agent": agent_view(agent)}


@operation(
    "POST",
    "/api/v1/registrations/{id}/reject",
    permission="enrolment.manage",
    body=ReasonBody,
    result=RegistrationView,
    errors=("conflict",),
)
async def reject(call: Call) -> Any:
    """Turn a request down."""
    return registration_view(
        await reject_registration(call.hub, call.actor, call.path["id"], call.body.reason)
    )


def agent_url(call: Call) -> str:
    """Return the WebSocket URL to put into tokens: the public one, else where this request came."""
    settings = call.hub.settings
    host = call.headers.get("host")
    if settings.public_url or not host or not _plain_host(host):
        return settings.agent_url()
    scheme = "wss" if call.scheme == "https" else "ws"
    return f"{scheme}://{host}/ws/agent"


def _plain_host(host: str) -> bool:
    return all(char.isalnum() or char in ".-:[]" for char in host) and len(host) < 256


OPERATIONS = [create_token, list_tokens, revoke_token, list_requests, show_request, approve, reject]
