"""The kill switch: quarantines set by the hub, one by one or many at once, and lifted by others.

A quarantine is a signed document that the agent obeys offline and keeps across its restarts. The
hub may set one at any time; lifting it needs the signature of an operator, or of the root, on a
chain that the hub's key is no part of. What the agent answers is kept beside what it was told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one
from controlplane.context import Hub, OutboxKind
from controlplane.delegations.proof import check_chain, first_send_proof
from controlplane.delegations.revocations import SAFETY_LIFETIME
from controlplane.errors import AccessDeniedError, InvalidFieldError, StateConflictError
from controlplane.fleet.agents import find_visible, tell_changed
from controlplane.intents.signed import verify_submitted
from controlplane.stored_documents import document_record
from protocol import limits
from protocol.delegation import Chain, check_chain_grants
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import ExpiredError, FutureError, NotGrantedError, WrongAudienceError
from protocol.messages.delegations import Quarantine
from storage.records import AgentRecord
from storage.unit_of_work import UnitOfWork

QUARANTINE_ACTION: Final = "writ.quarantine"
_FORK_REASON: Final = "it has seen two versions of this hub's record"
"""How the reason of an agent that stopped itself begins; its own words follow."""
_MAX_REASON_CHARS: Final = 1_000
_AT_ONCE: Final = 200
"""Agents stopped in one transaction; the first of many stop before the last are signed."""


async def quarantine_agent(hub: Hub, actor: Actor, name_or_did: str, reason: str) -> AgentRecord:
    """Have an agent refuse all work, by a quarantine that the hub signs; again is harmless."""
    now = clock.now()

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = find_visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.quarantine", found.realms, see="agents.read")
        if found.state == "revoked":
            raise StateConflictError("this agent is revoked")
        return _stop(uow, hub, actor.subject, found, reason, now)

    changed = await hub.database.write(unit)
    hub.dispatcher.wake(changed.did)
    tell_changed(hub, "agent.quarantined", changed)
    return changed


async def quarantine_many(hub: Hub, actor: Actor, realm: str | None, reason: str) -> list[str]:
    """Stop every agent of a realm, or the whole fleet for None; return the DIDs now stopped.

    Those in quarantine already are left as they are.

    Raises:
        AccessDeniedError: not this caller's to stop, as a whole.
    """
    if realm is None:
        authorize(actor, "agents.revoke")  # everybody's agents: only who holds the whole fleet
    authorize(actor, "agents.quarantine", realm=realm)
    found = await hub.database.read(
        lambda uow: [agent.did for agent in uow.agents.matching(realm=realm)]
    )
    stopped: list[str] = []
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        now = clock.now()

        def unit(
            uow: UnitOfWork, some: Sequence[str] = some, now: datetime = now
        ) -> list[AgentRecord]:
            agents = [uow.agents.get(did) for did in some]
            return [
                _stop(uow, hub, actor.subject, agent, reason, now)
                for agent in agents
                if agent is not None and agent.state == "active"
            ]

        for changed in await hub.database.write(unit):
            hub.dispatcher.wake(changed.did)
            tell_changed(hub, "agent.quarantined", changed)
            stopped.append(changed.did)
    return stopped


async def release_agent(hub: Hub, actor: Actor, name_or_did: str, document: str) -> AgentRecord:
    """Lift a quarantine by a `quarantine` document of an operator or the root.

    Raises:
        StateConflictError: an epoch that is not higher, or a revoked agent.
        InvalidFieldError: signed by the hub itself, or it does not lift.
        AccessDeniedError: no chain lets the signer lift it there, or only one through the hub's
            key: the agent would refuse it, and its author still reads the answer.
        DecodeError, VerificationError: not such a document.
    """
    envelope = parse_document(document)
    payload = verify_submitted(envelope, "quarantine")
    assert isinstance(payload, Quarantine)
    now = clock.now()
    if payload.active:
        raise InvalidFieldError("active must be false", pointer="/document")
    if hub.identity.is_own(envelope.sender_did):
        raise InvalidFieldError("the hub's key cannot lift a quarantine", pointer="/document")
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the document has expired")
    if envelope.timestamp - limits.DOCUMENT_SKEW > now:
        raise FutureError("signed in the future: the signer's clock is ahead")

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = find_visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.quarantine", found.realms, see="agents.read")
        if envelope.audience != found.did:
            raise WrongAudienceError("the document is for another agent")
        if found.state == "revoked":
            raise StateConflictError("this agent is revoked")
        before = found.quarantine or {}
        if before.get("documentId") == envelope.id:
            return found
        if payload.epoch <= int(before.get("epoch", 0)):
            raise StateConflictError(f"the epoch must be above {before.get('epoch', 0)}")
        chain = check_chain(uow, hub, envelope, payload.proof, action=QUARANTINE_ACTION, now=now)
        _check_lifts(hub, chain, found)
        uow.documents.put_once(document_record(envelope, now))
        return _put(
            uow,
            found,
            envelope,
            payload,
            kind="agent.released",
            by=actor.subject,
            now=now,
        )

    changed = await hub.database.write(unit)
    hub.dispatcher.wake(changed.did)
    tell_changed(hub, "agent.released", changed)
    return changed


def note_answer(
    uow: UnitOfWork,
    did: str,
    answers: Mapping[str, tuple[str, str | None]],
    now: datetime,
) -> AgentRecord | None:
    """Keep what an agent says to the quarantine, or the release, that it was last told of.

    One that refuses its release goes on refusing all work, so it is shown as stopped again.

    Args:
        uow: the unit.
        did: of the agent.
        answers: by the id of a document, `accepted` or `refused`, and the code of a refusal.
        now: aware.

    Returns:
        The agent, when one of the answers was news about that; else None.
    """
    agent = uow.agents.get(did)
    told = None if agent is None else agent.quarantine
    said = None if told is None else answers.get(str(told.get("documentId")))
    if agent is None or told is None or said is None:
        return None
    state, code = said
    if (told.get("answer"), told.get("code")) == (state, code):
        return None
    shown = agent.state
    if not told["active"] and shown != "revoked":
        shown = "active" if state == "accepted" else "quarantined"
    return uow.agents.update(
        did,
        state=shown,
        quarantine={**told, "answer": state, "code": code},
        updated_at=now,
    )


def stop_forked(uow: UnitOfWork, hub: Hub, did: str, why: str, now: datetime) -> AgentRecord | None:
    """Stop an agent that has stopped itself over a fork of the record; None where that is known.

    It says so on every connection. While a release that it has not answered yet is on its way, it
    is about to be let go, and a quarantine with a later epoch would undo that.

    Args:
        uow: the unit.
        hub: signs the quarantine.
        did: of the agent.
        why: in the agent's own words.
        now: aware.
    """
    agent = uow.agents.get(did)
    if agent is None or agent.state != "active":
        return None
    told = agent.quarantine
    if told is not None and told.get("answer") is None:
        return None
    return _stop(uow, hub, did, agent, f"{_FORK_REASON}: {why}"[:_MAX_REASON_CHARS], now)


def stop_again(uow: UnitOfWork, hub: Hub, agent: AgentRecord, now: datetime) -> None:
    """Sign an agent's quarantine anew by the hub's present key, with the same reason."""
    _stop(uow, hub, "hub", agent, str((agent.quarantine or {}).get("reason", "")), now)


def _check_lifts(hub: Hub, chain: Chain, agent: AgentRecord) -> None:
    if any(hub.identity.is_own(link.delegation.subject) for link in chain.links):
        raise AccessDeniedError(
            "the signer's chain passes through the hub's key, which lifts no quarantine"
        )
    try:
        check_chain_grants(
            chain, action=QUARANTINE_ACTION, realms=agent.realms, agent_did=agent.did
        )
    except NotGrantedError as exc:
        raise AccessDeniedError(
            f"the signer's chain does not hold {QUARANTINE_ACTION} in every realm of this agent"
        ) from exc


def _stop(
    uow: UnitOfWork, hub: Hub, by: str, agent: AgentRecord, reason: str, now: datetime
) -> AgentRecord:
    payload = Quarantine(
        epoch=int((agent.quarantine or {}).get("epoch", 0)) + 1, active=True, reason=reason
    )
    envelope = seal_document(
        type="quarantine",
        id=clock.new_id(),
        timestamp=now,
        expires=now + SAFETY_LIFETIME,
        audience=agent.did,
        payload={"epoch": payload.epoch, "active": True, "reason": reason},
        signer=hub.identity.hub_key,
    )
    uow.documents.put(document_record(envelope, now))
    return _put(uow, agent, envelope, payload, kind="agent.quarantined", by=by, now=now)


def _put(
    uow: UnitOfWork,
    agent: AgentRecord,
    envelope: Envelope,
    payload: Quarantine,
    *,
    kind: str,
    by: str,
    now: datetime,
) -> AgentRecord:
    """Queue the document ahead of all work, and note what the agent is told."""
    before = (agent.quarantine or {}).get("documentId")
    if before is not None:
        uow.outbox.delete_refs(agent.did, (str(before),))
    uow.outbox.add_first(agent.did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
    first_send_proof(uow, agent.did, payload.proof or ())
    uow.audit.append(
        kind,
        by,
        agent.did,
        {
            "epoch": payload.epoch,
            "documentId": envelope.id,
            "digest": envelope.digest,
            "signer": envelope.sender_did,
        },
        realms=agent.realms,
        at=now,
    )
    return uow.agents.update(
        agent.did,
        state="quarantined" if payload.active else "active",
        quarantine={
            "epoch": payload.epoch,
            "active": payload.active,
            "reason": payload.reason,
            "documentId": envelope.id,
            "signer": envelope.sender_did,
            "by": by,
            "answer": None,
            "code": None,
        },
        updated_at=now,
    )
