"""One live connection per key (section 4), at whichever process of the hub it is.

At one process the registry knows who holds a key. Between processes the database does: an agent's
row names the process and the session it is connected by, and that session is the connection's
fence: whatever a connection writes begins by holding it, so that a process that has lost an agent,
or slept while it was taken for dead, sends and records nothing more for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from controlplane import clock
from controlplane.bus.base import Message
from controlplane.context import Hub
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.membership import ALIVE_FOR
from protocol.errors import Error, KeyConflictError
from protocol.limits import CloseCode
from storage.records import AgentRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

TOOK = "took"
ALIVE = "alive"
_SWEEP_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Held:
    """Another process says that the agent is connected to it."""

    agent: AgentRecord


async def claim_here(live: Live, connection: Connection, did: str) -> bool:
    """Whether `connection` may hold the key at this process; closes the loser."""
    registry = live.registry
    holder = registry.holder(did)
    if holder is not None and holder.transport.is_open:
        alive = True
        if registry.contest(did):
            try:
                alive = await holder.transport.probe(live.hub.settings.key_conflict_answer_seconds)
            finally:
                registry.settle(did)
            if alive:
                await note_conflict(live, connection, did)
        if alive:
            turn_away(connection)
            return False
        holder.close(CloseCode.KEY_CONFLICT, "replaced by a newer connection")
        holder.transport.abort()
    if not connection.transport.is_open:
        return False
    registry.claim(did, connection)
    return True


def held_elsewhere(hub: Hub, agent: AgentRecord, uow: UnitOfWork) -> bool:
    """Whether another living process holds this agent's connection."""
    here = hub.membership.id
    return (
        here is not None
        and agent.online
        and agent.hub not in (None, here)
        and uow.hub_processes.lives(agent.hub or "", ALIVE_FOR)
    )


async def holder_answers(live: Live, connection: Connection, held: Held) -> bool:
    """Whether the connection at another process still lives; then the new one is turned away.

    A process that cannot be asked, or whose agent does not answer, loses it: the newer one wins.
    """
    agent = held.agent
    patience = live.hub.settings.key_conflict_answer_seconds
    try:
        answer = await live.hub.neighbours.bus.ask(
            agent.hub or "",
            {"kind": ALIVE, "agent": agent.did, "session": agent.session},
            timeout_seconds=patience + 1,
        )
        alive = answer.get("alive") is True
    except Error as error:
        log.info("holder_not_asked", agent=agent.did, code=error.code)
        alive = False
    if alive:
        await note_conflict(live, connection, agent.did)
        turn_away(connection)
    return alive


async def answer_alive(live: Live, question: Message) -> Message:
    """Answer another process whether a connection here still lives."""
    holder = live.registry.holder(str(question.get("agent")))
    if holder is None or holder.session.session_id != question.get("session"):
        return {"alive": False}
    patience = live.hub.settings.key_conflict_answer_seconds
    return {"alive": holder.transport.is_open and await holder.transport.probe(patience)}


async def note_conflict(live: Live, connection: Connection, did: str) -> None:
    """Put on record that a second connection came while the first one lives."""
    if not connection.transport.is_open:
        return

    def unit(uow: UnitOfWork) -> None:
        uow.audit.append(
            "key_conflict",
            did,
            did,
            {},
            realms=uow.agents.realms_of(did),
            personal={"address": connection.address},
        )

    await live.hub.database.write(unit)
    live.hub.events.emit("agent.key_conflict", realm=None, data={"agent": did}, subject=did)


def turn_away(connection: Connection) -> None:
    """Close a second connection of a key that has a living one."""
    connection.fail(KeyConflictError("this key has a live connection"), CloseCode.KEY_CONFLICT)


def fence(live: Live, connection: Connection, did: str) -> None:
    """Have everything that `connection` writes from now on end with the loss of its agent."""
    if live.hub.membership.id is None:
        return  # this process's registry is all there is
    session = connection.session.session_id
    assert session is not None
    connection.guard(lambda uow: uow.agents.hold_connection(did, session))


def tell_taken(live: Live, connection: Connection, did: str) -> None:
    """Have every other process let go of older connections of this key."""
    live.hub.neighbours.tell(TOOK, agent=did, session=connection.session.session_id)


def let_go(live: Live, hint: Message) -> None:
    """Close a connection whose key has registered at another process since."""
    connection = live.registry.holder(hint["agent"])
    # Sessions are UUIDv7: a later one is greater. What is online is fenced besides.
    if connection is not None and connection.session.session_id < hint["session"]:
        connection.superseded(replaced=True)


async def sweep_claims(live: Live) -> None:
    """Make up for hints, and ends of connections, that were lost: close what was taken, free those.

    The database is asked about this process's own agents alone, a bounded number at a time.
    """
    hub, id = live.hub, live.hub.membership.id
    ours = await hub.database.read(lambda uow: uow.agents.connections_of(id))
    strays = []
    for connection in live.registry.connections():
        did = connection.did
        if did is None or not connection.is_online or not connection.was_online:
            continue
        # At one process it is the registry, not the database, that says whose an agent is.
        if ours.pop(did, None) != connection.session.session_id and id is not None:
            strays.append((did, connection))
    for did, connection in strays:
        session = connection.session.session_id
        row = await hub.database.read(lambda uow: uow.agents.get(did))  # noqa: B023
        if row is None or row.session != session:
            connection.superseded(replaced=row is not None and row.session is not None)
    await _free(live, ours)


async def _free(live: Live, ours: dict[str, str]) -> None:
    """Set agents offline that this process no longer holds; seen twice, for one may be coming."""
    gone = {did: session for did, session in ours.items() if live.registry.get(did) is None}
    twice = {did: one for did, one in gone.items() if live.missing.get(did) == one}
    live.missing = gone
    now = clock.now()

    def unit(uow: UnitOfWork, did: str, session: str) -> AgentRecord | None:
        return uow.agents.get(did) if uow.agents.set_presence(did, False, now, session) else None

    for did, session in list(twice.items())[:_SWEEP_AT_ONCE]:
        agent = await live.hub.database.write(lambda uow: unit(uow, did, session))  # noqa: B023
        if agent is not None:
            _tell_offline(live.hub, agent)


def _tell_offline(hub: Hub, agent: AgentRecord) -> None:
    """Tell watchers of an agent whose end nobody was there to tell of."""
    hub.events.emit(
        "agent.offline",
        realm=agent.realms[0] if agent.realms else None,
        data={"agent": agent.did, "name": agent.name},
        subject=agent.did,
    )


async def wake_due(live: Live) -> None:
    """Look at the outbox of every agent here that something is due to.

    Also where no hint can get lost, for `Dispatcher.resend_silent` looks once: when the clock has
    gone back since, what was sent is not due yet by then.
    """
    hub, id = live.hub, live.hub.membership.id
    due = await hub.database.read(lambda uow: live.dispatcher.due_at(uow, id))
    for did in due:
        live.dispatcher.wake_here(did)


async def free_lost(hub: Hub) -> None:
    """Set agents offline whose process has died; for the leader."""
    if hub.membership.id is None:
        return
    now = clock.now()

    def unit(uow: UnitOfWork) -> list[AgentRecord]:
        living = [one.id for one in uow.hub_processes.living(ALIVE_FOR)]
        lost = uow.agents.clear_presence(now, living=living, limit=_SWEEP_AT_ONCE)
        return [one for did in lost if (one := uow.agents.get(did)) is not None]

    living = await hub.database.read(lambda uow: uow.hub_processes.living(ALIVE_FOR))
    if not living:
        return
    for agent in await hub.database.write(unit):
        _tell_offline(hub, agent)
