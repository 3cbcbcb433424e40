"""Document bytes to `Verified` to `Grant`: the protocol's checks over the agent's own memory.

Decides nothing itself; it hands the protocol what is on disk. Must not act.
"""

from __future__ import annotations

from typing import Any, cast

from agentd.clock import Clock
from agentd.documents_room import DocumentsRoom
from agentd.standing import Standing
from agentd.state import StateDatabase
from agentd.state.documents import SeenDocument, seen_document
from agentd.state.peers import get_peer_order
from agentd.usage import UsageLedger
from protocol.authority import (
    Grant,
    authorize_intent,
    decide_due,
    decide_order_limits,
    is_stranger,
)
from protocol.conditions import ConditionContext
from protocol.envelope import Envelope
from protocol.errors import BadChainError, PolicyDeniedError, UnknownSignerError
from protocol.limits_window import Usage, Wait
from protocol.messages import Intent
from protocol.policy import Decision, Effect, Policy, decide_policy
from protocol.verification import Side, Verified, verify_document


class Verifier:
    """The agent's judgement over documents and orders."""

    def __init__(
        self,
        state: StateDatabase,
        standing: Standing,
        ledger: UsageLedger,
        clock: Clock,
        room: DocumentsRoom,
    ) -> None:
        self._state = state
        self._standing = standing
        self._ledger = ledger
        self._clock = clock
        self._room = room
        self.storing: dict[tuple[str, str], str] = {}
        """Documents decided and on their way to disk: (signer, id) to digest."""

    @property
    def changes(self) -> int:
        """How often what orders are judged by has changed in this process."""
        return self._standing.changes

    def seen_digest(self, public_key: str, id: str) -> str | None:
        """Return the digest first seen under this signer and id (`protocol.replay.ReplayView`)."""
        on_its_way = self.storing.get((public_key, id))
        if on_its_way is not None:
            return on_its_way
        seen = seen_document(self._state.reader, public_key, id)
        return None if seen is None else seen.digest

    def first_answer(self, envelope: Envelope) -> SeenDocument | None:
        """Return what was answered to a document the first time."""
        return seen_document(self._state.reader, envelope.public_key.multikey, envelope.id)

    def verify(self, envelope: Envelope) -> Verified[Any]:
        """Return the document as verified: rows 5 to 10 of section 3.

        Raises:
            VerificationError: the class of the first row that fails.
            DuplicateDocumentError: the same bytes again.
            RateLimitedError: no more of this signer's can be remembered now.
        """
        verified: Verified[Any] = verify_document(
            envelope,
            audience=self._standing.agent_did,
            now=self._clock.later(),
            replay=self,
            sender=Side.HUB,
        )
        self._room.take(envelope)
        return verified

    def check_known(self, verified: Verified[Intent]) -> None:
        """Return when the agent holds some delegation for the signer.

        Raises:
            UnknownSignerError: it holds none: answered by `error`, stored nowhere.
        """
        if is_stranger(verified.envelope.public_key, self._standing.view()):
            raise UnknownSignerError("no delegation for this signer is held")

    def authorize(self, verified: Verified[Intent]) -> Grant:
        """Return leave to act: steps 1 to 5 of section 7, judged now.

        Raises:
            AuthorityError: the class of the first step that fails.
        """
        now = self._clock.later()
        usage = self._ledger.measure(now)
        grant = authorize_intent(verified, self._standing.view(), now=now, usage=usage)
        cause = verified.payload.batch_id
        if cause is not None and get_peer_order(self._state.reader, cause) is not None:
            raise BadChainError("made for an order that this agent gave: a circle")
        return grant

    def decide_action(self, grant: Grant, action: str, params: dict[str, Any]) -> Decision:
        """Return what this agent's policy says about an action within an order at work.

        Raises:
            NoPolicyError, PolicyExpiredError, PolicyDeniedError: it may not be done.
        """
        now = self._clock.later()
        usage = self._ledger.measure(now)
        view = self._standing.view()
        order = grant.intent.payload
        context = ConditionContext(
            action=action,
            params=params,
            realm=order.realm,
            caller_did=grant.intent.envelope.sender_did,
            on_behalf_of=order.on_behalf_of,
            depth=grant.chain.depth,
            now=now,
            agent_did=view.agent_did,
            agent_name=view.agent_name,
            agent_labels=view.agent_labels,
            tokens_today=usage.tokens_today,
            cents_today=usage.cents_today,
            orders_this_hour=usage.orders_this_hour,
        )
        decision = decide_policy(view.policy, context=context, now=now, expires=view.policy_expires)
        if decision.effect is not Effect.ALLOW:
            raise PolicyDeniedError(rule=decision.rule)
        return decision

    def is_due(self, verified: Verified[Intent]) -> bool:
        """Whether the order may start by its own times.

        Raises:
            OrderExpiredError: its time has gone.
        """
        return decide_due(verified, now=self._clock.later())

    def check_limits(self, grant: Grant) -> Wait | None:
        """Step 6 for a new order: whether it may run at once, or must wait for a place.

        Raises:
            OrderRateLimitedError, BudgetExhaustedError: over a limit.
        """
        now = self._clock.later()
        policy = cast(Policy, self._standing.policy)
        return decide_order_limits(
            grant,
            policy.limits,
            usage=self._ledger.measure(now),
            usage_under=self._ledger.measure_under(grant, now),
        )

    def check_place(self, grant: Grant) -> Wait | None:
        """Step 6 for an order that was counted when it came: only places and budgets are left.

        Raises:
            BudgetExhaustedError: what ran meanwhile has used the budget up.
        """
        now = self._clock.later()
        policy = cast(Policy, self._standing.policy)
        return decide_order_limits(
            grant,
            policy.limits,
            usage=_without_orders(self._ledger.measure(now)),
            usage_under={
                delegation_id: _without_orders(usage)
                for delegation_id, usage in self._ledger.measure_under(grant, now).items()
            },
        )


def _without_orders(usage: Usage) -> Usage:
    return Usage(
        tokens_today=usage.tokens_today, cents_today=usage.cents_today, running=usage.running
    )
