"""Postgres: one flusher that commits in groups on a connection of its own, and a pool for readers.

Units are sync; `run_sync` lets them speak over asyncpg without blocking the loop. Several hubs may
write to one database: compare-and-set updates decide between them, and a deadlock runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from storage import migrate
from storage.errors import UnavailableError
from storage.failures import ConnectionLostError, TryAgainError, translate
from storage.groups import (
    MAX_GROUP_UNITS,
    MAX_QUEUED_UNITS,
    Outcome,
    UnitFailed,
    all_failed,
    resolve,
    settle,
)
from storage.transaction import Transaction
from storage.unit_of_work import UnitOfWork

T = TypeVar("T")
Job = tuple[Callable[[UnitOfWork], Any], "asyncio.Future[Any]"]

COMMAND_TIMEOUT_SECONDS = 30
CONNECT_TIMEOUT_SECONDS = 10
_TRIES = 8
LONG_GROUP_SECONDS = 1.0
"""A group that takes longer makes the next one smaller: other hubs wait for what it has locked,
and not for ever. On a machine that is too busy, groups of many would else starve everybody."""


def _may_run_again(error: BaseException | None) -> bool:
    if isinstance(error, ConnectionLostError):
        return not error.committing
    return isinstance(error, TryAgainError)


class PostgresEngine:
    """A Postgres database. Made by `Database.open`."""

    def __init__(self, url: URL, *, now: Callable[[], datetime], busy_timeout_seconds: float):
        self._now = now
        self._engine = create_async_engine(
            url,
            pool_size=8,
            max_overflow=8,
            pool_timeout=busy_timeout_seconds,
            connect_args={
                "timeout": CONNECT_TIMEOUT_SECONDS,
                "command_timeout": COMMAND_TIMEOUT_SECONDS,
                "server_settings": {
                    "application_name": "writ",
                    "synchronous_commit": "on",
                    "lock_timeout": str(int(busy_timeout_seconds * 1000)),
                    "idle_in_transaction_session_timeout": "60000",
                },
            },
        )
        self._reading = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._queue: deque[Job] = deque()
        self._wake = asyncio.Event()
        self._running = 0
        self._at_once = MAX_GROUP_UNITS
        self._closed = False
        self._connection: AsyncConnection | None = None
        self._flusher: asyncio.Task[None] | None = None

    # --- opening and closing ---

    async def start(self, *, create: bool) -> None:
        """Migrate the database (or check it) and take units from now on."""
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(lambda c: migrate.prepare(c, upgrade=create))
        except Exception as exc:
            await self._engine.dispose()
            error = translate(exc)
            if error is exc:
                raise
            raise error from exc
        self._flusher = asyncio.create_task(self._flush_forever(), name="writ-postgres-flusher")

    async def close(self) -> None:
        """Finish what was queued, then close every connection."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        if self._flusher is not None:
            await self._flusher
        await self._disconnect()
        await self._engine.dispose()

    # --- writing ---

    async def write(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Queue a unit for the next group; see `Database.write`."""
        if self._closed:
            raise UnavailableError("the database is closed")
        if len(self._queue) + self._running >= MAX_QUEUED_UNITS:
            raise UnavailableError("too many writes are waiting")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append((unit, future))
        self._wake.set()
        return await future

    async def _flush_forever(self) -> None:
        while True:
            if not self._queue:
                if self._closed:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            jobs = [self._queue.popleft() for _ in range(min(len(self._queue), self._at_once))]
            self._running = len(jobs)
            began = time.monotonic()
            try:
                outcomes = await self._settle([unit for unit, _ in jobs])
            except BaseException as exc:
                outcomes = all_failed(len(jobs))  # nobody may wait for ever
                if not isinstance(exc, Exception):
                    self._resolve(jobs, outcomes)
                    raise
            self._resolve(jobs, outcomes)
            self._adjust(len(jobs), time.monotonic() - began)

    def _adjust(self, units: int, seconds: float) -> None:
        if seconds > LONG_GROUP_SECONDS:
            self._at_once = max(1, units // 2)
        elif seconds < LONG_GROUP_SECONDS / 4 and units >= self._at_once:
            self._at_once = min(MAX_GROUP_UNITS, 2 * self._at_once)

    def _resolve(self, jobs: list[Job], outcomes: list[Outcome]) -> None:
        self._running = 0
        for (_, future), outcome in zip(jobs, outcomes, strict=True):
            resolve(future, outcome)

    async def _settle(self, units: Sequence[Callable[[UnitOfWork], Any]]) -> list[Outcome]:
        # A connection that died before COMMIT was sent has kept nothing, and neither has the loser
        # of a deadlock: such a group may run again. A few tries, then the callers decide.
        for attempt in range(_TRIES):
            # Apart by chance, or two hubs that lock the same rows crosswise would meet again.
            await asyncio.sleep(random.uniform(0, 0.02) * attempt * attempt)  # noqa: S311
            try:
                if self._connection is None:
                    self._connection = await self._engine.connect()
                outcomes = await self._connection.run_sync(self._settle_on, units)
            except Exception as exc:
                outcomes = [Outcome(error=translate(exc))] * len(units)
            lost = [o.error for o in outcomes if isinstance(o.error, ConnectionLostError)]
            if lost:
                await self._disconnect()
            if lost and attempt:  # a new connection failed as well: it is not a stale one
                break
            if not all(_may_run_again(outcome.error) for outcome in outcomes):
                break
        return outcomes

    def _settle_on(
        self, connection: Connection, units: Sequence[Callable[[UnitOfWork], Any]]
    ) -> list[Outcome]:
        return settle(units, lambda some: self._attempt(connection, some))

    def _attempt(
        self, connection: Connection, units: Sequence[Callable[[UnitOfWork], Any]]
    ) -> list[Any]:
        committing = False
        try:
            with connection.begin() as begun:
                work = UnitOfWork(Transaction(connection, self._now()))
                values = []
                for index, unit in enumerate(units):
                    try:
                        values.append(unit(work))
                    except Exception as exc:
                        raise UnitFailed(index, translate(exc)) from exc
                work.flush()
                committing = True
                begun.commit()
        except UnitFailed:
            raise
        except Exception as exc:
            error = translate(exc)
            if committing and isinstance(error, ConnectionLostError):
                error = ConnectionLostError(error.message, committing=True)
            if error is exc:
                raise
            raise error from exc
        return values

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                await connection.invalidate()
            with contextlib.suppress(Exception):
                await connection.close()

    # --- reading ---

    async def read(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Run a unit on a snapshot on a pooled connection; see `Database.read`."""
        if self._closed:
            raise UnavailableError("the database is closed")
        try:
            return await self._read(unit)
        except ConnectionLostError:
            # The pool may hold connections from before a restart; reading again harms nobody.
            return await self._read(unit)

    async def _read(self, unit: Callable[[UnitOfWork], T]) -> T:
        try:
            async with self._reading.connect() as connection:
                return await connection.run_sync(
                    lambda c: unit(UnitOfWork(Transaction(c, self._now(), read_only=True)))
                )
        except Exception as exc:
            error = translate(exc)
            if error is exc:
                raise
            raise error from exc
