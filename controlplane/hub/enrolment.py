"""From `register` to `register_ack`, pending or refused; and back to offline (sections 4 and 5).

Owns which of the doors a proven key goes through. Who may be approved, and what an approval grants,
is `controlplane.fleet`'s; this file only opens the door that the database says is open.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from controlplane import clock, faults
from controlplane.access.attempts import Bound, bound_by, count_in, tried_too_often
from controlplane.fleet.registrations import approve_by_token
from controlplane.hub import join_tokens, welcome
from controlplane.hub.claims import (
    Held,
    claim_here,
    fence,
    held_elsewhere,
    holder_answers,
    tell_taken,
    turn_away,
)
from controlplane.hub.connection import Connection
from controlplane.hub.live import Live
from controlplane.intents.service import announce
from protocol.envelope import Envelope
from protocol.errors import AuthFailedError, Error, RateLimitedError
from protocol.keys import fingerprint
from protocol.limits import CloseCode
from protocol.messages.enrolment import Register, RegistrationPending, RegistrationRejected
from storage.records import AgentRecord, RegistrationRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An agent that may come in, and what it has to be told."""

    agent: AgentRecord
    welcome: welcome.Welcome
    new: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that an admin has yet to decide; `new` when this connection made it."""

    registration: RegistrationRecord
    new: bool


@dataclass(frozen=True, slots=True)
class Revoked:
    """A key that may never come in again."""


@dataclass(frozen=True, slots=True)
class Full:
    """Too many requests wait already, or failed, of this address or in all; `why` is told."""

    why: str


@dataclass(frozen=True, slots=True)
class Unproved:
    """A join token that is no good, which is counted; a stranger is not told `why`."""

    why: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """An admin has said no."""

    reason: str


Door = Enrolled | Waiting | Revoked | Full | Unproved | Rejected | Held
_CLAIMS = 3
"""How often a key may be taken by others while it is being taken here."""


async def register(
    live: Live, connection: Connection, envelope: Envelope, payload: Register
) -> None:
    """Take a `register` whose signature, session and challenge have been proved.

    Raises:
        AuthFailedError, WeakKeyError: the join token or the key is no good.
        UnavailableError: the database cannot answer now.
    """
    _stop_deadline(connection)
    did = envelope.sender_did
    if not await claim_here(live, connection, did):
        return
    door = await _claim(
        live,
        connection,
        lambda uow, over: _choose_door(live, connection, envelope, payload, uow, over),
    )
    faults.reach("register_committed")
    if door is not None:
        _open(live, connection, door, payload)


async def _claim(
    live: Live,
    connection: Connection,
    choose: Callable[[UnitOfWork, AgentRecord | None], Door | None],
) -> Door | None:
    """Return the door; None when there is none, or the key lives at another process."""
    over: AgentRecord | None = None
    for _ in range(_CLAIMS):
        door = await live.hub.database.write(lambda uow: choose(uow, over))  # noqa: B023
        if not isinstance(door, Held):
            return door
        if await holder_answers(live, connection, door):
            return None
        over = door.agent
    turn_away(connection)
    return None


def decided(live: Live, connection: Connection) -> None:
    """Look up, beside everything else, what was decided about a pending connection."""
    live.start(_look_again(live, connection), name="registration decided")


async def _look_again(live: Live, connection: Connection) -> None:
    if not connection.is_pending:
        return
    did = connection.agent_did
    payload = connection.register_payload
    if payload is None:
        return

    def choose(uow: UnitOfWork, over: AgentRecord | None) -> Door | None:
        agent = uow.agents.get(did)
        if agent is not None:
            return _enter(live, connection, agent, payload, uow, new=True, over=over)
        registration = uow.registrations.get(connection.registration_id or "")
        if registration is not None and registration.state == "rejected":
            return Rejected(registration.reason or "")
        return None

    door = await _claim(live, connection, choose)
    if door is not None and connection.is_pending:
        _open(live, connection, door, payload)


def _choose_door(
    live: Live,
    connection: Connection,
    envelope: Envelope,
    payload: Register,
    uow: UnitOfWork,
    over: AgentRecord | None,
) -> Door:
    did = envelope.sender_did
    agent = uow.agents.get(did)
    if agent is not None:
        if agent.state == "revoked":
            return Revoked()
        return _enter(live, connection, agent, payload, uow, new=False, over=over)
    now = clock.now()
    waiting = uow.registrations.get_by_key(envelope.public_key.multikey)
    if waiting is not None and waiting.state == "pending" and waiting.expires_at > now:
        return Waiting(waiting, new=False)
    return _ask(live, connection, envelope, payload, uow)


def _enter(
    live: Live,
    connection: Connection,
    agent: AgentRecord,
    payload: Register,
    uow: UnitOfWork,
    *,
    new: bool,
    over: AgentRecord | None = None,
) -> Enrolled | Revoked | Held:
    if agent.state == "revoked":
        return Revoked()
    hub = live.hub
    asked = over is not None and over.session == agent.session
    if not asked and held_elsewhere(hub, agent, uow):
        return Held(agent)
    now = clock.now()
    came = uow.agents.set_presence(
        agent.did, True, now, connection.session.session_id, hub=hub.membership.id, over=agent
    )
    if not came:
        return Held(uow.agents.get(agent.did) or agent)
    changes = _changed(agent, payload)
    if changes:
        uow.agents.update(agent.did, **changes)
    message = welcome.gather(live.hub, agent, payload.holds, uow, now)
    faults.reach("register_before_commit")
    return Enrolled(agent, message, new)


def _changed(agent: AgentRecord, payload: Register) -> dict[str, Any]:
    """Return what the agent now says about itself that its record does not; labels set here win."""
    told = {
        "version": payload.version,
        "capabilities": tuple(payload.capabilities),
        "actions": [action.model_dump(mode="json", by_alias=True) for action in payload.actions],
        "labels": {**payload.labels, **agent.labels},
        "host": payload.host,
        "llm": payload.llm,
    }
    return {name: value for name, value in told.items() if getattr(agent, name) != value}


def _ask(
    live: Live, connection: Connection, envelope: Envelope, payload: Register, uow: UnitOfWork
) -> Door:
    """Put an unknown key's request on disk, with its join token used up when it has one."""
    hub = live.hub
    now = clock.now()
    envelope.public_key.check_point()
    token = None
    if payload.join is not None:
        failures = _failures(live, connection)
        if tried_too_often(uow, failures, now):
            return Full("too many join tokens that are no good")
        try:
            token = join_tokens.verify_join(uow, hub.secrets, payload, envelope.payload, now)
        except AuthFailedError as error:
            count_in(uow, failures, now)
            return Unproved(str(error))
    elif not _has_room(live, connection, uow):
        return Full("too many requests wait")
    registrations = uow.registrations
    registration = registrations.upsert_pending(
        RegistrationRecord(
            id=clock.new_id(),
            public_key=envelope.public_key.multikey,
            did=envelope.sender_did,
            name=payload.name,
            requested_at=now,
            updated_at=now,
            expires_at=now + timedelta(seconds=hub.settings.pending_lifetime_seconds),
            address=connection.address,
            fingerprint=fingerprint(hub.identity.root, envelope.public_key),
            realm=token.realm if token is not None else None,
            version=payload.version,
            capabilities=tuple(payload.capabilities),
            actions=[action.model_dump(mode="json", by_alias=True) for action in payload.actions],
            labels=payload.labels,
            host=payload.host,
            llm=payload.llm,
            join_token_id=token.id if token is not None else None,
        )
    )
    uow.audit.append(
        "registration.requested",
        envelope.sender_did,
        registration.id,
        {"joinToken": token.id if token is not None else None},
        realms=() if token is None or token.realm is None else (token.realm,),
        personal={"name": payload.name},
    )
    if token is not None:
        if not uow.join_tokens.use(token.id, now, envelope.sender_did):
            raise AuthFailedError("the join token was used meanwhile")
        if token.auto_approve:
            agent = approve_by_token(uow, hub, registration, token)
            return _enter(live, connection, agent, payload, uow, new=True)
    faults.reach("register_before_commit")
    return Waiting(registration, new=True)


def _failures(live: Live, connection: Connection) -> Bound:
    """Return what bounds the join tokens that one address may fail to prove, at all hubs."""
    most = live.hub.settings.join_failures_per_address
    return bound_by("join", connection.address, most=most)


def _has_room(live: Live, connection: Connection, uow: UnitOfWork) -> bool:
    """Whether one more request without a token may wait; no other hub lets one in meanwhile."""
    settings, count_pending = live.hub.settings, uow.registrations.count_pending

    def has() -> bool:
        return (
            count_pending() < settings.max_pending
            and count_pending(address=connection.address) < settings.max_pending_per_address
        )

    # Looked at before too: strangers who find no room must not make other hubs wait for them.
    if not has():
        return False
    uow.alone("requests to be enrolled")
    return has()


def _open(live: Live, connection: Connection, door: Door, payload: Register) -> None:
    match door:
        case Enrolled(agent, message, new):
            count_registered(live, connection)
            fence(live, connection, agent.did)
            if agent.online and agent.session != connection.session.session_id:
                tell_taken(live, connection, agent.did)
            connection.name = agent.name
            connection.realms = agent.realms
            connection.register_payload = None
            connection.was_online = True
            connection.transport.limit_frames(live.hub.settings.max_frame_bytes)
            live.saw_checkpoint(message.checkpoint)
            connection.send(message.register_ack)
            announce(live.hub, message.changed)
            live.hub.agents.forget_here()  # of others: an agent more or less for a second
            data = {"agent": agent.did, "name": agent.name}
            realm = connection.realm
            if new:
                live.hub.events.emit("agent.enrolled", realm=realm, data=data, subject=agent.did)
            live.hub.events.emit("agent.online", realm=realm, data=data, subject=agent.did)
            live.dispatcher.attach(connection)
        case Waiting(registration, new):
            count_registered(live, connection)
            tell_taken(live, connection, connection.agent_did)
            connection.registration_id = registration.id
            connection.register_payload = payload
            connection.send(
                RegistrationPending(
                    registration_id=registration.id, fingerprint=registration.fingerprint
                )
            )
            if new:
                live.hub.events.emit(
                    "registration.requested",
                    realm=registration.realm,
                    data={"registration": registration.id, "name": registration.name},
                    subject=registration.id,
                )
        case Revoked():
            connection.close(CloseCode.REFUSED, "revoked")
        case Rejected(reason):
            connection.send(RegistrationRejected(reason=reason))
            connection.close(CloseCode.REFUSED, "rejected")
        case Held():
            turn_away(connection)
        case Full(why):
            log.info("registration_failed", code=RateLimitedError.code, address=connection.address)
            live.hub.metrics.refused_frames.labels(RateLimitedError.code).inc()
            connection.fail(RateLimitedError(why), CloseCode.RATE)
        case Unproved(why):
            raise AuthFailedError(why)


def count_registered(live: Live, connection: Connection) -> None:
    """Stop counting the connection among its address's unregistered ones; once."""
    if connection.unregistered:
        connection.unregistered = False
        live.unregistered.leave(connection.address)


def _stop_deadline(connection: Connection) -> None:
    if connection.register_timer is not None:
        connection.register_timer.cancel()
        connection.register_timer = None


async def note_offline(live: Live, connection: Connection) -> None:
    """Let the connection's last effects become durable, then say that its agent is offline.

    Presence is compare-and-set on the session: a newer connection's presence stays.
    """
    await connection.effects.settle()
    did = connection.did
    if did is None or not connection.was_online:
        return
    session = connection.session.session_id
    try:
        changed = await live.hub.database.write(
            lambda uow: uow.agents.set_presence(did, False, clock.now(), session)
        )
    except Error as error:
        log.warning("presence_unwritten", agent=did, code=error.code)
        return  # `sweep_claims` makes up for it
    if changed:
        live.hub.events.emit(
            "agent.offline",
            realm=connection.realm,
            data={"agent": did, "name": connection.name},
            subject=did,
        )
