"""Owns chains: the delegations that lead from the pinned root to a signer (SPEC section 7, step 2).

A chain is taken apart before it is believed: every link is verified again (signatures that held
are remembered), so a link that was put among the held ones without proof grants nothing. Knows
nothing of policies, limits and approvals. `Link` and `verify_link` live in `protocol.links`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from protocol import limits
from protocol.capabilities import covers_order
from protocol.conditions import ConditionContext, compile_condition
from protocol.errors import (
    AuthorityError,
    BadChainError,
    ChainExpiredError,
    ConditionError,
    ConditionFalseError,
    NoChainError,
    NotAttenuatedError,
    NotGrantedError,
    OperatorRequiredError,
    RevokedError,
    UnknownSignerError,
    VerificationError,
)
from protocol.keys import PublicKey
from protocol.links import Link, check_attenuated, verify_link, verify_link_signature
from protocol.messages.delegations import Revocations
from protocol.messages.policies import PolicyLimits

__all__ = [
    "Chain",
    "Link",
    "RevocationView",
    "check_chain_covers",
    "covers_for_person",
    "holds_delegation_for",
    "is_hub_key",
    "passes_through_hub",
    "verify_chain",
    "verify_link",
]

ROUTE_ACTION: Final = "writ.route"
"""Who holds this is a hub."""


@dataclass(frozen=True, slots=True)
class RevocationView:
    """The revocations in force: DIDs of keys and ids of delegations that count for nothing."""

    epoch: int = 0
    keys: frozenset[str] = frozenset()
    delegations: frozenset[str] = frozenset()

    @classmethod
    def of(cls, revocations: Revocations) -> RevocationView:
        """Return the view of one full list."""
        return cls(
            revocations.epoch, frozenset(revocations.keys), frozenset(revocations.delegations)
        )


@dataclass(frozen=True, slots=True)
class Chain:
    """A verified chain to `signer`; no links means the root itself. Made by `verify_chain`."""

    links: tuple[Link, ...]
    signer: PublicKey

    @property
    def depth(self) -> int:
        """Links between the root and the signer."""
        return len(self.links)

    @property
    def budgets(self) -> tuple[tuple[str, PolicyLimits], ...]:
        """Delegation ids and the limits that orders under each of them share."""
        return tuple(
            (link.id, link.delegation.budget)
            for link in self.links
            if link.delegation.budget is not None
        )


def verify_chain(
    *,
    root: PublicKey,
    signer: PublicKey,
    proof: Sequence[str] | None,
    held: Mapping[str, Link],
    hub: PublicKey | None,
    hub_delegation_id: str | None,
    revocations: RevocationView,
    now: datetime,
    forbid_hub: bool,
) -> Chain:
    """Return the chain from `root` to `signer`, every rule of section 7 step 2 holding.

    Args:
        root: the pinned key. It is above revocation: only pinning another replaces it.
        signer: who signed the document that asks.
        proof: delegation ids from the root to the signer; None: the signer is the root, the hub
            under its delegation from `hello`, or a former hub under one still held.
        held: verified delegations by id.
        hub: key of the hub this agent talks to.
        hub_delegation_id: id of the delegation in its `hello`.
        revocations: what counts for nothing.
        now: aware; never earlier than the last one used.
        forbid_hub: whether a chain through a hub's key counts for nothing.

    Raises:
        NoChainError: a named link is not held, or none is for the signer (`UnknownSignerError`
            when the agent holds no delegation for the signer at all).
        BadChainError: signature, parent digest, order, length or a repeated key.
        OperatorRequiredError: through a hub's key, where that is forbidden.
        RevokedError: a revoked key or id.
        ChainExpiredError: a link outside its lifetime.
        NotAttenuatedError: a link wider than its parent.
    """
    links = _named_links(root, signer, proof, held, hub, hub_delegation_id)
    _check_links(
        root, signer.did, links, revocations, now, _forbidden_keys(forbid_hub, root, hub, held)
    )
    return Chain(links, signer)


def check_chain_covers(
    chain: Chain,
    *,
    action: str,
    realms: Sequence[str],
    context: ConditionContext,
) -> None:
    """Return when every link covers the action, each realm and the agent, and all conditions hold.

    Args:
        chain: verified; the root itself covers everything.
        action: what is to be done.
        realms: the realm of an order, or every realm a document touches; none at all is covered
            only by capabilities for all realms.
        context: what the conditions may know; names the agent.

    Raises:
        NotGrantedError: a link does not cover it.
        ConditionFalseError: a condition is false, or cannot be evaluated.
    """
    _check_links_cover(chain.links, action, realms, context)


def check_chain_grants(chain: Chain, *, action: str, realms: Sequence[str], agent_did: str) -> None:
    """Return when every link's capabilities cover it; conditions are not judged.

    For a signer who looks for a proof: only the receiver knows what conditions speak of.

    Raises:
        NotGrantedError: a link does not cover it.
    """
    _check_granted(chain.links, action, realms, agent_did)


def covers_for_person(
    person: str,
    *,
    root: PublicKey,
    held: Mapping[str, Link],
    hub: PublicKey | None,
    revocations: RevocationView,
    now: datetime,
    forbid_hub: bool,
    action: str,
    realm: str,
    context: ConditionContext,
) -> bool:
    """Whether some held delegation to `person` is valid and covers the order (step 4).

    The person signs nothing, so the chain is found by its parents' digests, up to the root.
    """
    by_digest = {link.digest: link for link in held.values()}
    forbidden = _forbidden_keys(forbid_hub, root, hub, held)
    for last in held.values():
        if last.delegation.subject != person:
            continue
        try:
            links = _links_up_from(last, by_digest)
            _check_links(root, person, links, revocations, now, forbidden)
            _check_links_cover(links, action, (realm,), context)
        except (
            BadChainError,
            OperatorRequiredError,
            RevokedError,
            ChainExpiredError,
            NotAttenuatedError,
            NotGrantedError,
            ConditionFalseError,
        ):
            continue
        return True
    return False


def find_chains(
    signer: PublicKey,
    *,
    root: PublicKey,
    held: Mapping[str, Link],
    hub: PublicKey | None,
    revocations: RevocationView,
    now: datetime,
) -> Iterator[Chain]:
    """Yield every valid chain to `signer` that can be made of what is held, longest-lived first.

    For whoever is about to sign and must name a proof; a chain that is not valid is passed over.
    """
    by_digest = {link.digest: link for link in held.values()}
    did = signer.did
    ends = [link for link in held.values() if link.delegation.subject == did]
    for last in sorted(ends, key=lambda link: link.expires, reverse=True):
        try:
            yield verify_chain(
                root=root,
                signer=signer,
                proof=[link.id for link in _links_up_from(last, by_digest)],
                held=held,
                hub=hub,
                hub_delegation_id=None,
                revocations=revocations,
                now=now,
                forbid_hub=False,
            )
        except AuthorityError:
            continue


def passes_through_hub(
    chain: Chain, *, root: PublicKey, hub: PublicKey | None, held: Mapping[str, Link]
) -> bool:
    """Whether the signer, or a key between it and the root, is a hub's."""
    hubs = _hub_keys(root, hub, held)
    return chain.signer.did in hubs or any(link.delegation.subject in hubs for link in chain.links)


def is_hub_key(
    key: PublicKey, *, root: PublicKey, hub: PublicKey | None, held: Mapping[str, Link]
) -> bool:
    """Whether a key is the hub's, or was: the root gave it `writ.route` in a held delegation."""
    return key == hub or any(_makes_hub(link, root, key) for link in held.values())


def holds_delegation_for(held: Mapping[str, Link], signer: PublicKey) -> bool:
    """Whether any held delegation names the signer as its subject, valid or not."""
    did = signer.did
    return any(link.delegation.subject == did for link in held.values())


def _named_links(
    root: PublicKey,
    signer: PublicKey,
    proof: Sequence[str] | None,
    held: Mapping[str, Link],
    hub: PublicKey | None,
    hub_delegation_id: str | None,
) -> tuple[Link, ...]:
    if not proof and signer == root:
        return ()
    if proof is None and signer == hub and hub_delegation_id is not None:
        proof = (hub_delegation_id,)
    elif proof is None and signer != hub:
        # Signed before the hub's key made way for another: what the root gave it still stands.
        former = [link for link in held.values() if _makes_hub(link, root, signer)]
        proof = tuple(link.id for link in sorted(former, key=lambda link: link.expires)[-1:])
    links = tuple(held[id] for id in proof or () if id in held)
    did = signer.did
    complete = bool(proof) and len(links) == len(proof or ())
    if complete and (signer == root or any(link.delegation.subject == did for link in links)):
        return links
    if signer != root and not holds_delegation_for(held, signer):
        raise UnknownSignerError("no delegation for this signer is held")
    raise NoChainError("no held chain of delegations leads to the signer")


def _links_up_from(last: Link, by_digest: Mapping[str, Link]) -> tuple[Link, ...]:
    links = [last]
    while (parent := links[-1].delegation.parent) is not None:
        above = by_digest.get(parent)
        if above is None or len(links) == limits.MAX_CHAIN_LINKS:
            raise BadChainError("the chain does not reach the root")
        links.append(above)
    return tuple(reversed(links))


def _check_links(
    root: PublicKey,
    subject: str,
    links: Sequence[Link],
    revocations: RevocationView,
    now: datetime,
    forbidden: frozenset[str],
) -> None:
    """Every rule of step 2 after `no_chain`, one after the other over the whole chain."""
    _check_shape(root, subject, links)
    subjects = [link.delegation.subject for link in links] or [subject]
    if not forbidden.isdisjoint(subjects):
        raise OperatorRequiredError("the chain passes through the hub's key")
    if not revocations.keys.isdisjoint(subjects if links else ()):
        raise RevokedError("a key of the chain is revoked")
    if any(link.id in revocations.delegations for link in links):
        raise RevokedError("a delegation of the chain is revoked")
    for link in links:
        starts = max(link.delegation.not_before, link.envelope.timestamp - limits.DOCUMENT_SKEW)
        if not starts <= now < link.expires:
            raise ChainExpiredError("a delegation of the chain is outside its lifetime")
    for parent, child in pairwise(links):
        check_attenuated(child, parent)


def _check_shape(root: PublicKey, subject: str, links: Sequence[Link]) -> None:
    if len(links) > limits.MAX_CHAIN_LINKS:
        raise BadChainError(f"a chain has at most {limits.MAX_CHAIN_LINKS} delegations")
    keys = [root.did, *(link.delegation.subject for link in links)]
    if len(set(keys)) != len(keys):
        raise BadChainError("a key twice in one chain")
    parent: str | None = None
    for signer_did, link in zip(keys, links, strict=False):
        if link.envelope.sender_did != signer_did:
            raise BadChainError("a delegation is not signed by the subject before it")
        if link.delegation.parent != parent:
            raise BadChainError("a delegation names another parent")
        parent = link.digest
        try:
            verify_link_signature(link)
        except VerificationError as exc:
            raise BadChainError("the signature of a delegation does not hold") from exc
    if keys[-1] != subject:
        raise BadChainError("the chain does not end at the signer")


def _check_links_cover(
    links: Sequence[Link], action: str, realms: Sequence[str], context: ConditionContext
) -> None:
    _check_granted(links, action, realms, context.agent_did)
    variables: dict[str, object] | None = None
    for source in _conditions(links):
        variables = variables if variables is not None else context.variables()
        try:
            holds = compile_condition(source).evaluate(variables)
        except ConditionError as exc:
            raise ConditionFalseError(f"a condition is in error: {exc}") from exc
        if not holds:
            raise ConditionFalseError("a condition of the chain is false")


def _check_granted(
    links: Sequence[Link], action: str, realms: Sequence[str], agent_did: str
) -> None:
    wanted: Sequence[str | None] = tuple(realms) or (None,)
    for link in links:
        for realm in wanted:
            if not any(
                covers_order(capability, action=action, realm=realm, agent=agent_did)
                for capability in link.delegation.capabilities
            ):
                raise NotGrantedError("the chain does not grant this here")


def _conditions(links: Iterable[Link]) -> Iterator[str]:
    for link in links:
        yield from link.delegation.conditions


def _hub_keys(root: PublicKey, hub: PublicKey | None, held: Mapping[str, Link]) -> frozenset[str]:
    """DIDs of the hub spoken to and of every other key that the root made a hub."""
    hubs = {link.delegation.subject for link in held.values() if _routes(link, root)}
    return frozenset(hubs | ({hub.did} if hub is not None else set()))


def _routes(link: Link, root: PublicKey) -> bool:
    return link.envelope.public_key == root and any(
        capability.action == ROUTE_ACTION for capability in link.delegation.capabilities
    )


def _makes_hub(link: Link, root: PublicKey, key: PublicKey) -> bool:
    return link.delegation.subject == key.did and _routes(link, root)


def _forbidden_keys(
    forbid_hub: bool, root: PublicKey, hub: PublicKey | None, held: Mapping[str, Link]
) -> frozenset[str]:
    return _hub_keys(root, hub, held) if forbid_hub else frozenset()
