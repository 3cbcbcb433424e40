"""What may become of an order at the hub, decided without touching anything (SPEC section 8)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from protocol import limits
from protocol.canonical import canonical_json
from protocol.errors import BadDigestError, OutputTooBigError, ResultConflictError
from protocol.lifecycle import TERMINAL
from protocol.messages.intents import IntentState, Result
from protocol.timestamps import format_timestamp

if TYPE_CHECKING:
    from protocol.verification import Verified
    from storage.records import AgentRecord, IntentRecord

UNSENT: Final = (IntentState.QUEUED,)
UNACCEPTED: Final = (IntentState.QUEUED, IntentState.DISPATCHED)
SENT: Final = (IntentState.DISPATCHED, IntentState.ACCEPTED, IntentState.RUNNING)
TOLD_OF: Final = (IntentState.ACCEPTED, IntentState.RUNNING)
"""Orders that the agent has said it has on its disk."""
OPEN: Final = (
    IntentState.QUEUED,
    IntentState.DISPATCHED,
    IntentState.ACCEPTED,
    IntentState.RUNNING,
)


def is_terminal(state: IntentState) -> bool:
    """Whether nothing follows `state`."""
    return state in TERMINAL


def result_summary(result: Result, document_id: str) -> dict[str, Any]:
    """Return what the hub keeps beside the signed document, in the words of the REST API."""
    summary: dict[str, Any] = {
        "status": result.status.value,
        "output": result.output,
        "error": None
        if result.error is None
        else {"code": result.error.code, "message": result.error.message},
        "startedAt": None if result.started_at is None else format_timestamp(result.started_at),
        "finishedAt": format_timestamp(result.finished_at),
        "usage": result.usage,
        "decision": {
            "policyVersion": result.decision.policy_version,
            "rule": result.decision.rule,
        },
        "sandbox": result.sandbox,
        "approvals": list(result.approvals),
        "progressCount": result.progress_count,
        "documentId": document_id,
    }
    if result.output_file is not None:
        summary["outputFile"] = {
            "bytes": result.output_file.bytes,
            "sha256": result.output_file.sha256,
        }
    return summary


def refusal_summary(code: str, message: str, now: datetime) -> dict[str, Any]:
    """Return the summary of an order that ended without a signed result."""
    return {
        "status": "refused",
        "output": None,
        "error": {"code": code, "message": message},
        "finishedAt": format_timestamp(now),
    }


def is_output_small(verified: Verified[Result]) -> bool:
    """Whether the output fits for sure: it is a part of the canonical bytes that were signed."""
    return len(verified.envelope.signed_bytes) <= limits.MAX_OUTPUT_BYTES


def check_result(record: IntentRecord, result: Result) -> None:
    """Return when `result` answers exactly the order that was sent.

    Raises:
        BadDigestError: it answers other bytes.
        OutputTooBigError: its output should have gone by upload.
    """
    if result.intent_digest != record.digest:
        raise BadDigestError("the result names another digest than the intent's")
    if result.output is not None and len(canonical_json(result.output)) > limits.MAX_OUTPUT_BYTES:
        raise OutputTooBigError(f"an output has at most {limits.MAX_OUTPUT_BYTES} bytes")


def decide_repeated_result(record: IntentRecord, summary: dict[str, Any]) -> None:
    """Return when a result for a finished order says what the first one said.

    Raises:
        ResultConflictError: it says something else, or the order ended without a result.
    """
    first = record.result
    if record.result_document_id is None or first is None:
        raise ResultConflictError(f"the order ended as {record.state.value}")
    same = all(
        first.get(name) == summary.get(name) for name in ("status", "output", "outputFile", "error")
    )
    if not same:
        raise ResultConflictError("another result was taken before")


def decide_expiry(
    record: IntentRecord, agent: AgentRecord | None, now: datetime
) -> dict[str, Any] | None:
    """Return the changes that expire `record` by time alone, or None while it must wait.

    From `queued` it expires when its time is up. Past that the agent may hold it, so only a week
    without the agent ends it, and says so: `unconfirmed`.
    """
    if now < record.expires_at or record.state in TERMINAL:
        return None
    if record.state is IntentState.QUEUED:
        return {"finished_at": now}
    seen = None if agent is None else agent.last_seen_at
    if agent is not None and agent.online:
        return None
    since = record.expires_at if seen is None else max(record.expires_at, seen)
    if now < since + limits.UNCONFIRMED_AFTER:
        return None
    return {"finished_at": now, "unconfirmed": True}
