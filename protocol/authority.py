"""Owns the one question of an order: may this be done here, now, for this signer (SPEC section 7).

Pure and offline: everything the agent holds comes in as an `AuthorityView`, a `Grant` comes out or
the class of the first step that fails. Steps 1 to 5 are `authorize_intent`; step 6 is
`decide_order_limits`; step 7 is `protocol.approvals`. Documents that steer the agent are judged by
`protocol.document_authority`. Knows nothing of disks, sockets and executors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from protocol.conditions import ConditionContext
from protocol.delegation import (
    Chain,
    Link,
    RevocationView,
    check_chain_covers,
    covers_for_person,
    holds_delegation_for,
    verify_chain,
)
from protocol.errors import (
    BadChainError,
    BadParamsError,
    OrderExpiredError,
    PersonNotGrantedError,
    PolicyDeniedError,
    QuarantinedError,
    UnknownActionError,
    WrongRealmError,
)
from protocol.keys import PublicKey
from protocol.limits_window import Usage, Wait, decide_limits
from protocol.messages.intents import Intent
from protocol.messages.policies import PolicyLimits
from protocol.policy import Decision, Effect, Policy, decide_policy
from protocol.verification import Verified

_MAKER: Final = object()


@dataclass(frozen=True, slots=True)
class Ratchet:
    """The highest version or epoch that took effect, and the digest of that document.

    The digest is None where a number was reached without a document, or none was seen (0).
    """

    number: int = 0
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """Everything an agent holds that bears on authority, at one moment.

    Attributes:
        root: the pinned root key.
        agent_did: this agent.
        hub: key of the hub spoken to; None before the first `hello`.
        hub_delegation_id: id of the delegation in that `hello`; the delegation is held too.
        held: verified delegations by id.
        revocations: what counts for nothing.
        policy: in force, or None.
        policy_expires: end of the policy's lifetime.
        agent_name: its name at the hub.
        agent_labels: its labels.
        require_operator_signature: from the agent's own configuration: chains through the hub's
            key count for nothing.
        quarantined: whether it takes no orders.
        actions: per action the check of its params; the check raises `BadParamsError`.
        ratchets: by document type, what documents of that type must exceed.
    """

    root: PublicKey
    agent_did: str
    hub: PublicKey | None = None
    hub_delegation_id: str | None = None
    held: Mapping[str, Link] = field(default_factory=dict)
    revocations: RevocationView = field(default_factory=RevocationView)
    policy: Policy | None = None
    policy_expires: datetime | None = None
    agent_name: str = ""
    agent_labels: Mapping[str, str] = field(default_factory=dict)
    require_operator_signature: bool = False
    quarantined: bool = False
    actions: Mapping[str, Callable[[dict[str, Any]], None]] = field(default_factory=dict)
    ratchets: Mapping[str, Ratchet] = field(default_factory=dict)

    @property
    def realms(self) -> tuple[str, ...]:
        """The realms this agent is in: its policy's; none without a policy."""
        return self.policy.realms if self.policy is not None else ()

    def chain_to(
        self, signer: PublicKey, proof: Sequence[str] | None, *, now: datetime, forbid_hub: bool
    ) -> Chain:
        """Return the verified chain to a signer; raises as `protocol.delegation.verify_chain`."""
        return verify_chain(
            root=self.root,
            signer=signer,
            proof=proof,
            held=self.held,
            hub=self.hub,
            hub_delegation_id=self.hub_delegation_id,
            revocations=self.revocations,
            now=now,
            forbid_hub=forbid_hub,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave to act on one order, made by `authorize_intent` only.

    Attributes:
        intent: the verified order.
        chain: who was allowed to order it.
        decision: what the policy demands of the work.
    """

    intent: Verified[Intent]
    chain: Chain
    decision: Decision
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only authorize_intent makes a Grant")


def is_stranger(signer: PublicKey, view: AuthorityView) -> bool:
    """Whether the agent holds no delegation at all for a signer that is not the root.

    A stranger's order is answered by `error` and stored nowhere, whatever step it fails.
    """
    return signer != view.root and not holds_delegation_for(view.held, signer)


def authorize_intent(
    intent: Verified[Intent],
    view: AuthorityView,
    *,
    now: datetime,
    usage: Usage,
    taint: Sequence[str] = (),
) -> Grant:
    """Return leave to act on the order, so far as steps 1 to 5 of section 7 go.

    Args:
        intent: passed section 3.
        view: what the agent holds.
        now: aware; never earlier than the last one used.
        usage: what conditions see as `budget`; limits are judged by `decide_order_limits`.
        taint: marks of the data the order came from.

    Raises:
        QuarantinedError, UnknownActionError, BadParamsError: step 1.
        NoChainError and the other classes of `verify_chain`: step 2.
        NotGrantedError, ConditionFalseError, WrongRealmError: step 3.
        PersonNotGrantedError: step 4.
        NoPolicyError, PolicyExpiredError, PolicyDeniedError: step 5.
    """
    order = intent.payload
    _check_doable(order, view)
    signer = intent.envelope.public_key
    forbid_hub = view.require_operator_signature
    chain = view.chain_to(signer, order.proof, now=now, forbid_hub=forbid_hub)
    if any(link.delegation.subject == view.agent_did for link in chain.links):
        raise BadChainError("the order comes back to an agent of its own chain")
    context = ConditionContext(
        action=order.action,
        params=order.params,
        realm=order.realm,
        caller_did=signer.did,
        on_behalf_of=order.on_behalf_of,
        depth=chain.depth,
        now=now,
        agent_did=view.agent_did,
        agent_name=view.agent_name,
        agent_labels=view.agent_labels,
        tokens_today=usage.tokens_today,
        cents_today=usage.cents_today,
        orders_this_hour=usage.orders_this_hour,
        taint=taint,
    )
    check_chain_covers(chain, action=order.action, realms=(order.realm,), context=context)
    # Without a policy there is no realm to be wrong; step 5 names what is missing.
    if view.policy is not None and order.realm not in view.policy.realms:
        raise WrongRealmError("this agent takes no orders in that realm")
    if order.on_behalf_of is not None and not covers_for_person(
        order.on_behalf_of,
        root=view.root,
        held=view.held,
        hub=view.hub,
        revocations=view.revocations,
        now=now,
        forbid_hub=forbid_hub,
        action=order.action,
        realm=order.realm,
        context=context,
    ):
        raise PersonNotGrantedError("no delegation to that person covers this")
    decision = decide_policy(view.policy, context=context, now=now, expires=view.policy_expires)
    if decision.effect is not Effect.ALLOW:
        raise PolicyDeniedError(rule=decision.rule)
    return Grant(intent, chain, decision, _MAKER)


def decide_due(intent: Verified[Intent], *, now: datetime) -> bool:
    """Whether the order may start by its own times; False: it is held until `notBefore`.

    Raises:
        OrderExpiredError: its `expires` has come.
    """
    if now >= cast(datetime, intent.envelope.expires):
        raise OrderExpiredError("its time had gone before it could start")
    not_before = intent.payload.not_before
    return not_before is None or now >= not_before


def decide_order_limits(
    grant: Grant,
    limits: PolicyLimits,
    *,
    usage: Usage,
    usage_under: Mapping[str, Usage],
) -> Wait | None:
    """Return None when the limits of the policy and of every link's budget let the order start.

    Args:
        grant: what steps 1 to 5 gave.
        limits: the policy's.
        usage: of all accepted orders.
        usage_under: by delegation id, of the orders under that delegation; where one is missing,
            all orders are counted.

    Raises:
        OrderRateLimitedError, BudgetExhaustedError: step 6.
    """
    waits = [decide_limits(limits, usage)]
    for delegation_id, budget in grant.chain.budgets:
        waits.append(decide_limits(budget, usage_under.get(delegation_id, usage)))
    return next((wait for wait in waits if wait is not None), None)


def _check_doable(order: Intent, view: AuthorityView) -> None:
    if view.quarantined:
        raise QuarantinedError("this agent is in quarantine")
    check_params = view.actions.get(order.action)
    if check_params is None:
        raise UnknownActionError("no such action here")
    if order.sealed is not None:
        raise BadParamsError("the sealed params could not be opened")
    try:
        check_params(order.params)
    except BadParamsError:
        raise
    except Exception as exc:  # the check is an executor's: whatever it raises, nothing runs
        raise BadParamsError("the params do not fit the action") from exc
