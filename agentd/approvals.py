"""Asking people before an order starts: durable questions, counted answers (SPEC section 7, 7).

A question is on disk before it is sent, sent again on every connection, and survives restarts;
waiting for it blocks nothing else. Must not know how orders are done.
"""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from agentd.clock import Clock, from_ms, new_id, to_ms
from agentd.faults import fault_point
from agentd.log import log
from agentd.orders import Order
from agentd.outlet import Outlet
from agentd.sealed import shown_arguments
from agentd.standing import Standing
from agentd.state import StateDatabase
from agentd.state.approvals import (
    ApprovalRecord,
    add_approval,
    add_decision,
    approvals_of,
    decisions_of,
    get_approval,
    open_approvals,
    set_approval_state,
)
from agentd.state.documents import add_seen
from agentd.state.orders import get_order
from protocol.approvals import (
    ApprovalRequest,
    Approved,
    CountedApproval,
    Denied,
    Lapsed,
    decide_approvals,
    open_approval,
    verify_approval,
)
from protocol.authority import Grant
from protocol.envelope import parse_document
from protocol.errors import (
    ApprovalDeniedError,
    ApprovalExpiredError,
    DocumentRefusedError,
    NotAuthorisedError,
)
from protocol.messages import (
    ApprovalRule,
    Intent,
    ToolApprovalRequest,
    ToolApprovalResponse,
    dump_payload,
)
from protocol.verification import Verified, verify_document_offline

_LONGEST_SLEEP_SECONDS = 30.0


class Approvals:
    """The open questions of this agent."""

    def __init__(
        self,
        state: StateDatabase,
        outlet: Outlet,
        standing: Standing,
        clock: Clock,
        *,
        ask_again_seconds: float,
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._standing = standing
        self._clock = clock
        self._ask_again_seconds = ask_again_seconds
        self._decided: dict[str, asyncio.Event] = {}

    async def obtain(self, order: Order, grant: Grant) -> tuple[str, ...]:
        """Return the ids of the decisions that approve an order, once enough people have.

        Raises:
            ApprovalDeniedError: somebody who may decide said no.
            ApprovalExpiredError: not enough did in time.
            StateUnavailableError: the question could not be put on disk.
        """
        record = await self._question(order, grant)
        decided = self._decided.setdefault(record.request_id, asyncio.Event())
        try:
            while True:
                request = _request(record, order.intent)
                now = self._clock.later()
                match decide_approvals(request, self._counted(request), now=now):
                    case Approved(approvals=ids):
                        await self._settle(record, "approved")
                        return ids
                    case Denied():
                        await self._settle(record, "denied")
                        raise ApprovalDeniedError("a person who may decide has denied it")
                    case Lapsed():
                        await self._settle(record, "expired")
                        raise ApprovalExpiredError("not enough people approved in time")
                left = (request.expires - now).total_seconds()
                decided.clear()
                try:
                    async with asyncio.timeout(min(max(left, 0.01), _LONGEST_SLEEP_SECONDS)):
                        await decided.wait()
                except TimeoutError:
                    continue
        finally:
            self._decided.pop(record.request_id, None)

    async def take(self, verified: Verified[ToolApprovalResponse]) -> None:
        """Count a person's decision, on disk first.

        Raises:
            DocumentRefusedError: it counts for nothing.
            StateUnavailableError: it could not be written.
        """
        payload = verified.payload
        record = get_approval(self._state.reader, payload.request_id)
        order = None if record is None else get_order(self._state.reader, record.intent_id)
        if record is None or order is None or record.state != "open":
            raise NotAuthorisedError("no such question is open")
        intent = verify_document_offline(parse_document(order.wire), at=None)
        now = self._clock.later()
        verify_approval(verified, _request(record, intent), self._standing.view(), now=now)
        envelope = verified.envelope

        def write(connection: sqlite3.Connection) -> None:
            add_seen(connection, envelope, "accepted")
            add_decision(connection, payload.request_id, envelope, to_ms(now))

        await self._state.write(write)
        fault_point("approval_stored")
        log("info", "decision_counted", request=payload.request_id, approved=payload.approved)
        if (decided := self._decided.get(payload.request_id)) is not None:
            decided.set()

    async def keep_asking(self) -> None:
        """Say what is open: now, for the connection is new, and again; until cancelled.

        A question is not acknowledged: a hub that could not keep it says nothing, or that it has
        too many just then.
        """
        while True:
            for record in open_approvals(self._state.reader):
                self._send(record)
            await asyncio.sleep(self._ask_again_seconds)

    async def _question(self, order: Order, grant: Grant) -> ApprovalRecord:
        """Return the question of an order: the one on disk, or a new one."""
        rule = grant.decision.approval
        assert rule is not None
        wanted = dump_payload(rule)
        for record in approvals_of(self._state.reader, order.id):
            if record.rule == wanted and record.state != "void":  # the policy may come back to it
                return record
            await self._settle(record, "void")
        arguments = shown_arguments(order.intent)
        request = open_approval(
            grant,
            request_id=new_id(),
            tool=order.order.action,
            arguments=arguments,
            now=self._clock.later(),
        )
        payload = ToolApprovalRequest(
            request_id=request.request_id,
            intent_id=order.id,
            tool=order.order.action,
            arguments=arguments,
            call_digest=request.call_digest,
            rule=grant.decision.rule or "default",
            people=rule.people,
            expires=request.expires,
        )
        record = ApprovalRecord(
            request_id=request.request_id,
            intent_id=order.id,
            call_digest=request.call_digest,
            request=dump_payload(payload),
            rule=wanted,
            expires_ms=to_ms(request.expires),
            state="open",
        )
        await self._state.write(lambda connection: add_approval(connection, record))
        fault_point("approval_requested")
        self._send(record)
        return record

    def _counted(self, request: ApprovalRequest) -> list[CountedApproval]:
        """Return the decisions that counted when they came and still do."""
        counted = []
        for at_ms, wire in decisions_of(self._state.reader, request.request_id):
            verified: Verified[Any] = verify_document_offline(parse_document(wire), at=None)
            try:
                counted.append(
                    verify_approval(verified, request, self._standing.view(), now=from_ms(at_ms))
                )
            except DocumentRefusedError as exc:
                log("warning", "decision_void", request=request.request_id, why=exc.message)
        return counted

    async def _settle(self, record: ApprovalRecord, state: str) -> None:
        await self._state.write(
            lambda connection: set_approval_state(connection, record.request_id, state)
        )

    def _send(self, record: ApprovalRecord) -> None:
        self._outlet.send(ToolApprovalRequest.model_validate(record.request))


def _request(record: ApprovalRecord, intent: Verified[Intent]) -> ApprovalRequest:
    order = intent.payload
    ordered_by = {intent.envelope.sender_did} | (
        {order.on_behalf_of} if order.on_behalf_of else set()
    )
    return ApprovalRequest(
        request_id=record.request_id,
        call_digest=record.call_digest,
        rule=ApprovalRule.model_validate(record.rule),
        realm=order.realm,
        ordered_by=frozenset(ordered_by),
        expires=from_ms(record.expires_ms),
    )
