"""Taking orders in: sign each for its agent, and put all of a request on disk at once, or none.

This is the path of every order, so it asks the database nothing that it can remember, and writes
one unit however many orders a request holds. Signing happens before the unit; the unit may run
again and then writes the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from controlplane import clock, faults
from controlplane.access.authorize import Actor
from controlplane.context import Hub, OutboxKind
from controlplane.errors import InvalidFieldError
from controlplane.intents import rollouts
from controlplane.intents.people import check_person, in_whose_name, person_of
from controlplane.intents.service import announce, note_dispatched
from controlplane.intents.targets import Recipient, Target, resolve_target
from protocol import limits
from protocol.audit_leaf import Assurance
from protocol.envelope import seal_document
from protocol.errors import BadJsonError, FrameTooLargeError
from protocol.messages.intents import IntentState
from protocol.strict_json import check_json_profile
from protocol.timestamps import format_timestamp
from storage.records import DocumentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

_SIGNED_PER_TURN = 64
"""Signatures made before the event loop gets its turn."""


@dataclass(frozen=True, slots=True)
class Order:
    """One wish: what to do, and whom it is for. Lifetimes in seconds; None takes the default."""

    target: Target
    action: str
    params: dict[str, Any]
    realm: str | None = None
    timeout_seconds: int | None = None
    expires_in_seconds: int | None = None
    on_behalf_of: str | None = None
    not_before: datetime | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one submission made."""

    id: str
    intents: tuple[IntentRecord, ...]


@dataclass(frozen=True, slots=True)
class PreparedOrder:
    """A row and the signed document behind it, ready to be written."""

    record: IntentRecord
    document: DocumentRecord
    sent_at_once: bool = True

    @property
    def is_dispatched(self) -> bool:
        """Whether it goes to disk as dispatched, and to its agent as soon as it is there."""
        return self.record.state is IntentState.DISPATCHED

    def queued(self) -> PreparedOrder:
        """Return the same, to wait behind what its agent is owed already."""
        record = replace(self.record, state=IntentState.QUEUED, dispatched_at=None)
        return replace(self, record=record)


async def submit_orders(hub: Hub, actor: Actor, orders: Sequence[Order]) -> Batch:
    """Return the batch of `orders`, which is on disk; each will end in exactly one state.

    Raises:
        HiddenError, AccessDeniedError, StateConflictError, InvalidFieldError: nothing was taken.
        PersonNotCoveredError: no grant of the person covers it.
        UnavailableError: the database did not take it; nothing was accepted.
    """
    prepared = await prepare_orders(hub, actor, orders)
    written = await hub.database.write(lambda uow: write_orders(uow, actor, prepared))
    return committed(hub, written)


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """Everything of one submission, before it is written."""

    id: str
    orders: tuple[PreparedOrder, ...]
    now: datetime
    rollout: rollouts.Rollout | None = None


async def prepare_orders(hub: Hub, actor: Actor, orders: Sequence[Order]) -> PreparedBatch:
    """Return `orders` resolved, checked and signed by the hub; nothing is written."""
    now = clock.now()
    batch_id = clock.new_id()
    prepared: list[PreparedOrder] = []
    rollout: rollouts.Rollout | None = None
    for index, order in enumerate(orders):
        _check_params(order.params, f"/intents/{index}/params" if len(orders) > 1 else "/params")
        recipients = await resolve_target(hub, actor, order.target, order.realm)
        person = order.on_behalf_of or person_of(actor)
        if person is not None:
            await check_person(hub, actor, person, order.action, recipients)
            order = replace(order, on_behalf_of=person)  # noqa: PLW2901
        rollout = rollouts.plan(order.target, len(recipients)) if len(orders) == 1 else None
        first = len(recipients) if rollout is None else rollout.size
        # Sorted, so that a staged batch is sent in the order its rows are read back.
        ids = sorted(clock.new_ids(len(recipients), now))
        for position, (intent_id, recipient) in enumerate(zip(ids, recipients, strict=True)):
            prepared.append(
                _sign(hub, actor, order, recipient, intent_id, batch_id, now, position < first)
            )
            if len(prepared) % _SIGNED_PER_TURN == 0:
                await asyncio.sleep(0)
    return PreparedBatch(batch_id, tuple(prepared), now, rollout)


def write_orders(uow: UnitOfWork, actor: Actor, batch: PreparedBatch) -> PreparedBatch:
    """Write rows, documents, leaves and the outbox of a batch, in this one unit.

    Returns:
        The batch as it was written: an order that was to go out at once is queued after all when
        its agent is owed something that was not sent yet, such as the delegation it needs.
    """
    faults.reach("submit_before_commit")
    batch = _behind_what_is_owed(uow, batch)
    uow.intents.add_many([one.record for one in batch.orders])
    for one in batch.orders:
        record = one.record
        uow.documents.put(one.document)
        if one.sent_at_once:
            uow.outbox.add(
                record.agent_did,
                OutboxKind.INTENT,
                record.id,
                signer=one.document.signer,
                sent_at=record.dispatched_at,
            )
        represented = in_whose_name(record, actor)
        uow.audit.append(
            "intent.submitted",
            actor.subject,
            record.id,
            {
                "digest": record.digest,
                "agent": record.agent_did,
                "action": record.action,
                "realm": record.realm,
                "signer": record.signer,
                "batchId": record.batch_id,
                **represented,
            },
            realms=(record.realm,),
            # Somebody else's wish, on the word of who gave the order.
            assurance=Assurance.ATTRIBUTED if represented else None,
            at=batch.now,
        )
        if one.is_dispatched:
            note_dispatched(uow, record, batch.now)
    if batch.rollout is not None:
        rollouts.keep(uow, batch.id, batch.rollout, batch.now)
    return batch


def _behind_what_is_owed(uow: UnitOfWork, batch: PreparedBatch) -> PreparedBatch:
    agents = {one.record.agent_did for one in batch.orders if one.is_dispatched}
    owed = uow.outbox.owed(agents) if agents else None
    if not owed:
        return batch
    orders = [
        one.queued() if one.is_dispatched and one.record.agent_did in owed else one
        for one in batch.orders
    ]
    return replace(batch, orders=tuple(orders))


def committed(hub: Hub, batch: PreparedBatch) -> Batch:
    """Tell the live side of a batch that is on disk, and return it."""
    faults.reach("submit_committed")
    hub.metrics.submissions.inc()
    records = tuple(one.record for one in batch.orders)
    announce(hub, records)
    for one in batch.orders:
        if one.is_dispatched:
            hub.dispatcher.hand_over(one.record, one.document.wire)
        elif one.sent_at_once:
            hub.dispatcher.wake(one.record.agent_did)
    return Batch(batch.id, records)


def _check_params(params: dict[str, Any], pointer: str) -> None:
    try:
        check_json_profile(params, max_depth=limits.MAX_PARAMS_DEPTH)
    except BadJsonError as exc:
        raise InvalidFieldError(exc.message, pointer=pointer) from exc


def _sign(
    hub: Hub,
    actor: Actor,
    order: Order,
    recipient: Recipient,
    intent_id: str,
    batch_id: str,
    now: datetime,
    sent_at_once: bool,
) -> PreparedOrder:
    settings = hub.settings
    lifetime = order.expires_in_seconds or settings.default_expires_seconds
    if lifetime > settings.max_expires_seconds:
        raise InvalidFieldError(
            f"at most {settings.max_expires_seconds}", pointer="/expiresInSeconds"
        )
    expires = now + timedelta(seconds=lifetime)
    if order.not_before is not None and order.not_before >= expires:
        raise InvalidFieldError("not before it expires", pointer="/notBefore")
    timeout = order.timeout_seconds or settings.default_timeout_seconds
    payload: dict[str, Any] = {
        "action": order.action,
        "params": order.params,
        "realm": recipient.realm,
        "timeoutSeconds": timeout,
        "batchId": batch_id,
    }
    if order.on_behalf_of is not None:
        payload["onBehalfOf"] = order.on_behalf_of
    if order.not_before is not None:
        payload["notBefore"] = format_timestamp(order.not_before)
    if order.traceparent is not None:
        payload["traceparent"] = order.traceparent
    agent = recipient.agent
    key = hub.identity.hub_key
    try:
        envelope = seal_document(
            type="intent",
            id=intent_id,
            timestamp=now,
            expires=expires,
            audience=agent.did,
            payload=payload,
            signer=key,
        )
    except (BadJsonError, FrameTooLargeError) as exc:
        raise InvalidFieldError(exc.message, pointer="/params") from exc
    signer = key.public_key.did
    dispatched = sent_at_once and hub.dispatcher.takes_now(agent.did)
    record = IntentRecord(
        id=intent_id,
        batch_id=batch_id,
        agent_did=agent.did,
        agent_name=agent.name,
        action=order.action,
        params=order.params,
        realm=recipient.realm,
        submitted_by=actor.subject,
        signer=signer,
        digest=envelope.digest,
        created_at=now,
        expires_at=expires,
        timeout_seconds=timeout,
        state=IntentState.DISPATCHED if dispatched else IntentState.QUEUED,
        dispatched_at=now if dispatched else None,
        on_behalf_of=order.on_behalf_of,
        not_before=order.not_before,
    )
    document = DocumentRecord(
        id=intent_id,
        signer=signer,
        type="intent",
        digest=record.digest,
        wire=envelope.wire,
        audience=agent.did,
        expires_at=expires,
        created_at=now,
    )
    return PreparedOrder(record, document, sent_at_once)
