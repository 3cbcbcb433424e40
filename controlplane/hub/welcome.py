"""What an agent that has just come in must be told: the contents of its `register_ack`.

Gathered in the unit of work that notes its presence, so that what it is told and what is queued
for it belong to one moment. Sends nothing itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from controlplane.context import Hub
from controlplane.delegations.reach import above, reaches
from controlplane.intents.service import reconcile_holds
from protocol.messages.enrolment import MAX_HELD_INTENTS, Holds, RegisterAck
from storage.records import AgentRecord, DelegationRecord, IntentRecord
from storage.unit_of_work import UnitOfWork

MAX_DELEGATIONS = 400
"""Delegations inside one `register_ack`; further ones come by `delegation_update`."""
MAX_DELEGATION_BYTES = 512 * 1024
"""Their bytes; the frame has a bound, and policy and revocations must fit as well."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """A `register_ack`, the newest checkpoint, and the orders that reconciling has changed."""

    register_ack: RegisterAck
    checkpoint: str | None
    changed: tuple[IntentRecord, ...]


def gather(hub: Hub, agent: AgentRecord, holds: Holds, uow: UnitOfWork, now: datetime) -> Welcome:
    """Return what `agent` lacks of what it should hold, and make its whole outbox due again.

    Args:
        hub: for the log key's delegation.
        agent: who came in.
        holds: what it says is on its disk.
        uow: the unit of work that notes its presence.
        now: the hub's clock.
    """
    changed: list[IntentRecord] = []
    if len(holds.intents) < MAX_HELD_INTENTS:
        changed = reconcile_holds(uow, agent.did, holds.intents, now=now)
    uow.outbox.reset(agent.did)
    policy = uow.policies.for_agent(agent.did)
    revocations = uow.revocations.latest()
    checkpoint = uow.audit.latest_checkpoint()
    text = checkpoint.text if checkpoint is not None else None
    ack = RegisterAck(
        agent_id=agent.did,
        name=agent.name,
        delegations=tuple(json.loads(wire) for wire in _missing(agent, holds, uow, now)),
        revocations=(
            json.loads(revocations.wire)
            if revocations is not None and revocations.epoch != holds.revocation_epoch
            else None
        ),
        policy=(
            json.loads(policy.wire)
            if policy is not None and policy.version != holds.policy_version
            else None
        ),
        log=hub.identity.log_delegation.as_value(),
        checkpoint=None if text == holds.checkpoint else text,
    )
    return Welcome(ack, text, tuple(changed))


def _missing(agent: AgentRecord, holds: Holds, uow: UnitOfWork, now: datetime) -> list[bytes]:
    held = frozenset(holds.delegations)
    wires: list[bytes] = []
    size_bytes = 0
    wanted: dict[str, DelegationRecord] = {}
    for record in uow.delegations.for_agent(agent.did, now):
        if record.subject == agent.did:
            wanted.update((one.id, one) for one in above(uow, record))
        elif not reaches(record.capabilities, agent):
            continue
        wanted[record.id] = record
    for record in wanted.values():
        if record.id in held:
            continue
        size_bytes += len(record.wire)
        if len(wires) >= MAX_DELEGATIONS or size_bytes > MAX_DELEGATION_BYTES:
            uow.outbox.add(agent.did, "delegation", record.id, record.wire)
        else:
            wires.append(record.wire)
    return wires
