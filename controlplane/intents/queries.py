"""Reading orders back: one with its signed documents, a page, and waiting for the end of some."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from controlplane.access.authorize import Actor, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.errors import HiddenError
from controlplane.events import SubscriberLaggedError, Subscription
from controlplane.intents.state import is_terminal
from protocol.envelope import parse_document
from protocol.messages.intents import IntentState
from storage.pages import Page
from storage.records import DelegationRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

_LOOK_AGAIN_SECONDS = 2.0
"""How often a waiting request looks for itself: another hub may have ended the order."""


async def list_intents(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None, **filters: Any
) -> Page[IntentRecord]:
    """Return a page of the orders the caller may see, newest first."""
    realms = realms_with(actor, "intents.read")
    return await hub.database.read(
        lambda uow: uow.intents.list(realms=realms, limit=limit, cursor=cursor, **filters)
    )


async def load_intent(
    hub: Hub, actor: Actor, intent_id: str
) -> tuple[IntentRecord, dict[str, Any]]:
    """Return an order and its documents; `HiddenError` when the caller may not see it."""

    def unit(uow: UnitOfWork) -> tuple[IntentRecord, dict[str, Any]]:
        record = uow.intents.get(intent_id)
        check_visible(actor, record)
        assert record is not None
        return record, _documents(uow, record)

    return await hub.database.read(unit)


def check_visible(actor: Actor, record: IntentRecord | None) -> None:
    """Return when the caller may see this order; `HiddenError` otherwise, or when there is none."""
    if record is None:
        raise HiddenError("no such intent")
    authorize_one(actor, "intents.read", (record.realm,), see="intents.read")


def watch_ends(hub: Hub, ids: Collection[str]) -> Subscription:
    """Return the news of the ends of these orders; opened before they are on disk, it misses none.

    It holds none of them up: close it, or leave its `with` block.
    """
    return hub.events.subscribe(lambda event: event.type == "intent.finished", subjects=ids)


async def wait_for_end(
    hub: Hub, records: Sequence[IntentRecord], ends: Subscription, seconds: float
) -> list[IntentRecord]:
    """Return these orders once all have ended, or as they stand after `seconds`.

    An end that this hub brings about comes with its record, and nobody reads it back. Every two
    seconds the database is asked for the others: another hub may have ended them. It never waits
    longer than it was told to, whatever became of the agents.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    known = {one.id: one for one in records}
    waiting = {one.id for one in records if not is_terminal(one.state)}

    async def look() -> None:
        ids = list(waiting)
        found = await hub.database.read(lambda uow: uow.intents.get_many(ids))
        known.update(found)
        waiting.difference_update(one.id for one in found.values() if is_terminal(one.state))

    while waiting:
        left = deadline - loop.time()
        try:
            event = ends.poll()
            if event is None:
                async with asyncio.timeout(min(max(left, 0), _LOOK_AGAIN_SECONDS)):
                    event = await ends.next()
        except (TimeoutError, SubscriberLaggedError) as exc:
            if isinstance(exc, SubscriberLaggedError):  # too many at once; from now on it looks
                await asyncio.sleep(min(max(left, 0), _LOOK_AGAIN_SECONDS))
            await look()
            if left <= _LOOK_AGAIN_SECONDS:
                break
            continue
        if event is None:  # the hub stops
            break
        if isinstance(event.about, IntentRecord):
            known[event.about.id] = event.about
            waiting.discard(event.about.id)
        else:
            await look()
    return list(known.values())


def parse_state(text: str) -> IntentState:
    """Return the state of this name; `ValueError` when there is none."""
    return IntentState(text)


def _documents(uow: UnitOfWork, record: IntentRecord) -> dict[str, Any]:
    def text(document_id: str | None, signer: str | None = None) -> str | None:
        if document_id is None:
            return None
        found = uow.documents.get(document_id, signer)
        return None if found is None else found.wire.decode()

    decisions = [
        decision
        for request in uow.approvals.of_intent(record.id)
        for decision in uow.approvals.decisions(request.id)
    ]
    chains = {one.id: one for one in _chain(uow, record.delegation_ids, record.signer)}
    for decision in decisions:
        named = parse_document(decision.wire).payload.get("proof")
        proof = [str(one) for one in named] if isinstance(named, list) else []
        chains.update((one.id, one) for one in _chain(uow, proof, decision.signer))
    return {
        "intent": text(record.id, record.signer),
        "result": text(record.result_document_id, record.agent_did),
        "cancel": text(record.cancel_document_id),
        "delegations": [one.wire.decode() for one in chains.values()],
        "approvals": [one.wire.decode() for one in decisions],
    }


def _chain(uow: UnitOfWork, proof: Sequence[str], signer: str) -> list[DelegationRecord]:
    """Return the held delegations that a document names, or by which its signer is a hub."""
    if proof:
        return list(uow.delegations.get_many(list(proof)))
    # What the hub signs names no proof: its chain is the delegation told in `hello`.
    return [one for one in uow.delegations.for_subject(signer) if one.source == "hub"]
