"""`/delegations` and `/revocations`: who was lent what, and what was taken back."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

from controlplane.access.authorize import Actor, realms_with
from controlplane.api.agents import DocumentBody, ReasonBody
from controlplane.api.operation import Body, Call, View, operation
from controlplane.api.shapes import Capability, Limits, WishedCapability
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.delegations.reach import is_seen_from
from controlplane.delegations.revocations import take_revocations
from controlplane.delegations.service import (
    DelegationRequest,
    issue_delegation,
    revoke_delegation,
    take_delegation,
)
from controlplane.errors import HiddenError
from controlplane.mending import mend
from protocol.messages.fields import Condition, Party
from storage.records import DelegationRecord, RevocationsRecord

MAX_LIFETIME_SECONDS: Final = 2 * 366 * 86_400
DEFAULT_LIFETIME_SECONDS: Final = 90 * 86_400
DOCUMENT_ERRORS: Final = (
    "bad_json",
    "bad_envelope",
    "frame_too_large",
    "bad_signature",
    "forbidden_type",
    "bad_payload",
    "expired",
    "future",
    "wrong_audience",
    "id_reuse",
)


class DelegationView(View):
    """A delegation; `document` is JSON text as signed."""

    id: str
    issuer: str
    subject: str
    digest: str
    parent: str | None
    capabilities: list[Capability]
    conditions: list[str]
    max_depth: int
    budget: Limits | None
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
    """What the hub lends in its own name: capabilities as in the document, agents also by name.

    `budget` has the form of a policy's limits.
    """

    subject: Party
    capabilities: Annotated[list[WishedCapability], Field(min_length=1, max_length=64)]
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(default_factory=list)
    expires_in_seconds: Annotated[int, Field(ge=1, le=MAX_LIFETIME_SECONDS)] = (
        DEFAULT_LIFETIME_SECONDS
    )
    max_depth: Annotated[int, Field(ge=0, le=16)] = 0
    budget: Limits | None = None


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
            subject=query.subject,
            issuer=query.issuer,
            keep=lambda one: _may_see(call.actor, one),
            limit=query.limit,
            cursor=query.cursor,
        )
    )
    return page_view(page, delegation_view)


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
    """Lend somebody what the hub may do, in whole or in part; signed by the hub."""
    body = call.body
    request = DelegationRequest(
        subject=body.subject,
        capabilities=body.capabilities,
        lifetime=timedelta(seconds=body.expires_in_seconds),
        conditions=body.conditions,
        max_depth=body.max_depth,
        budget=body.budget,
    )
    return delegation_view(await issue_delegation(call.hub, call.actor, request))


@operation(
    "POST",
    "/api/v1/delegations/signed",
    permission="delegations.sign",
    body=DocumentBody,
    result=DelegationView,
    status=201,
    errors=DOCUMENT_ERRORS,
)
async def signed(call: Call) -> Any:
    """Take in a delegation that an operator or the root signed, and send it to its agents."""
    return delegation_view(await take_delegation(call.hub, call.actor, call.body.document))


@operation(
    "POST",
    "/api/v1/delegations/{id}/revoke",
    permission="delegations.write",
    body=ReasonBody,
    result=DelegationView,
)
async def revoke(call: Call) -> Any:
    """Take a delegation back, and with it what hangs under it."""
    revoked = await revoke_delegation(call.hub, call.actor, call.path["id"], call.body.reason)
    return delegation_view(revoked)


@operation(
    "POST",
    "/api/v1/revocations/signed",
    permission="delegations.write.any",
    body=DocumentBody,
    result=RevocationsView,
    errors=("conflict", *DOCUMENT_ERRORS),
)
async def signed_revocations(call: Call) -> Any:
    """Put in force a full list of revocations that an operator or the root signed."""
    taken = await take_revocations(call.hub, call.actor, call.body.document)
    await mend(call.hub)  # it may name a key that this hub once had
    return _revocations_view(taken)


@operation(
    "GET",
    "/api/v1/revocations",
    permission="delegations.read",
    result=RevocationsView,
)
async def revocations(call: Call) -> Any:
    """The list of revoked keys and delegations in force."""
    return _revocations_view(await call.hub.database.read(lambda uow: uow.revocations.latest()))


def _revocations_view(latest: RevocationsRecord | None) -> dict[str, Any]:
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
    return is_seen_from(record, realms_with(actor, "delegations.read"))


OPERATIONS = [list_, show, issue, signed, revoke, revocations, signed_revocations]
