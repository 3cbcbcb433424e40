"""Takes intents in: judged, on disk, acked, handed on (SPEC section 8). And again after a restart.

Decides in the order of arrival and lets the disk catch up: several orders share one commit. What
could not be put on disk is not acked and not started; the hub sends it again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any, Final, cast

from agentd.clock import Clock, from_ms, to_ms
from agentd.dispatch import Dispatch
from agentd.errors import OrderNotHereError, StateError
from agentd.faults import fault_point
from agentd.log import log
from agentd.orders import Ending, Order
from agentd.outbox import Outbox
from agentd.outlet import Outlet
from agentd.sealed import Sealed
from agentd.state import StateDatabase
from agentd.state.documents import add_seen
from agentd.state.orders import (
    OrderRecord,
    add_order,
    finish_order,
    get_order,
    open_orders,
)
from agentd.state.usage import UsageRow, get_usage, put_usage
from agentd.usage import UsageLedger
from agentd.verifier import Verifier
from protocol.document_authority import authorize_cancel
from protocol.envelope import Envelope, parse_document
from protocol.errors import (
    AuthorityError,
    DuplicateDocumentError,
    Error,
    IdReuseError,
    RateLimitedError,
    UnknownSignerError,
)
from protocol.messages import Intent, IntentAck, IntentAckItem, IntentCancel, ResultStatus
from protocol.verification import Verified, verify_document_offline, verify_signature

ACK_AFTER_SECONDS: Final = 0.05
"""An ack waits this long for others, and for the result that makes it needless."""
_MAX_ITEMS: Final = 500


class Acks:
    """Gathers acks into one frame; a result that is sent in time stands for its order's."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self._due: dict[str, str] = {}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, intent_id: str, state: str) -> None:
        """The order is on disk: ack it soon."""
        self._due[intent_id] = state
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(ACK_AFTER_SECONDS, self._flush)

    def drop(self, intent_id: str) -> None:
        """The order's result has been sent: no ack is due."""
        self._due.pop(intent_id, None)

    def _flush(self) -> None:
        self._timer = None
        due = list(self._due.items())
        self._due.clear()
        for start in range(0, len(due), _MAX_ITEMS):
            items = tuple(
                IntentAckItem.model_validate({"intentId": intent_id, "state": state})
                for intent_id, state in due[start : start + _MAX_ITEMS]
            )
            self._outlet.send(IntentAck(intents=items))
            fault_point("intent_acked")


class Intake:
    """The door orders come in by."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        verifier: Verifier,
        dispatch: Dispatch,
        ledger: UsageLedger,
        outbox: Outbox,
        outlet: Outlet,
        clock: Clock,
        sealed: Sealed,
        max_open_orders: int,
    ) -> None:
        self._state = state
        self._verifier = verifier
        self._dispatch = dispatch
        self._ledger = ledger
        self._outbox = outbox
        self._outlet = outlet
        self._clock = clock
        self._sealed = sealed
        self._max_open = max_open_orders
        self._acks = Acks(outlet)
        outbox.on_sent = self._acks.drop

    # --- new orders ---

    def take(self, envelope: Envelope) -> None:
        """Judge an intent as it came off the wire and put it on its way to disk."""
        fault_point("intent_received")
        if self._answer_known(envelope):
            return
        try:
            verified = self._verifier.verify(envelope)
            if self._is_storing(envelope.id) or get_order(self._state.reader, envelope.id):
                raise IdReuseError("another signer has used this id")
            self._verifier.check_known(verified)
            if len(self._dispatch.orders) + len(self._verifier.storing) >= self._max_open:
                raise RateLimitedError("this agent holds as many orders as it can")
        except DuplicateDocumentError:
            return  # on its way to disk already: the first copy is acked when it is there
        except (UnknownSignerError, Error) as exc:
            log("warning", "intent_turned_down", intent=envelope.id, code=exc.code)
            self._outlet.send_error(exc, envelope.id)
            return
        self._decide(verified)

    async def cancel(self, verified: Verified[IntentCancel], view: Any) -> None:
        """End an order because somebody who may wishes so.

        Raises:
            NotAuthorisedError: the signer may not.
            OrderNotHereError: there is no such order, or not yet.
            StateUnavailableError: it could not be remembered.
        """
        intent_id = verified.payload.intent_id
        if self._is_storing(intent_id):
            # It is on its way to disk, and will have been taken on when this comes back.
            await self._state.write(lambda _connection: None)
        record = get_order(self._state.reader, intent_id)
        if record is None:
            raise OrderNotHereError("no such order here, or not yet")
        envelope = parse_document(record.wire)
        authorize_cancel(
            verified,
            view,
            ordered_by=envelope.public_key,
            realm=str(envelope.payload.get("realm", "")),
            now=self._clock.later(),
        )
        order = self._dispatch.orders.get(intent_id)
        if order is not None:
            await self._dispatch.cancel(order)

    # --- after a restart ---

    async def restore(self) -> None:
        """Take up what the last process left: run what may run, end what may not.

        Raises:
            StateError: an order on disk is damaged.
        """
        for record in open_orders(self._state.reader):
            order = _order_of(record)
            order.intent = self._sealed.open(order.intent)
            if (usage := get_usage(self._state.reader, order.id)) is not None:
                self._ledger.take_up(usage)
            if record.cancelled:
                await self._outbox.finish(
                    order, Ending(ResultStatus.CANCELLED, code="cancelled", message="cancelled")
                )
            elif record.state == "started":
                # Only work that must not run twice is ever marked as started.
                order.started_at = from_ms(record.started_ms or record.received_ms)
                log("warning", "order_interrupted", intent=order.id)
                await self._outbox.finish(
                    order,
                    Ending(
                        ResultStatus.INTERRUPTED,
                        code="interrupted",
                        message="the agent stopped while this ran",
                    ),
                )
            else:
                self._dispatch.admit(order)

    # --- inside ---

    def _answer_known(self, envelope: Envelope) -> bool:
        """Answer an order that is on disk as the first time; False when it is not there.

        Asked before freshness: an order that was taken in time is not turned down for being sent
        again late.
        """
        record = get_order(self._state.reader, envelope.id)
        if record is None or record.digest != envelope.digest:
            return False
        try:
            verify_signature(envelope)
        except Error:
            return False
        if not self._outbox.send_again(envelope.id):
            self._acks.add(envelope.id, "duplicate")
        return True

    def _decide(self, verified: Verified[Intent]) -> None:
        verified = self._sealed.open(verified)
        order = Order(intent=verified, grant=None, received_at=self._clock.later())
        try:
            grant = self._verifier.authorize(verified)
            state = "accepted" if self._verifier.is_due(verified) else "held"
            if self._verifier.check_limits(grant) is not None and state == "accepted":
                state = "waiting"
        except AuthorityError as exc:
            self._store_refusal(order, exc)
            return
        order.grant = grant
        order.judged_at = self._verifier.changes
        if grant.decision.approval is not None and state == "accepted":
            state = "waiting"
        usage = self._ledger.accept(grant, order.received_at)
        self._store(order, state, usage)

    def _store(self, order: Order, state: str, usage: UsageRow) -> None:
        envelope = order.intent.envelope
        received_ms = to_ms(order.received_at)

        def write(connection: sqlite3.Connection) -> None:
            add_seen(connection, envelope, "accepted")
            add_order(connection, envelope, state, received_ms)
            put_usage(connection, usage)

        def stored(future: asyncio.Future[None]) -> None:
            if self._failed(envelope, future):
                self._ledger.withdraw(order.id)
                return
            fault_point("intent_stored")
            self._acks.add(order.id, "accepted")
            self._dispatch.admit(order)

        self._submit(envelope, write, stored)

    def _store_refusal(self, order: Order, error: AuthorityError) -> None:
        envelope = order.intent.envelope
        received_ms = to_ms(order.received_at)
        result = self._outbox.seal(order, Ending.refused(error))
        log("info", "order_refused", intent=order.id, code=error.code)

        def write(connection: sqlite3.Connection) -> None:
            add_seen(connection, envelope, "refused", error.code)
            add_order(connection, envelope, "accepted", received_ms)
            finish_order(connection, order.id, result)

        def stored(future: asyncio.Future[None]) -> None:
            if not self._failed(envelope, future):
                fault_point("result_stored")
                self._outbox.send_stored(order.id, result.wire)

        self._submit(envelope, write, stored)

    def _submit(self, envelope: Envelope, write: Any, stored: Any) -> None:
        self._verifier.storing[(envelope.public_key.multikey, envelope.id)] = envelope.digest
        self._state.submit(write).add_done_callback(stored)

    def _is_storing(self, intent_id: str) -> bool:
        return any(known == intent_id for _, known in self._verifier.storing)

    def _failed(self, envelope: Envelope, future: asyncio.Future[None]) -> bool:
        self._verifier.storing.pop((envelope.public_key.multikey, envelope.id), None)
        error = None if future.cancelled() else future.exception()
        if future.cancelled() or error is not None:
            log("error", "intent_not_stored", intent=envelope.id, error=error)
            return True
        return False


def _order_of(record: OrderRecord) -> Order:
    try:
        verified = verify_document_offline(parse_document(record.wire), at=None)
    except Error as exc:
        raise StateError(f"order {record.id} on disk is damaged: {exc.message}") from exc
    return Order(
        intent=cast(Verified[Intent], verified),
        grant=None,
        received_at=from_ms(record.received_ms),
    )
