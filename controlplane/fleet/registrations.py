"""Requests to be enrolled, and the decision about each: once, with everything that follows from it.

An approval makes the agent, its name, its realms and its policy in one unit of work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from controlplane import clock
from controlplane.access.authorize import HUB_ACTOR, Actor, authorize, is_allowed, realms_with
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    StateConflictError,
)
from controlplane.policies.content import PolicyContent, allow_content, check_content
from controlplane.policies.signing import sign_policy
from protocol.audit_leaf import Assurance
from protocol.ids import is_agent_name
from storage.pages import Page
from storage.records import AgentRecord, JoinTokenRecord, PolicyRecord, RegistrationRecord
from storage.unit_of_work import UnitOfWork

MAX_NAME_CHARS = 63


@dataclass(frozen=True, slots=True)
class Approval:
    """What an approval grants. Without `content` the agent gets no policy, and so does nothing.

    `or_nothing`: enrol it even where its policy cannot be merged with its realm's and the fleet's,
    with one that allows nothing: nobody is there to be told.
    """

    realms: tuple[str, ...]
    name: str | None = None
    content: PolicyContent | None = None
    or_nothing: bool = False


async def list_registrations(
    hub: Hub, actor: Actor, *, state: str | None, limit: int, cursor: str | None
) -> Page[RegistrationRecord]:
    """Return a page of requests, newest first; those without a realm only hub-wide readers see."""
    realms = realms_with(actor, "enrolment.read")
    return await hub.database.read(
        lambda uow: uow.registrations.list(state=state, realms=realms, limit=limit, cursor=cursor)
    )


async def load_registration(hub: Hub, actor: Actor, registration_id: str) -> RegistrationRecord:
    """Return one request; `HiddenError` when the caller may not see it."""
    found = await hub.database.read(lambda uow: uow.registrations.get(registration_id))
    return _visible(actor, found)


async def approve_registration(
    hub: Hub, actor: Actor, registration_id: str, approval: Approval
) -> tuple[RegistrationRecord, AgentRecord]:
    """Enrol who asked; they come online when their connection is next looked at.

    Raises:
        HiddenError: no such request for this caller.
        AccessDeniedError: a realm beyond the caller's.
        StateConflictError: decided or expired before.
        InvalidFieldError: a taken or impossible name, an unknown realm, an unreadable policy.
    """
    for realm in approval.realms:
        authorize(actor, "enrolment.manage", realm=realm)
        if approval.content is not None and not is_allowed(actor, "policies.write", realm):
            raise AccessDeniedError(f"needs policies.write in realm {realm}")
    if approval.content is not None:
        check_content(approval.content, approval.realms, pointer="/policy")
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[RegistrationRecord, AgentRecord]:
        found = _visible(actor, uow.registrations.get(registration_id))
        if found.state != "pending" or found.expires_at <= now:
            raise StateConflictError(f"this registration is {_shown_state(found, now)}")
        for index, realm in enumerate(approval.realms):
            if uow.realms.get(realm) is None:
                raise InvalidFieldError(f"no realm {realm}", pointer=f"/realms/{index}")
        name = approval.name or found.name
        if approval.name is not None and uow.agents.get_by_name(name) is not None:
            raise InvalidFieldError(f"the name {name} is taken", pointer="/name")
        if approval.name is None:
            name = free_name(uow, name)
        agent = _enrol(uow, hub, found, name, approval, actor.subject, now)
        decided = uow.registrations.decide(registration_id, "approved", actor.subject, at=now)
        return decided, agent

    decided, agent = await hub.database.write(unit)
    _tell(hub, decided)
    return decided, agent


async def reject_registration(
    hub: Hub, actor: Actor, registration_id: str, reason: str
) -> RegistrationRecord:
    """Turn a request down; its connection is told the reason and closed.

    Raises:
        HiddenError: no such request for this caller.
        AccessDeniedError: it lies in a realm beyond the caller's.
        StateConflictError: decided before.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> RegistrationRecord:
        found = _visible(actor, uow.registrations.get(registration_id))
        authorize(actor, "enrolment.manage", realm=found.realm)
        if found.state != "pending":
            raise StateConflictError(f"this registration is {found.state}")
        uow.audit.append(
            "registration.rejected",
            actor.subject,
            registration_id,
            {},
            realms=() if found.realm is None else (found.realm,),
            personal={"reason": reason},
            at=now,
        )
        return uow.registrations.decide(registration_id, "rejected", actor.subject, reason, now)

    decided = await hub.database.write(unit)
    _tell(hub, decided)
    return decided


def approve_by_token(
    uow: UnitOfWork, hub: Hub, registration: RegistrationRecord, token: JoinTokenRecord
) -> AgentRecord:
    """Enrol who showed a token that approves by itself, in the unit that uses the token up.

    The token's capabilities become the policy; without any, the agent has none and does nothing.
    """
    now = clock.now()
    content = None if token.capabilities is None else allow_content(token.capabilities)
    approval = Approval(realms=(token.realm or "default",), content=content, or_nothing=True)
    name = free_name(uow, registration.name)
    by = token.created_by
    agent = _enrol(uow, hub, registration, name, approval, by, now, by_token=True)
    uow.registrations.decide(registration.id, "approved", HUB_ACTOR.subject, at=now)
    return agent


def free_name(uow: UnitOfWork, wish: str) -> str:
    """Return `wish`, or `wish-2`, `wish-3` ... when it is taken."""
    taken = uow.agents.names_like(wish[: MAX_NAME_CHARS - 6])
    if wish not in taken:
        return wish
    for number in range(2, len(taken) + 3):
        suffix = f"-{number}"
        name = wish[: MAX_NAME_CHARS - len(suffix)] + suffix
        if name not in taken:
            return name
    raise StateConflictError("no free name")


def _enrol(
    uow: UnitOfWork,
    hub: Hub,
    registration: RegistrationRecord,
    name: str,
    approval: Approval,
    by: str,
    now: datetime,
    *,
    by_token: bool = False,
) -> AgentRecord:
    if not is_agent_name(name):
        raise InvalidFieldError("lowercase letters, digits, . _ -", pointer="/name")
    agent = AgentRecord(
        did=registration.did,
        public_key=registration.public_key,
        name=name,
        enrolled_at=now,
        updated_at=now,
        fingerprint=registration.fingerprint,
        realms=approval.realms,
        version=registration.version,
        capabilities=registration.capabilities,
        actions=registration.actions,
        labels=registration.labels,
        host=registration.host,
        llm=registration.llm,
        enrolled_by=by,
    )
    uow.agents.add(agent)
    uow.audit.append(
        "agent.enrolled",
        by,
        agent.did,
        {"realms": list(approval.realms), "registrationId": registration.id},
        realms=approval.realms,
        # By a token: whoever shows it, in the name of who made it.
        assurance=Assurance.ATTRIBUTED if by_token else None,
        personal={"name": name},
        at=now,
    )
    if approval.content is not None:
        policy = PolicyRecord(
            id=clock.new_id(),
            realms=approval.realms,
            rules=list(approval.content.rules),
            limits=approval.content.limits,
            agents=(agent.did,),
            created_by=by,
            created_at=now,
            updated_at=now,
        )
        uow.policies.add(policy)
        sign_policy(uow, hub, agent.did, policy, actor=by, now=now, or_nothing=approval.or_nothing)
    return agent


def _tell(hub: Hub, decided: RegistrationRecord) -> None:
    hub.agents.forget()
    hub.registry.registration_decided(decided.did)
    hub.events.emit(
        f"registration.{decided.state}",
        realm=decided.realm,
        data={"id": decided.id, "name": decided.name, "did": decided.did, "state": decided.state},
        subject=decided.id,
    )


def _shown_state(found: RegistrationRecord, now: datetime) -> str:
    return "expired" if found.state == "pending" and found.expires_at <= now else found.state


def _visible(actor: Actor, found: RegistrationRecord | None) -> RegistrationRecord:
    realms = realms_with(actor, "enrolment.read")
    if found is None or (realms is not None and found.realm not in realms):
        raise HiddenError("no such registration")
    return found


def realms_or_default(realms: Sequence[str] | None, found: RegistrationRecord) -> tuple[str, ...]:
    """Return the realms named, else the one the request came with, else `default`."""
    return tuple(realms) if realms else (found.realm or "default",)
