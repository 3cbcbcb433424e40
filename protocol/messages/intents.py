"""Orders and what became of them (SPEC sections 6 and 8)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from protocol.canonical import canonical_json
from protocol.errors import BadJsonError
from protocol.limits import MAX_PROGRESS_BYTES
from protocol.messages.fields import (
    Absent,
    Action,
    Code,
    ControlPayload,
    Count,
    Digest,
    DocumentPayload,
    Id,
    JsonObject,
    Many,
    Name,
    Party,
    Proof,
    Reason,
    Sha256Hex,
)
from protocol.timestamps import Timestamp

MAX_TIMEOUT_SECONDS = 7 * 86_400


class ResultStatus(StrEnum):
    """How an order ended at the agent."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"


class IntentState(StrEnum):
    """Where an order stands at the hub; `protocol.lifecycle` says what may follow what."""

    QUEUED = "queued"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    EXPIRED = "expired"


class Intent(DocumentPayload):
    """One order to one agent. `timeout_seconds` counts from the start of the work."""

    action: Action
    params: JsonObject
    realm: Name
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_SECONDS)]
    on_behalf_of: Absent[Party] = None
    not_before: Absent[Timestamp] = None
    batch_id: Absent[Id] = None
    proof: Absent[Proof] = None
    traceparent: Absent[
        Annotated[
            str, Field(max_length=55, pattern="^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
        ]
    ] = None
    sealed: Absent[JsonObject] = None


class ResultError(DocumentPayload):
    """Why an order did not succeed; `code` is stable, `message` is for a person."""

    code: Code
    message: Annotated[str, Field(max_length=4_000)]


class ResultDecision(DocumentPayload):
    """The policy that decided, and the rule of it; null (or version 0) where none was reached."""

    policy_version: Count | None
    rule: Annotated[str, Field(max_length=63)] | None


class OutputFile(DocumentPayload):
    """An output that was uploaded; `sha256` in lowercase hex."""

    bytes: Count
    sha256: Sha256Hex


class Result(DocumentPayload):
    """What became of one intent, signed by the agent.

    An `output` of null and an absent one are the same. Its size is not checked here: too big an
    output has its own code (`output_too_big`).
    """

    intent_id: Id
    intent_digest: Digest
    status: Annotated[ResultStatus, Field(strict=False)]
    output: Annotated[JsonValue, Field(exclude_if=lambda value: value is None)] = None
    output_file: Absent[OutputFile] = None
    error: Absent[ResultError] = None
    started_at: Absent[Timestamp] = None
    finished_at: Timestamp
    usage: JsonObject
    decision: ResultDecision
    sandbox: JsonObject
    approvals: Annotated[Many[Id], Field(max_length=64)]
    progress_count: Count

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.output is not None and self.output_file is not None:
            raise ValueError("either output or outputFile")
        if self.error is None and self.status in (ResultStatus.FAILED, ResultStatus.REFUSED):
            raise ValueError("failed and refused need an error")
        return self


class IntentCancel(DocumentPayload):
    """The wish that an order end; it ends when the agent confirms by its result."""

    intent_id: Id
    reason: Reason
    proof: Absent[Proof] = None


class IntentAckItem(ControlPayload):
    """One intent that is on the agent's disk now, or was already."""

    intent_id: Id
    state: Literal["accepted", "duplicate"]


class IntentAck(ControlPayload):
    """These intents are on the agent's disk."""

    intents: Annotated[Many[IntentAckItem], Field(min_length=1, max_length=1_000)]


def _fits_progress(data: Any) -> Any:
    try:
        size_bytes = len(canonical_json(data))
    except BadJsonError as exc:
        raise ValueError("no JSON") from exc
    if size_bytes > MAX_PROGRESS_BYTES:
        raise ValueError(f"more than {MAX_PROGRESS_BYTES} bytes")
    return data


class IntentProgress(ControlPayload):
    """A sign of life from a running order; `index` counts from 0 without gaps."""

    intent_id: Id
    index: Count
    kind: Literal["log", "token", "thinking", "tool_call", "tool_result", "status"]
    data: Annotated[Any, AfterValidator(_fits_progress)]


class ResultAckItem(ControlPayload):
    """One result that is on the hub's disk."""

    intent_id: Id
    result_id: Id


class ResultAck(ControlPayload):
    """These results are on the hub's disk; the agent may forget them."""

    results: Annotated[Many[ResultAckItem], Field(min_length=1, max_length=1_000)]
