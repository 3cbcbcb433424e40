"""Which leaves the follower of the record reads: what it skips unread says nothing to people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controlplane.notifications.families import FAILED
from controlplane.notifications.following import matters
from protocol.audit_leaf import Assurance, draft_leaf, number_leaf
from protocol.audit_tree import leaf_hash
from protocol.messages.intents import IntentState
from storage.records import AuditLeaf

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATE = st.sampled_from([*map(str, IntentState), 'x"state":"failed"', "fäiled"])
DATA = st.fixed_dictionaries(
    {"intentId": STATE}, optional={"state": STATE, "more": st.dictionaries(STATE, STATE)}
)


@given(DATA, STATE)
def test_of_ended_orders_exactly_those_that_failed_matter(
    data: dict[str, Any], subject: str
) -> None:
    data = {**data, "nested": {"state": "failed"}} if "more" in data else data
    draft = draft_leaf(
        at=NOW,
        kind="intent.finished",
        actor="hub",
        subject=subject,
        data=data,
        assurance=Assurance.ENFORCED,
        realms=("default",),
        personal={},
        salt=bytes(16),
    )
    leaf = number_leaf(draft, 0)
    record = AuditLeaf(0, NOW, "intent.finished", "hub", subject, leaf, leaf_hash(leaf))
    assert matters(record) == (data.get("state") in FAILED)
