"""Results: signed, on disk, then sent, and sent again until the hub has acked (SPEC section 8).

Owns the signing of results. Must not know how an order was done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from agentd.clock import Clock, from_ms, new_id
from agentd.errors import StateUnavailableError
from agentd.faults import fault_point
from agentd.log import log
from agentd.orders import Ending, Order
from agentd.outlet import MAY_PASS, Outlet
from agentd.sealed import cover_ending
from agentd.standing import Standing
from agentd.state import StateDatabase
from agentd.state.approvals import close_approvals
from agentd.state.orders import (
    ResultRecord,
    ack_result,
    finish_order,
    get_result,
    open_results,
    replace_result,
)
from agentd.usage import UsageLedger
from protocol import limits
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import Error
from protocol.keys import SigningKey
from protocol.messages import Result, ResultAck, ResultDecision, ResultStatus, dump_payload

_RETRY_SECONDS = 1.0
_PASSING: Final = MAY_PASS | {"future", "expired"}
"""Nor is a clock, of either end, wrong for ever; and what has expired is signed anew."""


class Outbox:
    """Where results wait until the hub has them."""

    def __init__(
        self,
        state: StateDatabase,
        outlet: Outlet,
        standing: Standing,
        ledger: UsageLedger,
        clock: Clock,
        key: SigningKey,
        *,
        resend_seconds: float,
    ) -> None:
        self.key = key
        self._state = state
        self._outlet = outlet
        self._standing = standing
        self._ledger = ledger
        self._clock = clock
        self._resend_seconds = resend_seconds
        self._sent_on_link: dict[str, float] = {}
        self._turned_down: set[str] = set()
        self._asked_again: set[str] = set()
        self.on_sent: Callable[[str], None] = lambda _intent_id: None

    def seal(self, order: Order, ending: Ending) -> Envelope:
        """Return the signed result of an order.

        Raises:
            BadJsonError: the output is outside what a document can carry.
        """
        ending = cover_ending(order, ending)
        grant = order.grant
        spent = self._ledger.spent(order.id)
        payload = Result(
            intent_id=order.id,
            intent_digest=order.intent.envelope.digest,
            status=ending.status,
            output=ending.output,
            output_file=ending.output_file,
            error=ending.error,
            started_at=order.started_at,
            finished_at=self._clock.now(),
            usage={
                name: min(value, limits.MAX_USED)
                for name, value in (
                    ("tokens", spent.tokens if spent else 0),
                    ("cents", spent.cents if spent else 0),
                )
                if value
            },
            decision=ResultDecision(
                policy_version=(
                    grant.decision.policy_version if grant else self._standing.policy_version
                ),
                rule=grant.decision.rule if grant else ending.rule,
            ),
            sandbox=order.sandbox,
            approvals=order.approvals,
            progress_count=order.progress_count,
        )
        return self._sign(dump_payload(payload))

    async def finish(
        self, order: Order, ending: Ending, also: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Put the result on disk and send it. While the disk is full it waits and tries again.

        Args:
            order: what has ended.
            ending: how.
            also: more to write in the same transaction.
        """
        try:
            result = self.seal(order, ending)
        except (Error, ValidationError) as exc:
            # Whatever an executor returned, its order ends: by a result that can be signed.
            why = exc.message if isinstance(exc, Error) else "no result can carry it"
            log("error", "result_not_sealed", intent=order.id, why=why)
            ending = Ending(ResultStatus.FAILED, code="bad_output", message=why)
            result = self.seal(order, ending)

        def write(connection: sqlite3.Connection) -> None:
            if also is not None:
                also(connection)
            finish_order(connection, order.id, result)
            close_approvals(connection, order.id)
            self._ledger.save(connection, order.id)

        while True:
            try:
                await self._state.write(write)
                break
            except StateUnavailableError as exc:
                log("error", "result_not_stored", intent=order.id, error=exc.message)
                await asyncio.sleep(_RETRY_SECONDS)
        fault_point("result_stored")
        self.send_stored(order.id, result.wire)

    def send_stored(self, intent_id: str, wire: bytes) -> bool:
        """Send a result that is on disk; False when there is no way now."""
        if not self._outlet.send_document(wire):
            return False
        self._sent_on_link[intent_id] = asyncio.get_running_loop().time()
        self.on_sent(intent_id)
        fault_point("result_sent")
        return True

    def send_again(self, intent_id: str) -> bool:
        """Send the result of an order when there is one; False when there is none.

        One that has to be signed anew first is sent with the next look at what waits: as it is the
        hub would turn it down, and whoever asked would never hear how the order ended.
        """
        record = get_result(self._state.reader, intent_id)
        if record is None:
            return False
        if self._is_fresh(record, parse_document(record.wire)):
            return self.send_stored(intent_id, record.wire)
        self._asked_again.add(intent_id)
        return True

    async def take_acks(self, payload: ResultAck) -> None:
        """The hub has these results on its disk."""
        items = [(item.intent_id, item.result_id) for item in payload.results]

        def write(connection: sqlite3.Connection) -> None:
            for intent_id, result_id in items:
                ack_result(connection, intent_id, result_id)

        fault_point("result_acked")
        try:
            await self._state.write(write)
        except StateUnavailableError as exc:
            log("error", "ack_not_stored", error=exc.message)  # it is sent again, and acked again
            return
        for intent_id, _ in items:
            self._sent_on_link.pop(intent_id, None)

    def take_error(self, in_reply_to: str, code: str) -> bool:
        """The hub turned a result down. False: not a result.

        It rests until the next connection; but not for what passes by itself, which may be long
        before: that is offered again as if nothing had been said.
        """
        for intent_id in self._sent_on_link:
            record = get_result(self._state.reader, intent_id)
            if record is not None and record.result_id == in_reply_to:
                if code not in _PASSING:
                    self._turned_down.add(intent_id)
                log("error", "result_turned_down", intent=intent_id, code=code)
                return True
        return False

    def forget_link(self) -> None:
        """The connection is over: everything without an ack is sent again on the next."""
        self._sent_on_link.clear()
        self._turned_down.clear()
        self._asked_again.clear()

    async def keep_sending(self) -> None:
        """Send what waits, oldest first, and again what stays without an ack; until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            waiting = open_results(self._state.reader)
            for intent_id in dict.fromkeys([*waiting, *self._asked_again]):
                link = self._outlet.link
                if link is None:
                    return
                sent_at = self._sent_on_link.get(intent_id)
                if intent_id in self._turned_down or (
                    sent_at is not None and loop.time() - sent_at < self._resend_seconds
                ):
                    continue
                await link.wait_for_room()
                record = get_result(self._state.reader, intent_id)
                if record is None or (record.acked and intent_id not in self._asked_again):
                    continue
                try:
                    wire = await self._fresh(record)
                except StateUnavailableError as exc:
                    log("error", "result_not_renewed", intent=intent_id, error=exc.message)
                    continue
                self._asked_again.discard(intent_id)
                self.send_stored(intent_id, wire)
            await asyncio.sleep(self._resend_seconds / 3)

    async def _fresh(self, record: ResultRecord) -> bytes:
        """Return the result's bytes, signed anew where its time, the key or the hub is another."""
        envelope = parse_document(record.wire)
        if self._is_fresh(record, envelope):
            return record.wire
        renewed = self._sign(envelope.payload)
        await self._state.write(
            lambda connection: replace_result(connection, record.intent_id, renewed)
        )
        return renewed.wire

    def _is_fresh(self, record: ResultRecord, envelope: Envelope) -> bool:
        hub = self._standing.hub
        return (
            from_ms(record.expires_ms) > self._clock.later()
            # Signed while this clock was ahead: the hub takes it no sooner than that time comes.
            and envelope.timestamp <= self._clock.now()
            and envelope.public_key == self.key.public_key
            and (hub is None or envelope.audience == hub.did)
        )

    def _sign(self, payload: dict[str, Any]) -> Envelope:
        now = self._clock.now()
        hub = self._standing.hub
        return seal_document(
            type="result",
            id=new_id(),
            timestamp=now,
            expires=now + limits.RESULT_LIFETIME,
            # An order that ends before this process has met a hub is signed anew when it does.
            audience=hub.did if hub is not None else self.key.public_key.did,
            payload=payload,
            signer=self.key,
        )
