"""Owns who may steer an agent: the documents that change what it holds (SPEC sections 6 and 7).

Per type the `writ.*` action its chain must hold, whether the hub's key counts, and the ratchet:
versions and epochs only go up, across ids. Nothing takes effect here; the caller stores what was
authorised. Knows nothing of orders and of approvals' counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, cast

from protocol.authority import AuthorityView
from protocol.conditions import ConditionContext
from protocol.delegation import Chain, check_chain_covers, passes_through_hub
from protocol.envelope import Envelope
from protocol.errors import (
    AuthorityError,
    DocumentExpiredError,
    DocumentRefusedError,
    ForbiddenLiftError,
    ForbiddenTypeError,
    NotAuthorisedError,
    OldEpochError,
    OldVersionError,
)
from protocol.keys import PublicKey
from protocol.limits import MAX_NUMBER_STEP
from protocol.messages.delegations import Delegation, Quarantine, Revocations
from protocol.messages.intents import IntentCancel
from protocol.messages.policies import LlmConfig, PolicyUpdate, SkillsConfig
from protocol.verification import Verified

DOCUMENT_ACTIONS: Final = {
    "policy_update": "writ.policy",
    "revocations": "writ.revoke",
    "quarantine": "writ.quarantine",
    "llm_config": "writ.configure",
    "skills_config": "writ.configure",
}
"""The action that the chain of each steering document must hold."""
CANCEL_ACTION: Final = "writ.cancel"


def authorize_document(verified: Verified[Any], view: AuthorityView, *, now: datetime) -> Chain:
    """Return the chain that lets a steering document take effect.

    The same bytes as the document in force are authorised again and change nothing.

    Args:
        verified: a `policy_update`, `revocations`, `quarantine`, `llm_config`, `skills_config`
            or `delegation`.
        view: what the agent holds; its ratchets say what must be exceeded.
        now: aware.

    Raises:
        DocumentExpiredError: its `expires` has come.
        NotAuthorisedError: no chain, or one that does not cover it; the cause is chained. Or a
            number that a chain through a hub's key may not reach in one step.
        OldVersionError, OldEpochError: a number below the last one, or the same with other bytes.
        ForbiddenLiftError: only the root removes a revocation, and no chain through a hub's key
            lifts a quarantine.
        ForbiddenTypeError: a type that is not judged here.
    """
    payload: object = verified.payload
    envelope = verified.envelope
    if now >= cast(datetime, envelope.expires):
        raise DocumentExpiredError("the document has expired")
    if isinstance(payload, Delegation):
        return _authorize_delegation(envelope, payload, view, now)
    if isinstance(payload, PolicyUpdate):
        # A policy moves the agent between realms: who signs it must hold the old and the new.
        realms: Iterable[str] = dict.fromkeys((*view.realms, *payload.realms))
        forbid_hub = view.require_operator_signature
    elif isinstance(payload, LlmConfig | SkillsConfig):
        realms, forbid_hub = view.realms, view.require_operator_signature
    elif isinstance(payload, Revocations | Quarantine):
        # Stopping is always allowed to the hub; lifting is judged below.
        realms, forbid_hub = view.realms, False
    else:
        raise ForbiddenTypeError(f"{envelope.type} steers nothing")
    chain = require_chain(
        envelope,
        view,
        action=DOCUMENT_ACTIONS[envelope.type],
        realms=tuple(realms),
        proof=payload.proof,
        now=now,
        forbid_hub=forbid_hub,
    )
    _check_ratchet(payload, envelope, chain, view)
    _check_lift(payload, chain, view)
    return chain


def authorize_cancel(
    verified: Verified[IntentCancel],
    view: AuthorityView,
    *,
    ordered_by: PublicKey,
    realm: str,
    now: datetime,
) -> None:
    """Return when the cancel counts: signed by who ordered it, or by a chain with `writ.cancel`.

    Cancelling stops work, so a chain through the hub's key counts even where operators' signatures
    are required.

    Args:
        verified: the cancel.
        view: what the agent holds.
        ordered_by: signer of the order.
        realm: of the order.
        now: aware.

    Raises:
        NotAuthorisedError: neither, or the signer's key is revoked.
    """
    signer = verified.envelope.public_key
    if signer == ordered_by and signer.did not in view.revocations.keys:
        return
    require_chain(
        verified.envelope,
        view,
        action=CANCEL_ACTION,
        realms=(realm,),
        proof=verified.payload.proof,
        now=now,
        forbid_hub=False,
    )


def require_chain(
    envelope: Envelope,
    view: AuthorityView,
    *,
    action: str,
    realms: Sequence[str],
    proof: Sequence[str] | None,
    now: datetime,
    forbid_hub: bool,
) -> Chain:
    """Return the chain to the signer, holding `action` on this agent in every one of `realms`.

    Conditions see the document's payload as `params`, and its realm when it is a single one.

    Raises:
        NotAuthorisedError: there is none; the failing step is its cause.
    """
    signer = envelope.public_key
    try:
        chain = view.chain_to(signer, proof, now=now, forbid_hub=forbid_hub)
        context = ConditionContext(
            action=action,
            params=envelope.payload,
            realm=realms[0] if len(realms) == 1 else "",
            caller_did=signer.did,
            depth=chain.depth,
            now=now,
            agent_did=view.agent_did,
            agent_name=view.agent_name,
            agent_labels=view.agent_labels,
        )
        check_chain_covers(chain, action=action, realms=realms, context=context)
    except AuthorityError as exc:
        raise NotAuthorisedError(f"{action}: {exc.code}") from exc
    return chain


def _authorize_delegation(
    envelope: Envelope, delegation: Delegation, view: AuthorityView, now: datetime
) -> Chain:
    """The chain to the signer of a delegation: its parent's, or none for the root.

    Whether the new link lies inside its parent is judged each time it is used.
    """
    signer = envelope.public_key
    if delegation.parent is None:
        if signer != view.root:
            raise NotAuthorisedError("only the root delegates without a parent")
        return Chain((), signer)
    by_digest = {link.digest: link for link in view.held.values()}
    proof: list[str] = []
    digest: str | None = delegation.parent
    while digest is not None and len(proof) <= len(by_digest):
        parent = by_digest.get(digest)
        if parent is None:
            raise NotAuthorisedError("the parent of the delegation is not held")
        if not proof and parent.delegation.max_depth < 1:
            raise NotAuthorisedError("the parent may not be delegated further")
        proof.insert(0, parent.id)
        digest = parent.delegation.parent
    try:
        return view.chain_to(signer, proof, now=now, forbid_hub=False)
    except AuthorityError as exc:
        raise NotAuthorisedError(f"delegation: {exc.code}") from exc


def _check_lift(payload: object, chain: Chain, view: AuthorityView) -> None:
    if isinstance(payload, Revocations) and chain.signer != view.root:
        removed = (view.revocations.keys - set(payload.keys)) or (
            view.revocations.delegations - set(payload.delegations)
        )
        if removed:
            raise ForbiddenLiftError("only the root removes a revocation")
    if (
        isinstance(payload, Quarantine)
        and not payload.active
        and passes_through_hub(chain, root=view.root, hub=view.hub, held=view.held)
    ):
        raise ForbiddenLiftError("a chain through the hub's key never lifts a quarantine")


def _check_ratchet(
    payload: PolicyUpdate | LlmConfig | SkillsConfig | Revocations | Quarantine,
    envelope: Envelope,
    chain: Chain,
    view: AuthorityView,
) -> None:
    ratchet = view.ratchets.get(envelope.type)
    error: type[DocumentRefusedError]
    if isinstance(payload, Revocations | Quarantine):
        number, error = payload.epoch, OldEpochError
    else:
        number, error = payload.version, OldVersionError
    in_force = 0 if ratchet is None else ratchet.number
    # Numbers never go down: the last one there is would keep the root's own list out for good.
    if number > in_force + MAX_NUMBER_STEP and passes_through_hub(
        chain, root=view.root, hub=view.hub, held=view.held
    ):
        raise NotAuthorisedError(f"{number} is more than {MAX_NUMBER_STEP} beyond {in_force}")
    if ratchet is None or number > in_force:
        return
    if number == ratchet.number and ratchet.digest == envelope.digest:
        return
    raise error(f"{number} does not exceed {ratchet.number}")
