"""`/delegations` and `/revocations`: who was lent what, and what was taken back."""

from __future__ import annotations

from typing import Any

from controlplane.access.authorize import Actor, realms_with
from controlplane.api.operation import Call, View, operation
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.errors import HiddenError
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


OPERATIONS = [list_, show, revocations]
