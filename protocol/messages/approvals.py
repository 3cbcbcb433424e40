"""Asking people, and their answers (SPEC sections 6 and 7)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import (
    Absent,
    Action,
    ControlPayload,
    Digest,
    DocumentPayload,
    Id,
    JsonObject,
    Party,
    Proof,
    Reason,
    RuleId,
)
from protocol.timestamps import Timestamp


class ToolApprovalRequest(ControlPayload):
    """One call waits for `people` distinct decisions over exactly `call_digest`."""

    request_id: Id
    intent_id: Id
    tool: Action
    arguments: JsonObject
    call_digest: Digest
    rule: RuleId
    people: Annotated[int, Field(ge=1, le=32)]
    expires: Timestamp


class ToolApprovalResponse(DocumentPayload):
    """One person's decision, signed by them, or vouched for by the hub for `user:<uuid>`."""

    request_id: Id
    call_digest: Digest
    approved: bool
    reason: Absent[Reason] = None
    approver: Party
    proof: Absent[Proof] = None
