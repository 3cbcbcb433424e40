"""`/audit`: the record, its checkpoints and proofs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from controlplane.api.operation import Body, Call, Query, Reply, Stream, View, operation
from controlplane.api.shapes import JsonObject
from controlplane.api.views import PageQuery, page_view
from controlplane.audit.export import entry_view, export_as
from controlplane.audit.forks import report_fork
from controlplane.audit.service import (
    Entry,
    checkpoint_view,
    list_entries,
    newest_checkpoint,
    prove_consistency,
    prove_inclusion,
    read_by,
)
from controlplane.audit.tiles import load_tile
from controlplane.audit.witnesses import (
    cosignature_view,
    load_cosignatures,
    take_cosignature,
    with_cosignatures,
)
from controlplane.errors import InvalidFieldError
from protocol.errors import BadEnvelopeError
from protocol.timestamps import parse_timestamp
from storage.records import AuditFilter

_NOTE = "text/plain"
Note = Annotated[str, Field(min_length=1, max_length=16 * 1024)]


class LeafView(View):
    """One entry; `leaf` is the exact text that was hashed.

    `assurance` says how the actor is known: enforced, attributed or unknown. Of `personal` the
    leaf has hashes only; a value that was erased is null.
    """

    index: int
    at: str
    kind: str
    actor: str
    assurance: str
    subject: str
    realms: list[str]
    data: JsonObject
    personal: JsonObject
    leaf: str
    hash: str


class CheckpointView(View):
    """A C2SP signed note over the record, and the delegation of the key that signed it."""

    checkpoint: str
    size: int
    root: str
    log: str
    log_delegation: str


class CosignatureView(View):
    """A witness's word: `checkpoint` is the note with the witness's line below the log's."""

    key: str
    name: str
    size: int
    at: str
    checkpoint: str


class WatchedCheckpointView(CheckpointView):
    """The newest checkpoint, and the newest that each witness has cosigned."""

    cosigned: list[CosignatureView]


class CosignatureBody(Body):
    """One line of a signed note, over the checkpoint of `size` leaves, by the verifier key."""

    size: Annotated[int, Field(ge=1, le=2**53 - 1)]
    key: Annotated[str, Field(min_length=1, max_length=400)]
    cosignature: Annotated[str, Field(min_length=1, max_length=1_000)]


class InclusionView(CheckpointView):
    """A leaf and its RFC 6962 proof; hashes in base64."""

    index: int
    leaf: str
    leaf_hash: str
    proof: list[str]
    personal: JsonObject


class ConsistencyView(View):
    """An RFC 6962 consistency proof; hashes in base64."""

    old: int
    new: int
    proof: list[str]


class Chosen(Query):
    """Which entries. `kind` may end in `.*`; times are `since` <= at < `until`."""

    subject: str | None = None
    actor: str | None = None
    kind: str | None = None
    realm: str | None = None
    since: str | None = None
    until: str | None = None


class ForkBody(Body):
    """Two checkpoints, as notes that the log's key has signed, that cannot both be true."""

    seen_before: Note
    shown_now: Note


class ForkView(View):
    """A fork that the hub has checked and put on its record, once for each pair.

    `why` is `two_roots` (of one size), `two_names`, `cut_short` (the record has fewer entries than
    were signed) or `not_contained` (it does not begin with what was signed).
    """

    id: str
    why: str
    seen_before: str
    shown_now: str


class AuditQuery(Chosen, PageQuery):
    """Which entries, and where in their listing."""


class ExportQuery(Chosen):
    """Which entries, and how: with everything that proves them, or as lines to read."""

    format: Literal["proof", "jsonl", "cef"] = "proof"


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
    page = await list_entries(call.hub, _chosen(call), limit=query.limit, cursor=query.cursor)
    return page_view(page, _leaf_view)


@operation(
    "GET",
    "/api/v1/audit/checkpoint",
    permission="audit.read",
    result=WatchedCheckpointView,
    errors=("not_found",),
    also_media_types=(_NOTE,),
)
async def checkpoint(call: Call) -> Any:
    """A signed checkpoint over the whole record; as text/plain the C2SP note itself."""
    newest = await newest_checkpoint(call.hub)
    words = await load_cosignatures(call.hub, newest.size)
    if call.headers.get("accept", "").startswith(_NOTE):
        return Reply(
            with_cosignatures(newest, words).encode(), media_type=f"{_NOTE}; charset=utf-8"
        )
    shown = [cosignature_view(one) for one in words]
    return {**checkpoint_view(call.hub, newest), "cosigned": shown}


@operation(
    "POST",
    "/api/v1/audit/cosignatures",
    permission="audit.witness",
    body=CosignatureBody,
    result=CosignatureView,
    status=201,
)
async def cosignature(call: Call) -> Any:
    """Hand in a witness's cosignature of a checkpoint."""
    body = call.body
    word = await take_cosignature(
        call.hub, call.actor, size=body.size, key=body.key, line=body.cosignature
    )
    return cosignature_view(word)


@operation(
    "POST",
    "/api/v1/audit/fork-reports",
    permission="audit.read",
    body=ForkBody,
    result=ForkView,
    status=201,
    errors=("conflict", "record_damaged"),
)
async def fork_report(call: Call) -> Any:
    """Report two checkpoints that cannot both be true; the proof is put on the record."""
    body = call.body
    report = await report_fork(
        call.hub, call.actor, seen_before=body.seen_before, shown_now=body.shown_now
    )
    return {
        "id": report.id,
        "why": report.why,
        "seenBefore": report.seen_before,
        "shownNow": report.shown_now,
    }


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
    return await prove_inclusion(
        call.hub, call.actor, index=call.query.index, intent=call.query.intent
    )


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
    query=ExportQuery,
    errors=("not_found",),
    media_type="application/x-ndjson",
    also_media_types=("text/plain",),
)
async def export(call: Call) -> Any:
    """The record as a file: everything an offline check needs, lines of JSON, or CEF."""
    form, chosen = call.query.format, _chosen(call)
    await newest_checkpoint(call.hub)
    pieces = export_as(call.hub, chosen, form)
    return Stream(pieces, "text/plain; charset=utf-8" if form == "cef" else "application/x-ndjson")


@operation(
    "GET",
    "/api/v1/audit/tile/{path*}",
    permission="audit.read",
    media_type="application/octet-stream",
)
async def tile(call: Call) -> Any:
    """A C2SP tlog-tiles tile: `L/N` or `L/N.p/W` of hashes, `entries/N` of leaves."""
    data = await load_tile(call.hub, call.actor, call.path["path"])
    full = ".p/" not in call.path["path"]
    caching = {"Cache-Control": "private, max-age=31536000, immutable"} if full else {}
    return Reply(data, headers=caching, media_type="application/octet-stream")


def _chosen(call: Call) -> AuditFilter:
    query = call.query
    chosen = AuditFilter(
        subject=query.subject,
        actor=query.actor,
        kind=query.kind,
        since=_time(query.since, "since"),
        until=_time(query.until, "until"),
    )
    return read_by(call.actor, chosen, realm=query.realm)


def _time(text: str | None, name: str) -> datetime | None:
    try:
        return None if text is None else parse_timestamp(text)
    except BadEnvelopeError as exc:
        raise InvalidFieldError(exc.message, pointer=f"?{name}") from exc


def _leaf_view(entry: Entry) -> dict[str, Any]:
    return {**entry_view(entry), "leaf": entry.leaf.leaf.decode()}


OPERATIONS = [
    list_,
    checkpoint,
    cosignature,
    fork_report,
    inclusion,
    consistency,
    export,
    tile,
]
