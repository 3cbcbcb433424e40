"""Enrolled agents: seen, labelled, and revoked. `controlplane.fleet.quarantine` stops them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.delegations.revocations import add_revocations
from controlplane.errors import (
    HiddenError,
    InvalidFieldError,
    PreconditionError,
)
from controlplane.intents.service import announce, end_queued
from protocol.ids import is_agent_name
from protocol.limits import CloseCode
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import AgentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork


async def list_agents(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None, **filters: Any
) -> Page[AgentRecord]:
    """Return a page of the agents the caller may see, by name."""
    realms = realms_with(actor, "agents.read")
    return await hub.database.read(
        lambda uow: uow.agents.list(realms=realms, limit=limit, cursor=cursor, **filters)
    )


async def load_agent(hub: Hub, actor: Actor, name_or_did: str) -> AgentRecord:
    """Return one agent as it is on disk; `HiddenError` when the caller may not see it."""
    return await hub.database.read(lambda uow: find_visible(uow, actor, name_or_did))


async def edit_agent(
    hub: Hub,
    actor: Actor,
    name_or_did: str,
    *,
    name: str | None,
    labels: Mapping[str, str] | None,
    realms: Sequence[str] | None,
    revision: int | None,
) -> AgentRecord:
    """Change name, labels or realms of an agent.

    Raises:
        HiddenError, AccessDeniedError: not this caller's to change.
        PreconditionError: somebody else changed it since `revision`.
        InvalidFieldError: an impossible or taken name, or an unknown realm.
    """
    changes: dict[str, Any] = {"updated_at": clock.now()}
    if name is not None:
        if not is_agent_name(name):
            raise InvalidFieldError("lowercase letters, digits, . _ -", pointer="/name")
        changes["name"] = name
    if labels is not None:
        changes["labels"] = dict(labels)
    if realms is not None:
        for realm in realms:
            authorize(actor, "agents.edit", realm=realm)
        changes["realms"] = tuple(realms)

    def unit(uow: UnitOfWork) -> AgentRecord:
        found = find_visible(uow, actor, name_or_did)
        authorize_one(actor, "agents.edit", found.realms, see="agents.read")
        if revision is not None and revision != found.revision:
            raise PreconditionError("the agent was changed since")
        for index, realm in enumerate(realms or ()):
            if uow.realms.get(realm) is None:
                raise InvalidFieldError(f"no realm {realm}", pointer=f"/realms/{index}")
        if name is not None and name != found.name and uow.agents.get_by_name(name) is not None:
            raise InvalidFieldError("this name is taken", pointer="/name")
        try:
            changed = uow.agents.update(found.did, revision=found.revision, **changes)
        except ConflictError as exc:
            raise PreconditionError("the agent was changed since") from exc
        uow.audit.append(
            "agent.edited",
            actor.subject,
            found.did,
            {} if realms is None else {"realms": list(realms)},
            realms={*found.realms, *changed.realms},
            personal={"name": name, "labels": changes.get("labels")},
        )
        return changed

    changed = await hub.database.write(unit)
    tell_changed(hub, "agent.edited", changed)
    return changed


async def revoke_agent(hub: Hub, actor: Actor, name_or_did: str, reason: str) -> AgentRecord:
    """Shut an agent's key out for good: its connection ends, what is queued for it is cancelled."""
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[AgentRecord, list[IntentRecord], list[str]]:
        found = find_visible(uow, actor, name_or_did)
        authorize(actor, "agents.revoke")
        if found.state == "revoked":
            return found, [], []
        cancelled = []
        for intent in uow.intents.open_for_agent(found.did):
            ended = end_queued(
                uow, intent.id, actor=actor.subject, reason="the agent was revoked", now=now
            )
            if ended is not None:
                cancelled.append(ended)
        uow.outbox.delete_agent(found.did)
        told = add_revocations(uow, hub, actor.subject, keys=(found.did,), delegations=(), now=now)
        uow.audit.append(
            "agent.revoked",
            actor.subject,
            found.did,
            {},
            realms=found.realms,
            personal={"reason": reason},
            at=now,
        )
        changed = uow.agents.update(found.did, state="revoked", updated_at=now)
        return changed, cancelled, told

    changed, cancelled, told = await hub.database.write(unit)
    hub.registry.close_agent(changed.did, code=CloseCode.REFUSED, reason="revoked")
    announce(hub, cancelled)
    for did in told:
        hub.dispatcher.wake(did)
    tell_changed(hub, "agent.revoked", changed)
    return changed


def find_visible(uow: UnitOfWork, actor: Actor, name_or_did: str) -> AgentRecord:
    """Return an agent by DID or name; `HiddenError` when there is none for this caller."""
    if name_or_did.startswith("did:"):
        found = uow.agents.get(name_or_did)
    else:
        found = uow.agents.get_by_name(name_or_did)
    if found is None:
        raise HiddenError("no such agent")
    authorize_one(actor, "agents.read", found.realms, see="agents.read")
    return found


def tell_changed(hub: Hub, event: str, agent: AgentRecord) -> None:
    """Tell watchers what happened to an agent, and this process to look it up again."""
    hub.agents.forget()
    hub.events.emit(
        event,
        realm=agent.realms[0] if agent.realms else None,
        data={"agent": agent.did, "name": agent.name, "status": agent.status},
        subject=agent.did,
    )
