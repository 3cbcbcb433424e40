"""Chains as the hub can judge them: the same rules as at an agent, over what the hub holds.

A document that no agent would obey is refused at submission, where its author still reads the
answer. What the hub accepts is judged again by every agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controlplane.context import Hub, OutboxKind
from controlplane.errors import AccessDeniedError
from protocol.capabilities import covers_action
from protocol.delegation import Chain, RevocationView, verify_chain, verify_link
from protocol.envelope import Envelope, parse_document
from protocol.errors import AuthorityError
from protocol.keys import PublicKey
from protocol.links import Link
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork


def load_link(record: DelegationRecord) -> Link:
    """Return a stored delegation as a link."""
    return verify_link(parse_document(record.wire))


def revocation_view(uow: UnitOfWork) -> RevocationView:
    """Return what is revoked now."""
    latest = uow.revocations.latest()
    if latest is None:
        return RevocationView()
    return RevocationView(latest.epoch, frozenset(latest.keys), frozenset(latest.delegations))


def links_to(uow: UnitOfWork, record: DelegationRecord) -> list[Link]:
    """Return the held links from the root down to `record`, itself last; bounded."""
    links = [load_link(record)]
    while (parent := links[0].delegation.parent) is not None and len(links) < 16:
        above = uow.delegations.get_by_digest(parent)
        if above is None:
            break
        links.insert(0, load_link(above))
    return links


def chain_of(uow: UnitOfWork, hub: Hub, links: Sequence[Link], now: datetime) -> Chain:
    """Return the verified chain that ends at the subject of the last link.

    Raises:
        AuthorityError: it does not hold; the code says why.
    """
    return verify_chain(
        root=hub.identity.root,
        signer=PublicKey.parse_did(links[-1].delegation.subject),
        proof=[link.id for link in links],
        held={link.id: link for link in links},
        hub=None,
        hub_delegation_id=None,
        revocations=revocation_view(uow),
        now=now,
        forbid_hub=False,
    )


def check_chain(
    uow: UnitOfWork,
    hub: Hub,
    envelope: Envelope,
    proof: Sequence[str] | None,
    *,
    action: str,
    now: datetime,
) -> Chain:
    """Return the chain of held delegations that lets the signer do `action`.

    Realms and conditions are each agent's to judge.

    Raises:
        AccessDeniedError: none does; the message carries the code that agents would give.
    """
    if envelope.public_key == hub.identity.root and not proof:
        return Chain((), envelope.public_key)
    records = [uow.delegations.get(delegation_id) for delegation_id in proof or ()]
    held = {one.id: load_link(one) for one in records if one is not None}
    try:
        chain = verify_chain(
            root=hub.identity.root,
            signer=envelope.public_key,
            proof=tuple(proof or ()),
            held=held,
            hub=None,
            hub_delegation_id=None,
            revocations=revocation_view(uow),
            now=now,
            forbid_hub=False,
        )
    except AuthorityError as exc:
        raise AccessDeniedError(f"no chain leads from the root to the signer: {exc.code}") from exc
    for link in chain.links:
        if not any(covers_action(one.action, action) for one in link.delegation.capabilities):
            raise AccessDeniedError(f"the signer's chain does not hold {action}: not_granted")
    return chain


def first_send_proof(uow: UnitOfWork, agent_did: str, proof: Sequence[str]) -> None:
    """Queue the delegations that a document names ahead of it, which was itself put first."""
    for delegation_id in reversed(tuple(proof)):
        link = uow.delegations.get(delegation_id)
        if link is not None:
            uow.outbox.add_first(agent_did, OutboxKind.DELEGATION, link.id, link.wire)
