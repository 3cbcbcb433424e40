"""What a leaf tells whoever follows the record: what it says, and what it was about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from protocol.audit_leaf import LeafContent, parse_leaf
from storage.records import AuditLeaf, IntentRecord
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Told:
    """A leaf read back; `facts` are of the order it is about, never its params or output."""

    leaf: LeafContent
    facts: dict[str, Any] = field(default_factory=dict)


def read_told(uow: UnitOfWork, leaves: Sequence[AuditLeaf]) -> list[Told]:
    """Return every leaf with its facts, in order."""
    read = [parse_leaf(one.leaf) for one in leaves]
    about = [_order_of(one) for one in read]
    orders = uow.intents.get_many([one for one in about if one])
    return [
        Told(leaf, _facts_of(orders[order_id]) if order_id in orders else {})
        for leaf, order_id in zip(read, about, strict=True)
    ]


def _order_of(leaf: LeafContent) -> str:
    if leaf.kind.startswith("intent."):
        return leaf.subject
    return str(leaf.data.get("intentId") or "") if leaf.kind.startswith("approval.") else ""


def _facts_of(order: IntentRecord) -> dict[str, Any]:
    return {
        "agent": order.agent_did,
        "agentName": order.agent_name,
        "action": order.action,
        "batchId": order.batch_id,
        "submittedBy": order.submitted_by,
    }
