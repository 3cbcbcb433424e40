"""Moves what is owed to an agent from the durable outbox to its live connection, in order.

The outbox is the truth: a row stays until the agent has acknowledged its document, so a crash at
any moment only means that it is sent again. An intent is `dispatched` on disk before its first
byte leaves, for what may have been sent can no longer simply expire. Woken by events; the only
clock is the resend. Knows no message but what a row may hold.

An order for an agent that is online and owed nothing else is written as dispatched at once, and
handed over in memory when that is on disk: one commit, and nothing read back. Should it get lost
between the two, its row is still there, and the next connection makes it due again.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from controlplane import clock, faults
from controlplane.context import OutboxKind
from controlplane.hub.connection import Connection
from controlplane.hub.registry import Registry
from controlplane.intents.service import mark_dispatched
from controlplane.settings import HubSettings
from protocol.envelope import parse_document
from protocol.errors import Error
from protocol.messages.delegations import DelegationUpdate
from protocol.messages.peers import PeerResult
from storage.database import Database
from storage.errors import FencedError
from storage.records import IntentRecord, OutboxRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

WINDOW_DOCUMENTS = 256
"""Documents on their way to one agent without its acknowledgement."""
REMEMBERED_BYTES = 8_192
"""The longest order whose row is remembered until its result; longer ones are read back."""
RETRY_SECONDS = 1.0
"""Until the outbox is looked at again when the database could not answer."""


TOLD_ONCE = frozenset({OutboxKind.REMOVED_DELEGATION, OutboxKind.PEER_RESULT})
"""What nobody acknowledges, so that saying it once has to do. A revocation does not depend on the
first, and an agent that misses the second sends its `peer_intent` again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Rows that may be sent now, the orders that became `dispatched` by it, whether more wait."""

    rows: tuple[OutboxRecord, ...]
    dispatched: tuple[IntentRecord, ...]
    more: bool


class Dispatcher:
    """Drains the outbox of every agent that is online here."""

    def __init__(
        self,
        *,
        database: Database,
        registry: Registry,
        settings: HubSettings,
        announce: Callable[[Sequence[IntentRecord]], None],
        elsewhere: Callable[[str], None] = lambda did: None,
    ) -> None:
        self._database = database
        self._registry = registry
        self._settings = settings
        self._announce = announce
        self._elsewhere = elsewhere
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False

    @property
    def tasks(self) -> int:
        """How many looks at an outbox are going on."""
        return len(self._tasks)

    def wake(self, did: str) -> None:
        """Look at the outbox of `did` soon, or have the process look that it is connected to."""
        if not self.wake_here(did):
            self._elsewhere(did)

    def wake_here(self, did: str) -> bool:
        """Look at the outbox of `did` soon; False when it is not online here."""
        connection = self._registry.get(did)
        if connection is not None:
            self._look(connection)
        return connection is not None

    def takes_now(self, did: str) -> bool:
        """Whether an order for `did` may be put on disk as dispatched, and handed over then.

        Only to an agent that is online here, reads what it is sent and is owed nothing else: what
        was queued before must not be overtaken. And only where no other process of the hub may
        have the agent by now: there it is said by units that begin with the connection's guard.
        """
        connection = self._registry.get(did)
        if connection is None or self._stopped or connection.is_guarded:
            return False
        lane = connection.lane
        owed = lane.wanted or lane.starved or lane.task is not None or bool(lane.handed)
        return not owed and len(lane.unacked) < WINDOW_DOCUMENTS and connection.transport.has_room

    def hand_over(self, record: IntentRecord, wire: bytes) -> None:
        """Send an order that is on disk as dispatched, with a row in the outbox that says sent.

        When the agent has gone it is sent after the agent's return, as everything unacknowledged.
        """
        connection = self._registry.get(record.agent_did)
        if connection is None or self._stopped:
            return
        lane = connection.lane
        lane.handed.append((record, wire))
        if lane.task is None and len(lane.handed) == 1:
            self._send_handed(connection)

    def attach(self, connection: Connection) -> None:
        """Begin to serve an agent that has just come online: everything unacknowledged is due."""
        connection.lane.unacked.clear()
        connection.lane.handed.clear()
        connection.lane.sent.clear()
        connection.transport.set_writable_callback(functools.partial(self._look, connection))
        self._look(connection)

    def detach(self, connection: Connection) -> None:
        """Stop serving a connection that has ended."""
        connection.lane.unacked.clear()
        connection.lane.handed.clear()
        connection.lane.sent.clear()
        connection.lane.wanted = False
        if connection.lane.task is not None:
            connection.lane.task.cancel()

    def acknowledged(self, connection: Connection, document_ids: Iterable[str]) -> None:
        """Make room for the next documents; their rows are already gone from the outbox."""
        lane = connection.lane
        was_full = len(lane.unacked) >= WINDOW_DOCUMENTS
        for document_id in document_ids:
            lane.unacked.pop(document_id, None)
        if was_full or lane.starved or lane.handed:
            self._look(connection)

    def resend_silent(self, connection: Connection, now_seconds: float) -> None:
        """Send again what the agent has been silent about for the resend time."""
        lane = connection.lane
        due = now_seconds - self._settings.intent_resend_seconds
        silent = [ref for ref, sent_at in lane.unacked.items() if sent_at <= due]
        if silent:
            for ref in silent:
                del lane.unacked[ref]
            self._look(connection)

    async def stop(self) -> None:
        """Cancel every look; afterwards nothing is sent any more."""
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=RETRY_SECONDS)

    # --- one connection's lane ---------------------------------------------------------------

    def _look(self, connection: Connection) -> None:
        lane = connection.lane
        if self._stopped or not connection.is_online:
            return
        lane.wanted = True
        if lane.task is None:
            task = asyncio.get_running_loop().create_task(self._drain(connection))
            lane.task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, connection: Connection) -> None:
        lane = connection.lane
        try:
            while lane.wanted and connection.is_online:
                lane.wanted = False
                self._send_handed(connection)
                room = WINDOW_DOCUMENTS - len(lane.unacked)
                lane.starved = room <= 0
                if room <= 0 or lane.handed or not connection.transport.has_room:
                    return  # an acknowledgement, or the drained buffer, looks again
                claim = await self._claim(connection, room)
                self._announce(claim.dispatched)
                if connection.is_online:
                    self._send(connection, claim.rows)
                    self._send_handed(connection)  # what came while the outbox was looked at
                lane.starved = claim.more
                lane.wanted = lane.wanted or claim.more
        except FencedError as error:
            connection.superseded(replaced=error.replaced)
        except Error as error:
            log.warning("outbox_unavailable", agent=connection.did, code=error.code)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._look, connection)
        finally:
            lane.task = None

    def due_at(self, uow: UnitOfWork, process_id: str | None) -> list[str]:
        """Return agents online at a process of the hub (None: the only one) with something due."""
        now = clock.now()
        resend_before = now - timedelta(seconds=self._settings.intent_resend_seconds)
        return uow.outbox.agents_due_at(process_id, now=now, resend_before=resend_before)

    async def _claim(self, connection: Connection, room: int) -> Claim:
        did, now = connection.agent_did, clock.now()
        resend_before = now - timedelta(seconds=self._settings.intent_resend_seconds)
        return await connection.database.write(
            lambda uow: claim_rows(uow, did, limit=room, now=now, resend_before=resend_before)
        )

    def _send(self, connection: Connection, rows: Sequence[OutboxRecord]) -> None:
        now = time.monotonic()
        added: list[OutboxRecord] = []
        for row in rows:
            if row.kind not in TOLD_ONCE:
                connection.lane.unacked[row.ref_id] = now
            if row.kind in (OutboxKind.DELEGATION, OutboxKind.REMOVED_DELEGATION):
                added.append(row)
                continue
            self._send_delegations(connection, added)
            added = []
            if row.kind == OutboxKind.INTENT:
                faults.reach("intent_before_send")
            self._try_send(connection, row)
            faults.reach("intent_sent" if row.kind == OutboxKind.INTENT else "document_sent")
        self._send_delegations(connection, added)

    def _send_handed(self, connection: Connection) -> None:
        lane = connection.lane
        now = time.monotonic()
        while (
            lane.handed
            and len(lane.unacked) < WINDOW_DOCUMENTS
            and connection.is_online
            and connection.transport.has_room
        ):
            record, wire = lane.handed.popleft()
            lane.unacked[record.id] = now
            if len(wire) <= REMEMBERED_BYTES:
                lane.sent[record.id] = record
            if len(lane.sent) > WINDOW_DOCUMENTS:  # what takes long is read from the database
                del lane.sent[next(iter(lane.sent))]
            faults.reach("intent_before_send")
            try:
                connection.send_document(wire)
            except Error as error:
                log.error("document_unsendable", document=record.id, code=error.code)
            faults.reach("intent_sent")

    def _try_send(self, connection: Connection, row: OutboxRecord) -> None:
        try:
            if row.kind == OutboxKind.PEER_RESULT:
                connection.send(PeerResult(result=parse_document(row.wire).as_value()))
            else:
                connection.send_document(row.wire)
        except Error as error:
            # It stays in the outbox and is said again in the log: nothing is dropped silently.
            log.error("document_unsendable", document=row.ref_id, code=error.code)

    def _send_delegations(self, connection: Connection, rows: Sequence[OutboxRecord]) -> None:
        if not rows:
            return
        added = [row for row in rows if row.kind == OutboxKind.DELEGATION]
        removed = [row.ref_id for row in rows if row.kind == OutboxKind.REMOVED_DELEGATION]
        update = DelegationUpdate(
            added=tuple(parse_document(row.wire).as_value() for row in added),
            removed=tuple(removed),
        )
        connection.send(update)


def claim_rows(
    uow: UnitOfWork, did: str, *, limit: int, now: datetime, resend_before: datetime
) -> Claim:
    """Return what to send to `did` next, with its intents made `dispatched` in the same unit.

    Args:
        uow: the unit of work.
        did: the agent.
        limit: how many rows at most.
        now: the time of dispatch.
        resend_before: what was sent before it and is still there is due again.
    """
    due = uow.outbox.pending(did, limit + 1, now=now, resend_before=resend_before)
    rows = due[:limit]
    intent_ids = [row.ref_id for row in rows if row.kind == OutboxKind.INTENT]
    sendable = {record.id: record for record in mark_dispatched(uow, intent_ids, now=now)}
    gone = [row.id for row in rows if row.kind == OutboxKind.INTENT and row.ref_id not in sendable]
    rows = [row for row in rows if row.id not in gone]
    told = [row.id for row in rows if row.kind in TOLD_ONCE]
    uow.outbox.mark_sent([row.id for row in rows], now)
    uow.outbox.delete([*gone, *told])
    moved = tuple(record for record in sendable.values() if record.dispatched_at == now)
    return Claim(tuple(rows), moved, len(due) > limit)
