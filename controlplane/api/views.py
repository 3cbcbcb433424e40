"""How records look to clients: one function a noun, beside the model that describes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import Field

from controlplane.api.operation import Query, View
from controlplane.api.shapes import (
    ActionView,
    HeartbeatView,
    JsonObject,
    QuarantineView,
    ResultView,
)
from protocol.messages.intents import IntentState
from protocol.timestamps import format_timestamp
from storage.pages import DEFAULT_PAGE_LIMIT, MAX_PAGE_LIMIT, Page
from storage.records import (
    AgentRecord,
    FileRecord,
    IntentRecord,
    JoinTokenRecord,
    RegistrationRecord,
)

R = TypeVar("R")
AgentStatus = Literal["online", "offline", "quarantined", "revoked"]


class PageQuery(Query):
    """Where in a listing, and how much of it."""

    limit: int = Field(default=DEFAULT_PAGE_LIMIT, ge=1, le=MAX_PAGE_LIMIT)
    cursor: str | None = None


def page_view(page: Page[R], view: Callable[[R], Any]) -> dict[str, Any]:
    """Return `{items, nextCursor}`."""
    return {"items": [view(one) for one in page.items], "nextCursor": page.next_cursor}


def time_view(moment: datetime | None) -> str | None:
    """Return the wire form of a time, or None."""
    return None if moment is None else format_timestamp(moment)


class AgentView(View):
    """An enrolled agent. `status` is online, offline, quarantined or revoked."""

    did: str
    name: str
    status: AgentStatus
    state: Literal["active", "quarantined", "revoked"]
    online: bool
    realms: list[str]
    version: str
    capabilities: list[str]
    actions: list[ActionView]
    labels: dict[str, str]
    host: JsonObject
    fingerprint: str
    enrolled_at: str
    enrolled_by: str | None
    last_seen_at: str | None
    heartbeat: HeartbeatView | None
    quarantine: QuarantineView | None
    etag: str


def etag_of(revision: int) -> str:
    """Return the entity tag of a revision."""
    return f'"{revision}"'


def agent_view(record: AgentRecord) -> dict[str, Any]:
    """Return an agent as clients see it."""
    return {
        "did": record.did,
        "name": record.name,
        "status": record.status,
        "state": record.state,
        "online": record.online,
        "realms": list(record.realms),
        "version": record.version,
        "capabilities": list(record.capabilities),
        "actions": record.actions,
        "labels": record.labels,
        "host": record.host,
        "fingerprint": record.fingerprint,
        "enrolledAt": time_view(record.enrolled_at),
        "enrolledBy": record.enrolled_by,
        "lastSeenAt": time_view(record.last_seen_at),
        "heartbeat": record.heartbeat,
        "quarantine": _quarantine_view(record),
        "etag": etag_of(record.revision),
    }


def _quarantine_view(record: AgentRecord) -> dict[str, Any] | None:
    if record.quarantine is None:
        return None
    # Of one from before answers were kept nothing is known; it is taken to be in force.
    return {"answer": "accepted", "code": None, **record.quarantine}


class JoinTokenView(View):
    """A join token without its secret."""

    id: str
    realm: str | None
    name: str
    auto_approve: bool
    capabilities: list[str] | None
    created_by: str
    created_at: str
    expires_at: str
    used_at: str | None
    used_by: str | None
    revoked_at: str | None


def join_token_view(record: JoinTokenRecord) -> dict[str, Any]:
    """Return a join token as clients see it."""
    return {
        "id": record.id,
        "realm": record.realm,
        "name": record.name_pattern,
        "autoApprove": record.auto_approve,
        "capabilities": None if record.capabilities is None else list(record.capabilities),
        "createdBy": record.created_by,
        "createdAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
        "usedAt": time_view(record.used_at),
        "usedBy": record.used_by,
        "revokedAt": time_view(record.revoked_at),
    }


class RegistrationView(View):
    """A request to be enrolled."""

    id: str
    state: Literal["pending", "approved", "rejected", "expired"]
    name: str
    public_key: str
    did: str
    fingerprint: str
    realm: str | None
    version: str
    capabilities: list[str]
    actions: list[ActionView]
    labels: dict[str, str]
    host: JsonObject
    address: str
    requested_at: str
    expires_at: str
    decided_at: str | None
    decided_by: str | None
    reason: str | None
    agent: AgentView | None = None


def registration_view(record: RegistrationRecord) -> dict[str, Any]:
    """Return a registration as clients see it."""
    return {
        "id": record.id,
        "state": record.state,
        "name": record.name,
        "publicKey": record.public_key,
        "did": record.did,
        "fingerprint": record.fingerprint,
        "realm": record.realm,
        "version": record.version,
        "capabilities": list(record.capabilities),
        "actions": record.actions,
        "labels": record.labels,
        "host": record.host,
        "address": record.address,
        "requestedAt": time_view(record.requested_at),
        "expiresAt": time_view(record.expires_at),
        "decidedAt": time_view(record.decided_at),
        "decidedBy": record.decided_by,
        "reason": record.reason,
    }


class DocumentsView(View):
    """The signed documents behind an order: JSON text, byte for byte as signed."""

    intent: str | None
    result: str | None
    cancel: str | None
    delegations: list[str]
    approvals: list[str]


class OutputView(View):
    """An output too big for a result; `content` is where it is fetched."""

    id: str
    bytes: int
    sha256: str
    content: str


class IntentView(View):
    """One order."""

    id: str
    batch_id: str
    agent: str
    agent_name: str
    action: str
    params: JsonObject
    realm: str
    state: IntentState
    cancel_requested: bool
    unconfirmed: bool
    on_behalf_of: str | None
    submitted_by: str
    signer: str
    digest: str
    timeout_seconds: int
    created_at: str
    expires_at: str
    not_before: str | None
    dispatched_at: str | None
    accepted_at: str | None
    started_at: str | None
    finished_at: str | None
    result: ResultView | None
    documents: DocumentsView | None = None
    files: list[OutputView] | None = None


def intent_view(record: IntentRecord, documents: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return an order as clients see it, with its documents where they were asked for."""
    view = {
        "id": record.id,
        "batchId": record.batch_id,
        "agent": record.agent_did,
        "agentName": record.agent_name,
        "action": record.action,
        "params": record.params,
        "realm": record.realm,
        "state": record.state.value,
        "cancelRequested": record.cancel_requested,
        "unconfirmed": record.unconfirmed,
        "onBehalfOf": record.on_behalf_of,
        "submittedBy": record.submitted_by,
        "signer": record.signer,
        "digest": record.digest,
        "timeoutSeconds": record.timeout_seconds,
        "createdAt": time_view(record.created_at),
        "expiresAt": time_view(record.expires_at),
        "notBefore": time_view(record.not_before),
        "dispatchedAt": time_view(record.dispatched_at),
        "acceptedAt": time_view(record.accepted_at),
        "startedAt": time_view(record.started_at),
        "finishedAt": time_view(record.finished_at),
        "result": record.result,
    }
    if documents is not None:
        view["documents"] = dict(documents)
    return view


def output_view(record: FileRecord) -> dict[str, Any]:
    """Return a big output as an order shows it."""
    return {
        "id": record.id,
        "bytes": record.bytes,
        "sha256": record.sha256,
        "content": f"/api/v1/files/{record.id}/content",
    }


class BatchItemView(View):
    """One order of a batch, as it stands; `result` only where it was waited for and has come."""

    id: str
    agent: str
    agent_name: str
    state: IntentState
    result: ResultView | None = None


class BatchView(View):
    """What a submission made."""

    batch_id: str
    intents: list[BatchItemView]


def batch_view(
    batch_id: str, records: Sequence[IntentRecord], *, with_results: bool = False
) -> dict[str, Any]:
    """Return a batch as the answer to a submission."""
    items: list[dict[str, Any]] = []
    for record in records:
        item: dict[str, Any] = {
            "id": record.id,
            "agent": record.agent_did,
            "agentName": record.agent_name,
            "state": record.state.value,
        }
        if with_results:
            item["result"] = record.result
        items.append(item)
    return {"batchId": batch_id, "intents": items}
