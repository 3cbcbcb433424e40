"""Decisions about calls that wait: vouched for by the hub, or signed by the person (section 6).

The hub vouches only for a person it knows in a role that the rule names, who did not give the
order. Whether a decision counts is the agent's to judge; the hub keeps what it was told.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from controlplane import clock, faults
from controlplane.access.authorize import Actor, authorize_one, realms_with
from controlplane.access.permissions import ROLES
from controlplane.approvals.demand import must_sign, named_in
from controlplane.context import Hub, OutboxKind
from controlplane.delegations.proof import links_to
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    StateConflictError,
)
from controlplane.intents.signed import verify_submitted
from controlplane.people.own_keys import names_of
from controlplane.stored_documents import document_record
from protocol.capabilities import covers_action
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.errors import ExpiredError, WrongAudienceError
from protocol.lifecycle import TERMINAL
from protocol.messages.approvals import ToolApprovalResponse
from storage.pages import Page
from storage.records import (
    ApprovalDecisionRecord,
    ApprovalRecord,
    DelegationRecord,
    IntentRecord,
)
from storage.unit_of_work import UnitOfWork

_APPROVE = "writ.approve"
_ANYONE = "*"


@dataclass(frozen=True, slots=True)
class Detail:
    """A request, its order and the decisions so far."""

    approval: ApprovalRecord
    intent: IntentRecord | None
    decisions: tuple[ApprovalDecisionRecord, ...]

    def state_at(self, now: datetime) -> str:
        """Return its state; expired at its moment, whenever somebody writes that down."""
        over = self.intent is not None and self.intent.state in TERMINAL
        if self.approval.state == "pending" and (over or now >= self.approval.expires_at):
            return "expired"
        return self.approval.state

    @property
    def approved_by(self) -> int:
        """How many distinct people have approved."""
        return len({one.approver for one in self.decisions if one.approved})


async def list_approvals(
    hub: Hub,
    actor: Actor,
    *,
    state: str | None,
    agent_did: str | None = None,
    tool: str | None = None,
    limit: int,
    cursor: str | None,
) -> Page[Detail]:
    """Return a page of the requests the caller may see, newest first."""
    realms = realms_with(actor, "approvals.read")
    now = clock.now()

    def unit(uow: UnitOfWork) -> Page[Detail]:
        page = uow.approvals.list(
            state=state, agent_did=agent_did, tool=tool, realms=realms, limit=limit, cursor=cursor
        )
        intents = uow.intents.get_many([one.intent_id for one in page.items])
        details = [
            Detail(one, intents.get(one.intent_id), tuple(uow.approvals.decisions(one.id)))
            for one in page.items
        ]
        if state is not None:
            # What is over is not written down in the same moment.
            details = [one for one in details if one.state_at(now) == state]
        return Page(tuple(details), page.next_cursor)

    return await hub.database.read(unit)


async def load_approval(hub: Hub, actor: Actor, approval_id: str) -> Detail:
    """Return one request; `HiddenError` when the caller may not see it."""
    return await hub.database.read(lambda uow: _detail(uow, actor, approval_id))


async def decide_as_person(
    hub: Hub, actor: Actor, approval_id: str, *, approved: bool, reason: str
) -> Detail:
    """Have the hub sign what `actor` decides, as `user:<uuid>`.

    Raises:
        HiddenError, AccessDeniedError: not theirs to decide: a machine, another role than the
            rule names, or who gave the order.
        StateConflictError: decided or expired before, or decided by them before.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> Detail:
        detail = _detail(uow, actor, approval_id)
        authorize_one(actor, "approvals.decide", (detail.approval.realm,), see="approvals.read")
        _check_vouchable(uow, actor, detail)
        _check_open(detail, now)
        envelope = seal_document(
            type="tool_approval_response",
            id=clock.new_id(),
            timestamp=now,
            expires=detail.approval.expires_at,
            audience=detail.approval.agent_did,
            payload={
                "requestId": approval_id,
                "callDigest": detail.approval.call_digest,
                "approved": approved,
                "approver": actor.subject,
                **({"reason": reason} if reason else {}),
            },
            signer=hub.identity.hub_key,
        )
        return _keep(uow, actor, detail, envelope, approved, actor.subject, reason, (), now)

    return await _decide(hub, unit)


async def decide_signed(hub: Hub, actor: Actor, approval_id: str, document: str) -> Detail:
    """Take a decision that its person signed; the same document again changes nothing.

    Raises:
        DecodeError, VerificationError: not a decision that the agent would read.
        InvalidFieldError: over another call, or in somebody else's name.
        AccessDeniedError: the signer holds no delegation with `writ.approve`.
        StateConflictError: decided or expired before.
    """
    envelope = parse_document(document)
    payload = verify_submitted(envelope, "tool_approval_response")
    assert isinstance(payload, ToolApprovalResponse)
    now = clock.now()
    if envelope.expires is None or now >= envelope.expires:
        raise ExpiredError("the decision has expired")
    if payload.approver != envelope.sender_did:
        raise InvalidFieldError("who signs is the approver", pointer="/document")

    def unit(uow: UnitOfWork) -> Detail:
        detail = _detail(uow, actor, approval_id)
        authorize_one(actor, "approvals.decide", (detail.approval.realm,), see="approvals.read")
        if any(one.id == envelope.id for one in detail.decisions):
            uow.documents.put_once(document_record(envelope, now))
            return detail
        approval = detail.approval
        if payload.request_id != approval_id or payload.call_digest != approval.call_digest:
            raise InvalidFieldError("a decision over another call", pointer="/document")
        if envelope.audience != approval.agent_did:
            raise WrongAudienceError("the decision is for another agent")
        _check_open(detail, now)
        _check_signer(uow, hub, detail, envelope.sender_did)
        return _keep(
            uow,
            actor,
            detail,
            envelope,
            payload.approved,
            payload.approver,
            payload.reason or "",
            payload.proof or (),
            now,
        )

    return await _decide(hub, unit)


def is_asked(
    uow: UnitOfWork,
    actor: Actor,
    approval: ApprovalRecord,
    intent: IntentRecord | None,
) -> bool:
    """Whether a call waits for this person: the rule names them, and they did not order it."""
    try:
        _check_not_orderer(uow, intent, actor.subject)
    except AccessDeniedError:
        return False
    named = named_in(approval)
    if named is None or _ANYONE in named:
        return True
    own = names_of(uow, actor.subject) | _roles_held(actor, approval.realm)
    return not named.isdisjoint(own)


def expire_approvals(uow: UnitOfWork, *, now: datetime) -> list[ApprovalRecord]:
    """End requests whose time is over, or whose order has ended; returns them.

    Only of the first it is told that nobody has decided in time: the others, nobody had to decide.
    """
    ended = [
        uow.approvals.decide(one.id, "expired", at=now) for one in uow.approvals.due_expired(now)
    ]
    for one in ended:
        if one.expires_at > now:
            continue
        data = {"intentId": one.intent_id, "people": one.people}
        uow.audit.append("approval.expired", "hub", one.id, data, realms=(one.realm,), at=now)
    return ended


async def _decide(hub: Hub, unit: Any) -> Detail:
    detail: Detail = await hub.database.write(unit)
    faults.reach("decision_committed")
    approval = detail.approval
    hub.dispatcher.wake(approval.agent_did)
    hub.events.emit(
        "approval.decided",
        realm=approval.realm,
        data={"id": approval.id, "intentId": approval.intent_id, "state": approval.state},
        subject=approval.id,
    )
    return detail


def _detail(uow: UnitOfWork, actor: Actor, approval_id: str) -> Detail:
    approval = uow.approvals.get(approval_id)
    if approval is None:
        raise HiddenError("no such approval")
    authorize_one(actor, "approvals.read", (approval.realm,), see="approvals.read")
    decisions = tuple(uow.approvals.decisions(approval_id))
    return Detail(approval, uow.intents.get(approval.intent_id), decisions)


def _check_open(detail: Detail, now: datetime) -> None:
    if detail.approval.state != "pending":
        raise StateConflictError(f"this approval is {detail.approval.state}")
    if now >= detail.approval.expires_at:
        raise StateConflictError("this approval is expired")
    if detail.intent is not None and detail.intent.state in TERMINAL:
        raise StateConflictError(f"the order is {detail.intent.state.value} already")


def _check_vouchable(uow: UnitOfWork, actor: Actor, detail: Detail) -> None:
    """Return when the hub may sign for `actor`: what counts for nothing is not signed."""
    if actor.kind != "user":
        raise AccessDeniedError("only a person decides; a machine hands in a signed decision")
    _check_not_orderer(uow, detail.intent, actor.subject)
    if must_sign(detail.approval):
        raise AccessDeniedError("the rule asks for a decision signed by your own key")
    named = named_in(detail.approval)
    if named is None:
        # The agent alone says whom this would ask. Its own rule may still ask for signatures.
        raise StateConflictError("the policy in force at the agent has no such rule")
    if not _roles_held(actor, detail.approval.realm) & named:
        raise AccessDeniedError("the rule asks for other people, or for a signed decision")


def _check_not_orderer(uow: UnitOfWork, intent: IntentRecord | None, decider: str) -> None:
    if intent is None:
        return
    gave = {intent.signer, intent.on_behalf_of, *_behind(uow, intent.submitted_by)}
    # The agent sees a name or a key; only the hub knows which of them are one person's.
    if not gave.isdisjoint(names_of(uow, decider)):
        raise AccessDeniedError("who gave the order does not decide about it")


def _behind(uow: UnitOfWork, submitted_by: str) -> frozenset[str]:
    """Return who gave an order: a machine key acts for who made it, however many keys between."""
    behind = [submitted_by]
    while behind[-1].startswith("key:"):
        key = uow.api_keys.get(behind[-1].removeprefix("key:"))
        if key is None or key.created_by in behind:
            break
        behind.append(key.created_by)
    return frozenset(behind)


def _check_signer(uow: UnitOfWork, hub: Hub, detail: Detail, signer: str) -> None:
    """Return when the agent may count what `signer` has decided."""
    named = named_in(detail.approval)
    _check_not_orderer(uow, detail.intent, signer)
    if named is not None and signer not in named:
        if _ANYONE not in named:
            raise AccessDeniedError("the rule does not name this person")
        if signer == hub.identity.hub_did:
            raise AccessDeniedError("the hub's own key is nobody")
    if not _may_approve(uow, hub, signer, detail.approval):
        raise AccessDeniedError(f"the signer holds no delegation with {_APPROVE} that counts here")


def _roles_held(actor: Actor, realm: str) -> frozenset[str]:
    """Return the actor's roles, with those that allow no more than a role they hold."""
    held = actor.roles | actor.realm_roles.get(realm, frozenset())
    permissions = frozenset().union(*(ROLES.get(role, frozenset()) for role in held))
    return held | {role for role, needs in ROLES.items() if needs <= permissions}


def _may_approve(uow: UnitOfWork, hub: Hub, signer: str, approval: ApprovalRecord) -> bool:
    if signer == hub.identity.root_did:
        return True
    hubs = {hub.identity.hub_did, *hub.identity.former_hubs}
    return any(
        covers_action(str(capability.get("action")), _APPROVE)
        and (capability.get("realms") is None or approval.realm in capability["realms"])
        for one in uow.delegations.for_subject(signer)
        # Where people must sign themselves, what the hub has lent counts for nothing.
        if not (must_sign(approval) and _is_lent_by(uow, one, hubs))
        for capability in one.capabilities
    )


def _is_lent_by(uow: UnitOfWork, delegation: DelegationRecord, dids: Collection[str]) -> bool:
    return any(link.envelope.sender_did in dids for link in links_to(uow, delegation))


def _keep(
    uow: UnitOfWork,
    actor: Actor,
    detail: Detail,
    envelope: Envelope,
    approved: bool,
    approver: str,
    reason: str,
    proof: Sequence[str],
    now: datetime,
) -> Detail:
    """Keep one decision: document, row, leaf and outbox in this unit; the last one ends it."""
    approval = detail.approval
    names = names_of(uow, approver)
    if any(one.approver in names for one in detail.decisions):
        raise StateConflictError("this person has decided before")
    uow.documents.put_once(document_record(envelope, now))
    decision = ApprovalDecisionRecord(
        id=envelope.id,
        approval_id=approval.id,
        approver=approver,
        signer=envelope.sender_did,
        approved=approved,
        wire=envelope.wire,
        at=now,
        reason=reason or None,
    )
    uow.approvals.add_decision(decision)
    for delegation_id in proof:
        link = uow.delegations.get(delegation_id)
        if link is not None:
            uow.outbox.add(approval.agent_did, OutboxKind.DELEGATION, link.id, link.wire)
    uow.outbox.add(approval.agent_did, OutboxKind.DOCUMENT, envelope.id, signer=envelope.sender_did)
    uow.audit.append(
        "approval.decided",
        actor.subject,
        approval.id,
        {
            "intentId": approval.intent_id,
            "approved": approved,
            "approver": approver,
            "documentId": envelope.id,
            "digest": envelope.digest,
        },
        realms=(approval.realm,),
        at=now,
    )
    faults.reach("decision_before_commit")
    decisions = (*detail.decisions, decision)
    if not approved:
        approval = uow.approvals.decide(approval.id, "denied", at=now)
    elif sum(one.approved for one in decisions) >= approval.people:
        approval = uow.approvals.decide(approval.id, "approved", at=now)
    return Detail(approval, detail.intent, decisions)
