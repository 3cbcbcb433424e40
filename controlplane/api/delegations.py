"""`/delegations` and `/revocations`: who was lent what, and what was taken back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from controlplane.access.authorize import Actor, realms_with
from controlplane.api.agents import DocumentBody, ReasonBody
from controlplane.api.operation import Body, Call, View, operation
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.delegations.service import (
    issue_delegation,
    revoke_delegation,
    take_signed_delegation,
)
from controlplane.errors import HiddenError
from protocol.messages.fields import Condition, Party
from storage.pages import Page
from storage.records import DelegationRecord


class DelegationView(View):
    """A delegation; `document` is JSON text as signed."""

    id: str
    issuer: str
    subject: str
    digest: str
    parent: str | None
    capabilities: list[dict[str, Any]]
    conditions: list[str]
    max_depth: int
    budget: dict[str, Any] | None
    source: str
    not_before: str
    expires_at: str
    revoked: bool
    revoked_at: str | None
    document: str


class RevocationsView(View):
    """The list in force; epoch 0 and no document when nothing was ever revoked."""

    epoch: int
    keys: list[str]
    delegations: list[str]
    document: str | None


class IssueBody(Body):
    """What is lent, to whom and for how long; `subject` is a DID or `user:<uuid>`."""

    subject: Party
    capabilities: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=64)]
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)
    max_depth: Annotated[int, Field(ge=0, le=16)] = 0
    expires_in_seconds: Annotated[int, Field(ge=1, le=2 * 366 * 86_400)] = 90 * 86_400


class DelegationListQuery(PageQuery):
    """Only those lent to, or by, somebody."""

    subject: str | None = None
    issuer: str | None = None


@operation(
    "GET",
    "/api/v1/delegations",
    permission="delegations.read",
    query=DelegationListQuery,
    result=list[DelegationView],
)
async def list_(call: Call) -> Any:
    """List delegations the hub holds, newest first."""
    query = call.query
    page = await call.hub.database.read(
        lambda uow: uow.delegations.list(
            subject=query.subject, issuer=query.issuer, limit=query.limit, cursor=query.cursor
        )
    )
    shown = tuple(one for one in page.items if _may_see(call.actor, one))
    return page_view(Page(shown, page.next_cursor), delegation_view)


@operation(
    "GET",
    "/api/v1/delegations/{id}",
    permission="delegations.read",
    result=DelegationView,
)
async def show(call: Call) -> Any:
    """One delegation."""
    found = await call.hub.database.read(lambda uow: uow.delegations.get(call.path["id"]))
    if found is None or not _may_see(call.actor, found):
        raise HiddenError("no such delegation")
    return delegation_view(found)


@operation(
    "POST",
    "/api/v1/delegations",
    permission="delegations.write",
    body=IssueBody,
    result=DelegationView,
    status=201,
)
async def issue(call: Call) -> Any:
    """Lend out of the hub's own delegation, to a key or a person."""
    body = call.body
    made = await issue_delegation(
        call.hub,
        call.actor,
        subject=body.subject,
        capabilities=body.capabilities,
        conditions=body.conditions,
        max_depth=body.max_depth,
        expires_in_seconds=body.expires_in_seconds,
    )
    return delegation_view(made)


@operation(
    "POST",
    "/api/v1/delegations/signed",
    permission="delegations.write",
    body=DocumentBody,
    result=DelegationView,
    status=201,
    errors=(
        "bad_json",
        "bad_envelope",
        "frame_too_large",
        "bad_signature",
        "forbidden_type",
        "bad_payload",
        "expired",
        "id_reuse",
    ),
)
async def take_signed(call: Call) -> Any:
    """Hand in a delegation that was signed elsewhere."""
    return delegation_view(await take_signed_delegation(call.hub, call.actor, call.body.document))


@operation(
    "POST",
    "/api/v1/delegations/{id}/revoke",
    permission="delegations.write",
    body=ReasonBody,
    result=DelegationView,
)
async def revoke(call: Call) -> Any:
    """Take a delegation back, for good."""
    return delegation_view(await revoke_delegation(call.hub, call.actor, call.path["id"]))


@operation(
    "GET",
    "/api/v1/revocations",
    permission="delegations.read",
    result=RevocationsView,
)
async def revocations(call: Call) -> Any:
    """The list of revoked keys and delegations in force."""
    latest = await call.hub.database.read(lambda uow: uow.revocations.latest())
    if latest is None:
        return {"epoch": 0, "keys": [], "delegations": [], "document": None}
    return {
        "epoch": latest.epoch,
        "keys": list(latest.keys),
        "delegations": list(latest.delegations),
        "document": latest.wire.decode(),
    }


def delegation_view(record: DelegationRecord) -> dict[str, Any]:
    """Return a delegation as clients see it."""
    return {
        "id": record.id,
        "issuer": record.issuer,
        "subject": record.subject,
        "digest": record.digest,
        "parent": record.parent_digest,
        "capabilities": record.capabilities,
        "conditions": list(record.conditions),
        "maxDepth": record.max_depth,
        "budget": record.budget,
        "source": record.source,
        "notBefore": time_view(record.not_before),
        "expiresAt": time_view(record.expires_at),
        "revoked": record.revoked_at is not None,
        "revokedAt": time_view(record.revoked_at),
        "document": record.wire.decode(),
    }


def _may_see(actor: Actor, record: DelegationRecord) -> bool:
    """Whether some capability reaches a realm of the caller; one without realms reaches all."""
    realms = realms_with(actor, "delegations.read")
    if realms is None:
        return True
    return any(
        one.get("realms") is None or realms & set(one["realms"]) for one in record.capabilities
    )


OPERATIONS = [list_, show, issue, take_signed, revoke, revocations]
