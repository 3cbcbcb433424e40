"""`/approvals`: calls that wait for people."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane import clock
from controlplane.api.agents import DocumentBody, ReasonBody
from controlplane.api.operation import Call, View, operation
from controlplane.api.shapes import Json
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.approvals.demand import must_sign, named_in
from controlplane.approvals.service import (
    Detail,
    decide_as_person,
    decide_signed,
    list_approvals,
    load_approval,
)


class GivenDecisionView(View):
    """What one person decided; `by` is `own key`, or `hub`, which then vouches for them."""

    id: str
    approver: str
    signer: str
    by: Literal["own key", "hub"]
    approved: bool
    reason: str | None
    at: str


class ApprovalView(View):
    """One call that waits, with what was decided about it.

    `approved` of `people` have said yes. `from` names who is asked (DIDs, roles, `*`; null where
    nobody knows), `signed` whether only decisions by their own keys count.
    """

    id: str
    request_id: str
    intent_id: str
    agent: str
    agent_name: str | None
    realm: str
    tool: str
    arguments: Json
    call_digest: str
    rule: str
    people: int
    approved: int
    missing: int
    from_: list[str] | None = Field(alias="from")
    signed: bool
    state: Literal["pending", "approved", "denied", "expired"]
    ordered_by: str | None
    requested_at: str
    expires_at: str
    decided_at: str | None
    decisions: list[GivenDecisionView]


class ApprovalListQuery(PageQuery):
    """Which requests; `agent` is a DID."""

    state: Annotated[str | None, Field(pattern="^(pending|approved|denied|expired)$")] = None
    agent: Annotated[str | None, Field(max_length=200)] = None
    tool: Annotated[str | None, Field(max_length=200)] = None


@operation(
    "GET",
    "/api/v1/approvals",
    permission="approvals.read",
    query=ApprovalListQuery,
    result=list[ApprovalView],
)
async def list_(call: Call) -> Any:
    """List calls that wait, newest first."""
    query = call.query
    page = await list_approvals(
        call.hub,
        call.actor,
        state=query.state,
        agent_did=query.agent,
        tool=query.tool,
        limit=query.limit,
        cursor=query.cursor,
    )
    return page_view(page, approval_view)


@operation(
    "GET",
    "/api/v1/approvals/{id}",
    permission="approvals.read",
    result=ApprovalView,
)
async def show(call: Call) -> Any:
    """The exact call that waits."""
    return approval_view(await load_approval(call.hub, call.actor, call.path["id"]))


@operation(
    "POST",
    "/api/v1/approvals/{id}/approve",
    permission="approvals.decide",
    body=ReasonBody,
    result=ApprovalView,
    errors=("conflict",),
    step_up=True,
)
async def approve(call: Call) -> Any:
    """Let this exact call happen, once; the hub vouches for you."""
    return approval_view(
        await decide_as_person(
            call.hub, call.actor, call.path["id"], approved=True, reason=call.body.reason
        )
    )


@operation(
    "POST",
    "/api/v1/approvals/{id}/reject",
    permission="approvals.decide",
    body=ReasonBody,
    result=ApprovalView,
    errors=("conflict",),
    step_up=True,
)
async def reject(call: Call) -> Any:
    """Deny it; final."""
    return approval_view(
        await decide_as_person(
            call.hub, call.actor, call.path["id"], approved=False, reason=call.body.reason
        )
    )


@operation(
    "POST",
    "/api/v1/approvals/{id}/signed",
    permission="approvals.decide",
    body=DocumentBody,
    result=ApprovalView,
    errors=(
        "conflict",
        "bad_json",
        "bad_envelope",
        "frame_too_large",
        "bad_signature",
        "forbidden_type",
        "bad_payload",
        "expired",
        "wrong_audience",
        "id_reuse",
    ),
)
async def signed(call: Call) -> Any:
    """Hand in a decision that its person signed."""
    return approval_view(
        await decide_signed(call.hub, call.actor, call.path["id"], call.body.document)
    )


def approval_view(detail: Detail) -> dict[str, Any]:
    """Return a request as clients see it."""
    approval, intent = detail.approval, detail.intent
    named = named_in(approval)
    state = detail.state_at(clock.now())
    missing = max(approval.people - detail.approved_by, 0) if state == "pending" else 0
    return {
        "id": approval.id,
        "requestId": approval.id,
        "intentId": approval.intent_id,
        "agent": approval.agent_did,
        "agentName": None if intent is None else intent.agent_name,
        "realm": approval.realm,
        "tool": approval.tool,
        "arguments": approval.arguments,
        "callDigest": approval.call_digest,
        "rule": approval.rule,
        "people": approval.people,
        "approved": detail.approved_by,
        "missing": missing,
        "from": None if named is None else sorted(named),
        "signed": must_sign(approval),
        "state": state,
        "orderedBy": None if intent is None else intent.submitted_by,
        "requestedAt": time_view(approval.requested_at),
        "expiresAt": time_view(approval.expires_at),
        "decidedAt": time_view(approval.decided_at),
        "decisions": [
            {
                "id": one.id,
                "approver": one.approver,
                "signer": one.signer,
                "by": "own key" if one.signer == one.approver else "hub",
                "approved": one.approved,
                "reason": one.reason,
                "at": time_view(one.at),
            }
            for one in detail.decisions
        ],
    }


OPERATIONS = [list_, show, approve, reject, signed]
