"""From leaves of the record to deliveries: each webhook follows the record at its own pace.

The record is the queue. A change and its leaf are one transaction, so nothing that happened can be
lost on its way here, and whoever changes something pays nothing for webhooks. A webhook whose queue
is full is not followed further until there is room: what it has missed waits in the record.
Several hubs may do this at once: only one of them moves a webhook's place on, in the same
transaction that keeps its deliveries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from controlplane import clock
from controlplane.audit.kinds import kinds_of
from controlplane.audit.told import Told, read_told
from controlplane.context import Hub
from storage.records import DeliveryRecord, WebhookRecord
from storage.unit_of_work import UnitOfWork

CHUNK_LEAVES: Final = 500
"""Leaves looked at in one step."""


async def follow_record(hub: Hub) -> bool:
    """Look at the next leaves for every webhook; return whether there may be more at once."""
    more = False
    for start, (end, webhooks) in (await hub.database.read(_behind)).items():
        more = await _step(hub, start, end, webhooks) or more
    return more


async def _step(hub: Hub, start: int, end: int, webhooks: Sequence[WebhookRecord]) -> bool:
    wanted = frozenset[str]().union(*(kinds_of(one.events) for one in webhooks))

    def look(uow: UnitOfWork) -> tuple[list[Told], dict[str, int]]:
        told = read_told(uow, uow.audit.of_kinds(start, end, wanted))
        asked = webhooks if told else ()
        return told, {one.id: uow.deliveries.count(one.id, "pending") for one in asked}

    told, waiting = await hub.database.read(look)
    most = hub.settings.webhook_max_pending
    steps = [plan_step(one, told, end, room=most - waiting.get(one.id, 0)) for one in webhooks]

    def move(uow: UnitOfWork) -> None:
        for webhook, upto, deliveries in steps:
            if uow.webhooks.advance(webhook.id, webhook.next_index, upto):
                uow.deliveries.add(*deliveries)

    await hub.database.write(move)
    # Of what was written meanwhile the next look is soon enough: under load there is always some.
    whole = end - start >= CHUNK_LEAVES
    return any(upto > one.next_index and (whole or upto < end) for one, upto, _ in steps)


def _behind(uow: UnitOfWork) -> dict[int, tuple[int, list[WebhookRecord]]]:
    """Return, by the leaf they stand at, the webhooks that are behind, and how far to look."""
    groups: dict[int, list[WebhookRecord]] = defaultdict(list)
    size: int | None = None
    for one in uow.webhooks.enabled():
        size = uow.audit.size() if size is None else size
        if one.next_index < size:
            groups[one.next_index].append(one)
    return {
        start: (min(start + CHUNK_LEAVES, size or 0), webhooks)
        for start, webhooks in groups.items()
    }


def plan_step(
    webhook: WebhookRecord, told: Sequence[Told], end: int, *, room: int
) -> tuple[WebhookRecord, int, list[DeliveryRecord]]:
    """Return how far a webhook gets, and what it is owed on the way.

    Args:
        webhook: at its `next_index`.
        told: the leaves from there to `end` that some webhook wants.
        end: the first leaf not looked at.
        room: how many deliveries may be added; past them it stays where it is.
    """
    kinds = kinds_of(webhook.events)
    deliveries: list[DeliveryRecord] = []
    for one in told:
        leaf = one.leaf
        if leaf.kind not in kinds or not (webhook.realm is None or webhook.realm in leaf.realms):
            continue
        if len(deliveries) >= max(room, 0):
            return webhook, leaf.index, deliveries
        now = clock.now()
        body = render_event(leaf.kind, leaf.at, event_data(one, webhook.realm))
        deliveries.append(
            DeliveryRecord(
                id=clock.new_id(),
                webhook_id=webhook.id,
                type=leaf.kind,
                body=body,
                created_at=now,
                next_at=now,
                leaf_index=leaf.index,
            )
        )
    return webhook, end, deliveries


def event_data(told: Told, realm: str | None) -> dict[str, Any]:
    """Return what an event says; to a realm's webhook nothing of other realms."""
    leaf = told.leaf
    data = {**told.facts, **leaf.data}
    if realm is not None and isinstance(data.get("realms"), list):
        data["realms"] = [one for one in data["realms"] if one == realm]
    return {
        **data,
        "index": leaf.index,
        "actor": leaf.actor,
        "subject": leaf.subject,
        "realms": list(leaf.realms) if realm is None else [realm],
    }


def render_event(type: str, at: str, data: Mapping[str, Any]) -> str:
    """Return the body of an event: `{type, timestamp, data}`, as Standard Webhooks has it."""
    event = {"type": type, "timestamp": at, "data": data}
    return orjson.dumps(event).decode()
