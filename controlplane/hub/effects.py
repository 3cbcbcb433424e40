"""What one connection's frames do to the database: in the order sent, many to a commit, bounded.

A frame's effect is a pair: a unit of work, and what is done with its outcome once that is durable.
Effects of one connection run strictly in order; while one group commits the next one gathers, so
that a busy agent costs one commit for many frames. Knows no message and no socket.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from protocol.errors import Error
from storage.database import Database
from storage.errors import FencedError
from storage.unit_of_work import UnitOfWork

T = TypeVar("T")
log = structlog.get_logger(__name__)

MAX_WAITING = 256
"""Effects a connection may have waiting before it is read no further."""
MAX_GROUP = 64
"""Effects that share one unit of work."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One frame's work: `unit` may run more than once, `done` and `failed` run at most once."""

    unit: Callable[[UnitOfWork], Any]
    done: Callable[[Any], None]
    failed: Callable[[Error], None]


class EffectQueue:
    """Runs the effects of one connection in order; there is a task only while there is work."""

    __slots__ = ("_database", "_fenced", "_room", "_task", "_waiting")

    def __init__(
        self, database: Database, fenced: Callable[[FencedError], None] = lambda error: None
    ) -> None:
        self._database = database
        self._fenced = fenced
        self._waiting: deque[Effect] = deque()
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Event | None = None

    def use(self, database: Database) -> None:
        """Write to this database from now on."""
        self._database = database

    @property
    def has_room(self) -> bool:
        """Whether another frame may be read."""
        return len(self._waiting) < MAX_WAITING

    def submit(
        self,
        unit: Callable[[UnitOfWork], T],
        done: Callable[[T], None],
        failed: Callable[[Error], None],
    ) -> None:
        """Queue an effect behind all earlier ones.

        Args:
            unit: runs inside the database's writer; its errors go to `failed`.
            done: runs on the event loop when the unit's changes are durable.
            failed: runs on the event loop when nothing of the unit was written.
        """
        self._waiting.append(Effect(unit, done, failed))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def wait_room(self) -> None:
        """Return once another frame may be read."""
        while not self.has_room:
            self._room = asyncio.Event()
            await self._room.wait()

    async def settle(self) -> None:
        """Return once every effect queued so far has ended, one way or the other."""
        while self._task is not None:
            await asyncio.wait({self._task})

    def cancel(self) -> None:
        """Drop what has not begun; used when the hub stops and its time is up."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        try:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]
                await self._run_group(group)
                if self._room is not None and self.has_room:
                    self._room.set()
                    self._room = None
        finally:
            self._task = None
            if self._room is not None:
                self._room.set()
                self._room = None

    async def _run_group(self, group: list[Effect]) -> None:
        if len(group) > 1:
            try:
                outcomes = await self._database.write(
                    lambda uow: [effect.unit(uow) for effect in group]
                )
            except FencedError as error:
                self._lose(error)
                return
            except Error:
                pass  # one of them; found below, each in a unit of its own
            else:
                for effect, outcome in zip(group, outcomes, strict=True):
                    _finish(effect.done, outcome)
                return
        for effect in group:
            try:
                outcome = await self._database.write(effect.unit)
            except FencedError as error:
                self._lose(error)
                return
            except Error as error:
                _finish(effect.failed, error)
            else:
                _finish(effect.done, outcome)

    def _lose(self, error: FencedError) -> None:
        """Drop what waits: it is the agent's newer connection that says it again."""
        self._waiting.clear()
        self._fenced(error)


def _finish(then: Callable[[Any], None], value: Any) -> None:
    # What follows one frame must not take the frames behind it along.
    try:
        then(value)
    except Exception:
        log.exception("effect_follow_up_failed")
