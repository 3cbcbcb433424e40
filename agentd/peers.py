"""Orders to other agents: signed with what this agent holds, durable, their results proved.

Owns the outgoing side; orders from peers come in by the door of all orders (`agentd.intake`).
The hub carries both ways and can delay, but a result counts only with the peer's own signature
over the digest of exactly this order.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

from agentd.clock import Clock, new_id
from agentd.errors import ExecutorError
from agentd.executors.peer_orders import PeerAnswer, PeerOrders
from agentd.log import log
from agentd.outbox import Outbox
from agentd.outlet import Outlet
from agentd.sealed import was_sealed
from agentd.standing import Standing
from agentd.state import StateDatabase
from agentd.state.peers import (
    PeerOrderRecord,
    add_peer_order,
    answer_peer_order,
    fail_peer_order,
    find_peer_order,
    get_peer_order,
)
from agentd.verifier import Verifier
from protocol import limits
from protocol.authority import Grant
from protocol.conditions import ConditionContext
from protocol.delegation import Chain, check_chain_covers, check_chain_grants, find_chains
from protocol.envelope import Envelope, envelope_from_value, parse_document, seal_document
from protocol.errors import (
    AuthorityError,
    BadDigestError,
    Error,
    NoChainError,
    NotAttenuatedError,
    UnknownIntentError,
    UnknownTypeError,
    WrongKeyError,
)
from protocol.ids import is_action
from protocol.keys import PublicKey
from protocol.links import check_attenuated, verify_link
from protocol.messages import (
    Capability,
    Delegation,
    Intent,
    PeerIntent,
    PeerResult,
    Result,
    dump_payload,
)
from protocol.strict_json import check_json_profile
from protocol.verification import verify_document_offline

ORDER_ACTION: Final = "peer.order"
"""What this agent's own policy must allow before it orders anything from a peer."""
MAX_LENT_SECONDS: Final = 7 * 86_400
_MAY_PASS: Final = frozenset({"unavailable", "rate_limited", "internal"})
"""Codes of the hub after which the same order is said again."""
_ROOM_BYTES: Final = 4_096


@dataclass(frozen=True, slots=True)
class Wish:
    """One order as an executor wishes it, its peer a DID."""

    peer: str
    action: str
    params: Mapping[str, Any]
    realm: str
    seconds: float
    lend: Sequence[Capability]
    own_authority: bool


class Peers:
    """Every order to a peer that something here waits for."""

    def __init__(
        self,
        *,
        state: StateDatabase,
        outlet: Outlet,
        outbox: Outbox,
        standing: Standing,
        verifier: Verifier,
        clock: Clock,
        names: Mapping[str, str],
        resend_seconds: float,
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._outbox = outbox
        self._standing = standing
        self._verifier = verifier
        self._clock = clock
        self._names = dict(names)
        self._resend_seconds = resend_seconds
        self._waiting: dict[str, asyncio.Event] = {}
        self._frames: dict[str, str] = {}

    def work_for(self, grant: Grant, deadline: float) -> PeerOrders:
        """Return what the executor of one order sees; `deadline` as in `Work`."""
        return _PeersOfOrder(self, grant, deadline, self._names)

    # --- what an executor asks ---

    async def order(self, grant: Grant, ordinal: int, wish: Wish) -> PeerAnswer:
        """Order as wished, or take up what was ordered before a restart, and return the answer.

        Raises:
            ExecutorError: see `PeerOrders.order`.
            StateUnavailableError: it could not be put on disk; nothing was ordered.
        """
        cause = grant.intent.envelope.id
        record = find_peer_order(self._state.reader, cause, ordinal)
        if record is None:
            record = await self._place(grant, ordinal, wish)
        elif not _is_same(record, wish):
            raise ExecutorError("peer_conflict", "after a restart other orders than before it")
        return await self._await_answer(record, wish.seconds)

    async def _place(self, grant: Grant, ordinal: int, wish: Wish) -> PeerOrderRecord:
        """Sign an order and put it on disk."""
        if was_sealed(grant.intent):
            raise ExecutorError("sealed_order", "what came sealed is not handed on in the clear")
        try:
            check_json_profile(dict(wish.params), max_depth=limits.MAX_PARAMS_DEPTH)
            self._check_allowed(grant, wish)
            chain = self._choose_chain(wish)
            lent = [self._lend(chain, wish)] if wish.lend else []
            envelope = self._seal(grant, chain, wish)
        except Error as exc:
            log("info", "peer_order_not_made", intent=grant.intent.envelope.id, code=exc.code)
            raise ExecutorError(exc.code, exc.message) from exc
        delegations = [*(link.envelope for link in chain.links), *lent]
        size = len(envelope.wire) + sum(len(one.wire) for one in delegations)
        if size > limits.MAX_FRAME_BYTES - _ROOM_BYTES:
            raise ExecutorError("frame_too_large", "more than one message to a peer can carry")
        cause = grant.intent.envelope.id
        await self._state.write(
            lambda c: add_peer_order(
                c, envelope, cause=cause, ordinal=ordinal, delegations=delegations
            )
        )
        record = get_peer_order(self._state.reader, envelope.id)
        assert record is not None
        log("info", "peer_ordered", intent=record.id, cause=cause, peer=record.peer)
        return record

    async def _await_answer(self, record: PeerOrderRecord, seconds: float) -> PeerAnswer:
        news = self._waiting.setdefault(record.id, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                if record.is_open:
                    self._say(record)
                while record.is_open:
                    await news.wait()
                    news.clear()
                    record = get_peer_order(self._state.reader, record.id) or record
        except TimeoutError:
            raise ExecutorError("peer_timed_out", "no result of the peer in time") from None
        finally:
            self._waiting.pop(record.id, None)
            self._frames = {f: i for f, i in self._frames.items() if i != record.id}
        if record.answer is None:
            raise ExecutorError(record.code or "refused", record.message or "turned down")
        envelope = parse_document(record.answer)
        result = cast(Result, verify_document_offline(envelope, at=None).payload)
        return PeerAnswer(record.id, record.peer, result, envelope.wire.decode())

    # --- the connection ---

    async def keep_asking(self) -> None:
        """Say again what is waited for: now, and while no answer comes; until cancelled.

        A `peer_result` is not acknowledged, so one that was lost comes by asking again.
        """
        while True:
            for intent_id in list(self._waiting):
                record = get_peer_order(self._state.reader, intent_id)
                if record is not None and record.is_open:
                    self._say(record)
            await asyncio.sleep(self._resend_seconds)

    async def take_result(self, payload: PeerResult) -> None:
        """Take a result that the hub brings, when it is the peer's and about our order.

        Raises:
            Error: it is not; the order goes on waiting.
        """
        envelope = envelope_from_value(payload.result)
        verified = verify_document_offline(envelope, at=self._clock.later())
        result = verified.payload
        if not isinstance(result, Result):
            raise UnknownTypeError("no result")
        record = get_peer_order(self._state.reader, result.intent_id)
        if record is None:
            raise UnknownIntentError("no order of this agent")
        if envelope.sender_did != record.peer:
            raise WrongKeyError("not signed by the agent that was ordered")
        if result.intent_digest != record.digest:
            raise BadDigestError("about other bytes than were ordered")
        if not record.is_open:
            return
        await self._state.write(lambda c: answer_peer_order(c, record.id, envelope.wire))
        log("info", "peer_answered", intent=record.id, status=result.status)
        self._wake(record.id)

    async def take_error(self, in_reply_to: str, code: str, message: str) -> bool:
        """The hub, or the peer through it, turns an order down; False when it is none of ours."""
        intent_id = self._frames.get(in_reply_to, in_reply_to)
        record = get_peer_order(self._state.reader, intent_id)
        if record is None:
            return False
        if code not in _MAY_PASS and record.is_open:
            await self._state.write(lambda c: fail_peer_order(c, record.id, code, message[:1000]))
            self._wake(record.id)
        return True

    # --- inside ---

    def _say(self, record: PeerOrderRecord) -> None:
        intent = parse_document(record.wire).as_value()
        frame_id = self._outlet.send(PeerIntent(intent=intent, delegations=record.delegations))
        if frame_id is not None:
            self._frames[frame_id] = record.id

    def _wake(self, intent_id: str) -> None:
        if (news := self._waiting.get(intent_id)) is not None:
            news.set()

    def _check_allowed(self, grant: Grant, wish: Wish) -> None:
        """This agent's policy, and whoever ordered the work at hand, let it order this."""
        intent = grant.intent.payload
        if intent.action != ORDER_ACTION:
            asked = {"agent": wish.peer, "action": wish.action, "params": dict(wish.params)}
            if self._verifier.decide_action(grant, ORDER_ACTION, asked).approval is not None:
                raise ExecutorError(
                    "approval_required", "its policy asks people first; order peer.order itself"
                )
        if wish.own_authority:
            return
        # Nobody gains by going through an agent: its orderer could have ordered this as well.
        check_chain_covers(
            grant.chain,
            action=wish.action,
            realms=(wish.realm,),
            context=ConditionContext(
                action=wish.action,
                params=wish.params,
                realm=wish.realm,
                caller_did=grant.intent.envelope.sender_did,
                on_behalf_of=intent.on_behalf_of,
                depth=grant.chain.depth,
                now=self._clock.later(),
                agent_did=wish.peer,
            ),
        )

    def _choose_chain(self, wish: Wish) -> Chain:
        """Return a chain to this agent's key whose every link covers the wish.

        Conditions are the peer's to judge: only it knows what they speak of.
        """
        view = self._standing.view()
        error: AuthorityError = NoChainError("nobody has lent this agent anything")
        for chain in find_chains(
            self._outbox.key.public_key,
            root=view.root,
            held=view.held,
            hub=view.hub,
            revocations=view.revocations,
            now=self._clock.later(),
        ):
            try:
                check_chain_grants(
                    chain, action=wish.action, realms=(wish.realm,), agent_did=wish.peer
                )
            except AuthorityError as exc:
                error = exc
                continue
            if wish.lend and chain.links[-1].delegation.max_depth < 1:
                error = NotAttenuatedError("what was lent to this agent may not be lent on")
                continue
            return chain
        raise error

    def _lend(self, chain: Chain, wish: Wish) -> Envelope:
        """Return a delegation to the peer inside the chain's last, for the order's time."""
        parent = chain.links[-1]
        now = self._clock.now()
        expires = min(now + timedelta(seconds=min(wish.seconds, MAX_LENT_SECONDS)), parent.expires)
        payload = Delegation(
            subject=wish.peer,
            capabilities=tuple(wish.lend),
            conditions=(),
            not_before=max(now - limits.DOCUMENT_SKEW, parent.delegation.not_before),
            max_depth=parent.delegation.max_depth - 1,
            parent=parent.digest,
            budget=parent.delegation.budget,
        )
        envelope = seal_document(
            type="delegation",
            id=new_id(),
            timestamp=now,
            expires=expires,
            audience="*",
            payload=dump_payload(payload),
            signer=self._outbox.key,
        )
        check_attenuated(verify_link(envelope), parent)
        return envelope

    def _seal(self, grant: Grant, chain: Chain, wish: Wish) -> Envelope:
        work = grant.intent.payload
        now = self._clock.now()
        payload = Intent(
            action=wish.action,
            params=dict(wish.params),
            realm=wish.realm,
            timeout_seconds=max(1, math.floor(wish.seconds)),
            on_behalf_of=work.on_behalf_of,
            # The order it was made for: so the hub sees when an order goes round in a circle.
            batch_id=grant.intent.envelope.id,
            proof=tuple(link.id for link in chain.links),
            traceparent=work.traceparent,
        )
        return seal_document(
            type="intent",
            id=new_id(),
            timestamp=now,
            expires=now + timedelta(seconds=max(1.0, wish.seconds)),
            audience=wish.peer,
            payload=dump_payload(payload),
            signer=self._outbox.key,
        )


class _PeersOfOrder:
    """The orders to peers of one order at work, counted in the sequence they are made."""

    def __init__(
        self, peers: Peers, grant: Grant, deadline: float, names: Mapping[str, str]
    ) -> None:
        self._peers = peers
        self._grant = grant
        self._deadline = deadline
        self._names = names
        self._ordinals: Iterator[int] = iter(range(10_000))

    async def order(
        self,
        agent: str,
        action: str,
        params: Mapping[str, Any],
        *,
        realm: str | None = None,
        timeout_seconds: float | None = None,
        lend: Sequence[Capability] = (),
        own_authority: bool = False,
    ) -> PeerAnswer:
        """See `agentd.executors.peer_orders.PeerOrders`."""
        ordinal = next(self._ordinals, None)
        if ordinal is None:
            raise ExecutorError("rate_limited", "one order makes at most 10,000 orders to peers")
        if not is_action(action):
            raise ExecutorError("bad_params", "no name of an action")
        left = max(0.0, self._deadline - time.monotonic())
        wish = Wish(
            peer=self._resolve(agent),
            action=action,
            params=params,
            realm=realm or self._grant.intent.payload.realm,
            seconds=left if timeout_seconds is None else min(left, timeout_seconds),
            lend=lend,
            own_authority=own_authority,
        )
        return await self._peers.order(self._grant, ordinal, wish)

    def _resolve(self, agent: str) -> str:
        did = self._names.get(agent, agent)
        try:
            key = PublicKey.parse_did(did)
        except Error:
            raise ExecutorError(
                "unknown_peer", "neither a DID nor a name in this agent's [peers] table"
            ) from None
        if key == self._peers._outbox.key.public_key:
            raise ExecutorError("unknown_peer", "an agent is not its own peer")
        return did


def _is_same(record: PeerOrderRecord, wish: Wish) -> bool:
    envelope = parse_document(record.wire)
    return (
        record.peer == wish.peer
        and envelope.payload["action"] == wish.action
        and envelope.payload["params"] == dict(wish.params)
    )
