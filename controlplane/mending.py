"""After a change of keys: the hub signs again what it had signed and what no longer counts.

What a former key of the hub signed goes on counting while the root's delegation to that key does.
When that is revoked, or the root itself is another, grants, policies, quarantines and the list of
revocations would die with it; orders do, and are refused. Done again and again it changes nothing.
"""

from __future__ import annotations

from datetime import datetime

from controlplane import clock
from controlplane.context import Hub, OutboxKind
from controlplane.delegations.proof import chain_of, links_to
from controlplane.delegations.reach import reached_agents
from controlplane.delegations.revocations import renew_revocations
from controlplane.delegations.service import load_hub_link, seal_under, store_delegation
from controlplane.fleet.quarantine import stop_again
from controlplane.policies.signing import sign_policy, signer_of
from controlplane.succession import MEND_SETTING
from protocol.delegation import verify_link
from protocol.envelope import parse_document
from protocol.errors import AuthorityError
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork


async def mend_after_change(hub: Hub) -> None:
    """Mend when the keys have changed since the hub last ran."""
    wanted = await hub.database.read(lambda uow: uow.settings.get(MEND_SETTING))
    if wanted is None or not wanted.value:
        return
    await mend(hub)
    now = clock.now()
    await hub.database.write(lambda uow: uow.settings.put(MEND_SETTING, False, at=now, by="hub"))


async def mend(hub: Hub) -> None:
    """Sign again, by the present key, whatever of the hub's no agent would accept any more."""
    now = clock.now()
    told = set(await hub.database.write(lambda uow: _mend_permits(uow, hub, now)))
    dead = await hub.database.read(lambda uow: _dead_hubs(uow, hub, now))
    if dead:
        told |= set(await hub.database.write(lambda uow: _mend_fleet(uow, hub, dead, now)))
    for did in told:
        hub.dispatcher.wake(did)


def _mend_permits(uow: UnitOfWork, hub: Hub, now: datetime) -> list[str]:
    told = renew_revocations(uow, hub, now)
    for issuer in (hub.identity.hub_did, *sorted(hub.identity.former_hubs)):
        cursor: str | None = None
        while True:
            page = uow.delegations.list(issuer=issuer, revoked=False, limit=200, cursor=cursor)
            for one in page.items:
                if one.expires_at > now and _is_dead(uow, hub, one, now):
                    told += _lend_again(uow, hub, one, now)
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
    return told


def _is_dead(uow: UnitOfWork, hub: Hub, record: DelegationRecord, now: datetime) -> bool:
    """Whether the chain above a delegation of the hub's holds no longer."""
    links = links_to(uow, record)[:-1]
    if not links or links[0].envelope.public_key != hub.identity.root:
        return True
    try:
        chain_of(uow, hub, links, now)
    except AuthorityError:
        return True
    return False


def _lend_again(uow: UnitOfWork, hub: Hub, record: DelegationRecord, now: datetime) -> list[str]:
    payload = parse_document(record.wire).payload
    names = ("subject", "capabilities", "conditions", "maxDepth", "budget")
    envelope = seal_under(
        load_hub_link(hub),
        hub.identity.hub_key,
        {name: payload[name] for name in names if name in payload},
        expires=record.expires_at,
        now=now,
    )
    uow.delegations.revoke(record.id, "hub", now)
    for did in reached_agents(uow, record):
        uow.outbox.delete_refs(did, (record.id,))
        uow.outbox.add(did, OutboxKind.REMOVED_DELEGATION, record.id, b"")
    _, told = store_delegation(
        uow, hub, verify_link(envelope), source=record.source, by="hub", now=now
    )
    return told


def _dead_hubs(uow: UnitOfWork, hub: Hub, now: datetime) -> frozenset[str]:
    """Return the former keys of this hub that the root trusts no longer."""
    latest = uow.revocations.latest()
    revoked = latest.keys if latest is not None else ()
    return frozenset(
        did
        for did in hub.identity.former_hubs
        if did in revoked
        or not any(
            one.issuer == hub.identity.root_did for one in uow.delegations.for_subject(did, now)
        )
    )


def _mend_fleet(uow: UnitOfWork, hub: Hub, dead: frozenset[str], now: datetime) -> list[str]:
    told = []
    for agent in uow.agents.matching(states=("active", "quarantined")):
        in_force = uow.policies.for_agent(agent.did)
        if in_force is not None and signer_of(in_force) in dead:
            policy = uow.policies.get(in_force.policy_id)
            if policy is not None:
                sign_policy(uow, hub, agent.did, policy, actor="hub", now=now, or_nothing=True)
                told.append(agent.did)
        stopped_by = (agent.quarantine or {}).get("signer")
        if agent.state == "quarantined" and stopped_by in dead:
            stop_again(uow, hub, agent, now)
            told.append(agent.did)
    return told
