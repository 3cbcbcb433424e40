"""`/audit`: the record, its checkpoints and proofs."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from pydantic import Field

from controlplane.api.operation import Call, Query, Stream, View, operation
from controlplane.api.shapes import JsonObject
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.audit.service import (
    checkpoint_view,
    export_record,
    list_leaves,
    newest_checkpoint,
    prove_consistency,
    prove_inclusion,
)
from storage.records import AuditLeaf


class LeafView(View):
    """One entry; `leaf` is the exact text that was hashed."""

    index: int
    at: str
    kind: str
    actor: str
    subject: str
    data: JsonObject
    leaf: str
    hash: str


class CheckpointView(View):
    """A C2SP signed note over the record, and the delegation of the key that signed it."""

    checkpoint: str
    size: int
    root: str
    log: str
    log_delegation: str


class InclusionView(CheckpointView):
    """A leaf and its RFC 6962 proof; hashes in base64."""

    index: int
    leaf: str
    leaf_hash: str
    proof: list[str]


class ConsistencyView(View):
    """An RFC 6962 consistency proof; hashes in base64."""

    old: int
    new: int
    proof: list[str]


class AuditQuery(PageQuery):
    """Which entries."""

    subject: str | None = None
    actor: str | None = None
    kind: str | None = None


class InclusionQuery(Query):
    """Which leaf: its index, or the order it is about."""

    index: Annotated[int | None, Field(ge=0, le=2**53 - 1)] = None
    intent: str | None = None


class ConsistencyQuery(Query):
    """Two tree sizes."""

    old: Annotated[int, Field(ge=0, le=2**53 - 1)]
    new: Annotated[int, Field(ge=0, le=2**53 - 1)]


@operation(
    "GET",
    "/api/v1/audit",
    permission="audit.read",
    query=AuditQuery,
    result=list[LeafView],
)
async def list_(call: Call) -> Any:
    """The record, newest first."""
    query = call.query
    page = await list_leaves(
        call.hub,
        call.actor,
        limit=query.limit,
        cursor=query.cursor,
        subject=query.subject,
        actor=query.actor,
        kind=query.kind,
    )
    return page_view(page, _leaf_view)


@operation(
    "GET",
    "/api/v1/audit/checkpoint",
    permission="audit.read",
    result=CheckpointView,
    errors=("not_found",),
)
async def checkpoint(call: Call) -> Any:
    """A signed checkpoint over the whole record."""
    return checkpoint_view(call.hub, await newest_checkpoint(call.hub))


@operation(
    "GET",
    "/api/v1/audit/proof/inclusion",
    permission="audit.read",
    query=InclusionQuery,
    result=InclusionView,
    errors=("not_found",),
)
async def inclusion(call: Call) -> Any:
    """Prove that a leaf is in the record."""
    return await prove_inclusion(call.hub, index=call.query.index, intent=call.query.intent)


@operation(
    "GET",
    "/api/v1/audit/proof/consistency",
    permission="audit.read",
    query=ConsistencyQuery,
    result=ConsistencyView,
    errors=("not_found",),
)
async def consistency(call: Call) -> Any:
    """Prove that an older record is the beginning of a newer one."""
    return await prove_consistency(call.hub, call.query.old, call.query.new)


@operation(
    "GET",
    "/api/v1/audit/export",
    permission="audit.read",
    errors=("not_found",),
    media_type="application/x-ndjson",
)
async def export(call: Call) -> Any:
    """Everything an offline check needs, as JSON lines."""
    await newest_checkpoint(call.hub)
    return Stream(export_record(call.hub), "application/x-ndjson")


def _leaf_view(leaf: AuditLeaf) -> dict[str, Any]:
    return {
        "index": leaf.index,
        "at": time_view(leaf.at),
        "kind": leaf.kind,
        "actor": leaf.actor,
        "subject": leaf.subject,
        "data": orjson.loads(leaf.leaf)["data"],
        "leaf": leaf.leaf.decode(),
        "hash": leaf.hash.hex(),
    }


OPERATIONS = [list_, checkpoint, inclusion, consistency, export]
