"""Watches that the hub's record only grows: checkpoints, proofs, forks (SPEC section 9).

Keeps the highest checkpoint on disk, and the one beyond it that the hub has still to prove. A
smaller, a different or an unproven one is a fork, and the owner is told. Knows nothing of what the
record says.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Final

from agentd.clock import Clock
from agentd.errors import StateUnavailableError
from agentd.log import log
from agentd.outlet import Outlet
from agentd.state import StateDatabase
from agentd.state.facts import CHECKPOINT, LOG_DELEGATION, PROOF_OWED, get_fact, set_fact
from protocol.audit_tree import verify_consistency
from protocol.base64_text import decode_base64
from protocol.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from protocol.delegation import Link, verify_link
from protocol.envelope import Envelope, parse_document
from protocol.errors import Error, NotAuthorisedError, OldVersionError, ProofError
from protocol.keys import PublicKey
from protocol.limits import CloseCode
from protocol.messages import CheckpointProof, CheckpointRequest, Delegation
from protocol.verification import Verified

LOG_ACTION: Final = "writ.log"
MAX_UNPROVEN_CONNECTIONS: Final = 3
"""So many connections may end whose whole time has gone by; then no proof is expected any more."""
CUTS_PER_CONNECTION: Final = 4
"""So many that ended sooner count as one: a hub may die on them, and yet not for ever."""
ASKS: Final = 3
"""So often a connection is asked for it: the hub's database may have been away the first time."""


class RecordWatch:
    """The highest checkpoint this agent has seen, and whether the next one follows from it."""

    def __init__(
        self,
        state: StateDatabase,
        outlet: Outlet,
        clock: Clock,
        *,
        proof_seconds: float,
        on_fork: Callable[[str], Awaitable[None]],
    ) -> None:
        self._state = state
        self._outlet = outlet
        self._clock = clock
        self._proof_seconds = proof_seconds
        self._on_fork = on_fork
        self._log_key: PublicKey | None = None
        self._wanted: Checkpoint | None = None
        self._wanted_text = ""
        self._newest_text: str | None = None
        self._asked = 0
        self._had_its_time = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        wire = get_fact(state.reader, LOG_DELEGATION)
        if wire is not None:
            self._log_key = _log_key(verify_link(parse_document(wire)))

    @property
    def text(self) -> str | None:
        """The highest checkpoint, as its signed note."""
        return get_fact(self._state.reader, CHECKPOINT)

    async def take_log_delegation(
        self, verified: Verified[Delegation], root: PublicKey, agent_did: str
    ) -> None:
        """Believe the log key that the root names.

        Raises:
            NotAuthorisedError: it is no delegation from the root to a log key.
            OldVersionError: an older one than that in force, for another key.
        """
        delegation = verified.payload
        if (
            verified.envelope.public_key != root
            or delegation.parent is not None
            or not delegation.not_before <= self._clock.later()
            or not any(
                capability.action == LOG_ACTION
                and (capability.agents is None or agent_did in capability.agents)
                for capability in delegation.capabilities
            )
        ):
            raise NotAuthorisedError("no delegation from the root to a log key")
        link = verify_link(verified.envelope)
        if self._is_older(verified.envelope, root):
            if _log_key(link) == self._log_key:
                return
            raise OldVersionError("the root has named another log key since")
        wire = verified.envelope.wire.decode()
        await self._state.write(lambda connection: set_fact(connection, LOG_DELEGATION, wire))
        self._log_key = _log_key(link)

    async def take(self, text: str | None) -> None:
        """Compare a checkpoint with the highest one; ask for a proof when it has grown."""
        if text is None or self._log_key is None:
            return
        try:
            seen = verify_checkpoint(text, self._log_key)
        except ProofError as exc:
            log("error", "bad_checkpoint", why=exc.message)
            return
        kept_text = self.text
        if kept_text is None:
            await self._keep(text)
            return
        kept = parse_checkpoint(kept_text)
        if seen.origin != kept.origin:
            await self._on_fork("the record has another name")
        elif seen.size < kept.size:
            await self._on_fork(f"the record shrank from {kept.size} to {seen.size}")
        elif seen.size == kept.size:
            if seen.root_hash != kept.root_hash:
                await self._on_fork(f"two records of {kept.size} leaves")
        elif kept.size == 0:
            await self._keep(text)
        elif self._wanted is None:
            await self._ask(kept, seen, text)
        else:
            self._newest_text = text

    async def take_proof(self, proof: CheckpointProof) -> None:
        """Check the proof that was asked for; another one is ignored."""
        wanted, kept_text = self._wanted, self.text
        if wanted is None or kept_text is None:
            return
        kept = parse_checkpoint(kept_text)
        if (proof.from_, proof.to) != (kept.size, wanted.size):
            return
        self._stop_waiting()
        try:
            verify_consistency(
                old_size=kept.size,
                new_size=wanted.size,
                old_root=kept.root_hash,
                new_root=wanted.root_hash,
                proof=[decode_base64(item, size_bytes=32) for item in proof.proof],
            )
        except Error as exc:
            await self._on_fork(f"the record of {wanted.size} does not contain the one before")
            log("error", "bad_proof", why=exc.message)
            return
        await self._keep(self._wanted_text)
        if (newest := self._newest_text) is not None:
            self._newest_text = None
            await self.take(newest)

    async def ask_again(self) -> None:
        """Ask on a new connection for the proof that the last ones ended without.

        Whatever checkpoint the hub shows now: it has signed that one.
        """
        owed, kept_text = self._owed(), self.text
        if owed is not None and kept_text is not None:
            await self._ask(parse_checkpoint(kept_text), parse_checkpoint(owed[1]), owed[1])

    def forget_link(self) -> None:
        """The connection is over: the next one brings its own newest checkpoint."""
        if self._wanted is not None:
            self._start(self._ended_without_proof(had_its_time=self._had_its_time))
        self._stop_waiting()
        self._newest_text = None

    def _is_older(self, envelope: Envelope, root: PublicKey) -> bool:
        """Whether the delegation in force is a later one, or another of the same moment.

        One by a root that was replaced since is no measure.
        """
        wire = get_fact(self._state.reader, LOG_DELEGATION)
        before = None if wire is None else parse_document(wire)
        return (
            before is not None
            and before.public_key == root
            and before.digest != envelope.digest
            and before.timestamp >= envelope.timestamp
        )

    def _owed(self) -> tuple[int, str] | None:
        fact = get_fact(self._state.reader, PROOF_OWED)
        if fact is None:
            return None
        cuts, _, text = fact.partition(" ")
        return int(cuts), text

    async def _ended_without_proof(self, *, had_its_time: bool) -> None:
        owed = self._owed()
        if owed is None:
            return
        cuts, text = owed[0] + (CUTS_PER_CONNECTION if had_its_time else 1), owed[1]
        if cuts >= MAX_UNPROVEN_CONNECTIONS * CUTS_PER_CONNECTION:
            size = parse_checkpoint(text).size
            await self._on_fork(f"connection after connection without proof for {size} leaves")
        else:
            await self._owe(cuts, text)

    async def _owe(self, cuts: int, text: str) -> None:
        fact = f"{cuts} {text}"
        await self._state.write(lambda connection: set_fact(connection, PROOF_OWED, fact))

    async def _ask(self, kept: Checkpoint, seen: Checkpoint, text: str) -> None:
        self._wanted, self._wanted_text, self._asked = seen, text, 0
        self._had_its_time = False
        if not self._say(kept, seen):
            self._wanted = None
        elif self._owed() is None:
            await self._owe(0, text)

    def _say(self, kept: Checkpoint, seen: Checkpoint) -> bool:
        request = CheckpointRequest.model_validate({"from": kept.size, "to": seen.size})
        if not self._outlet.send(request):
            return False
        self._asked += 1
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._proof_seconds / ASKS, self._not_proven)
        return True

    def _not_proven(self) -> None:
        """Ask once more, or try another connection: a hub that is too busy is no liar yet."""
        self._timer = None
        wanted, kept_text, link = self._wanted, self.text, self._outlet.link
        if wanted is None or kept_text is None or link is None:
            return
        if self._asked < ASKS and self._say(parse_checkpoint(kept_text), wanted):
            return
        self._had_its_time = True
        log("warning", "record_unproven", size=wanted.size)
        link.close(CloseCode.DEADLINE, "no proof for the record")

    def _start(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            try:
                await work
            except StateUnavailableError as exc:
                log("error", "record_not_watched", error=exc.message)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _stop_waiting(self) -> None:
        self._wanted = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _keep(self, text: str) -> None:
        def write(connection: sqlite3.Connection) -> None:
            set_fact(connection, CHECKPOINT, text)
            set_fact(connection, PROOF_OWED, None)

        await self._state.write(write)


def _log_key(link: Link) -> PublicKey:
    return PublicKey.parse_did(link.delegation.subject)
