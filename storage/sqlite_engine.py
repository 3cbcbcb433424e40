"""SQLite: one writer thread that commits in groups, and readers on their own connections.

WAL with synchronous=FULL: a commit is on the platter before anybody hears of it, and readers see
the last commit while the writer works. The stdlib driver begins no transaction of its own here
(isolation_level None); ours begin with BEGIN IMMEDIATE, so nothing is read before the lock is held.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool, QueuePool

from storage import migrate
from storage.errors import UnavailableError
from storage.failures import ConnectionLostError, translate
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
READERS = 4


class _Job:
    __slots__ = ("future", "unit")

    def __init__(self, unit: Callable[[UnitOfWork], Any], future: asyncio.Future[Any]) -> None:
        self.unit = unit
        self.future = future


class SqliteEngine:
    """The database in one file. Made by `Database.open`."""

    def __init__(self, path: Path, *, now: Callable[[], datetime], busy_timeout_seconds: float):
        self._path = path
        self._now = now
        self._busy_timeout_seconds = busy_timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[list[_Job] | None] = queue.SimpleQueue()
        self._gathered: list[_Job] = []  # of this turn of the loop
        self._queued = 0  # touched on the loop only
        self._closed = False
        self._inode: tuple[int, int] | None = None
        self._connection: Connection | None = None
        self._writer_engine = self._engine("BEGIN IMMEDIATE", query_only=False)
        self._reader_engine = self._engine("BEGIN", query_only=True)
        self._thread = threading.Thread(target=self._run, name="writ-sqlite-writer", daemon=True)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="writ-sqlite-reader")

    # --- opening and closing ---

    async def start(self, *, create: bool) -> None:
        """Migrate the file (or check it), connect, and take units from now on."""
        await asyncio.to_thread(self._prepare, create)
        self._thread.start()

    def _prepare(self, create: bool) -> None:
        try:
            if create:
                # Private from the first byte: rows hold documents and sealed secrets.
                os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            engine = self._engine("BEGIN IMMEDIATE", query_only=False, foreign_keys=False)
            try:
                with engine.begin() as connection:
                    migrate.prepare(connection, upgrade=create)
            finally:
                engine.dispose()
            self._connect()
        except Exception as exc:
            error = translate(exc)
            if error is exc:
                raise
            raise error from exc

    async def close(self) -> None:
        """Finish what was queued, then let go of the file."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        await asyncio.to_thread(self._readers.shutdown)
        self._reader_engine.dispose()

    # --- writing ---

    async def write(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Queue a unit for the next group; see `Database.write`."""
        if self._closed:
            raise UnavailableError("the database is closed")
        if self._queued >= MAX_QUEUED_UNITS:
            raise UnavailableError("too many writes are waiting")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queued += 1
        self._gathered.append(_Job(unit, future))
        if len(self._gathered) == 1:
            # At the end of the turn: what one turn brings about shares one commit, and the writer
            # does not fight the loop for the interpreter after the first of it.
            self._loop.call_soon(self._hand_over)
        return await future

    def _hand_over(self) -> None:
        gathered, self._gathered = self._gathered, []
        if gathered:
            self._queue.put(gathered)

    def _run(self) -> None:
        stopping = False
        jobs: list[_Job] = []
        while not stopping or jobs:
            if not jobs:
                stopping = self._fetch(jobs, wait=True)
            while not stopping and len(jobs) < MAX_GROUP_UNITS and not self._queue.empty():
                stopping = self._fetch(jobs, wait=False)
            jobs, rest = jobs[:MAX_GROUP_UNITS], jobs[MAX_GROUP_UNITS:]
            if jobs:
                try:
                    outcomes = settle([job.unit for job in jobs], self._attempt)
                except BaseException:  # the thread must outlive it, and nobody may wait for ever
                    self._disconnect()
                    outcomes = all_failed(len(jobs))
                with contextlib.suppress(RuntimeError):  # the loop is gone, and so who asked
                    self._loop.call_soon_threadsafe(self._resolve, jobs, outcomes)
            jobs = rest
        self._disconnect()
        self._writer_engine.dispose()

    def _fetch(self, jobs: list[_Job], *, wait: bool) -> bool:
        """Add what was handed over to `jobs`; whether that was the last."""
        found = self._queue.get(wait)
        if found is None:
            return True
        jobs += found
        return False

    def _resolve(self, jobs: list[_Job], outcomes: list[Outcome]) -> None:
        self._queued -= len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            resolve(job.future, outcome)

    def _attempt(self, units: Sequence[Callable[[UnitOfWork], Any]]) -> list[Any]:
        try:
            connection = self._connect()
            with connection.begin():
                transaction = Transaction(connection, self._now())
                work = UnitOfWork(transaction)
                values = []
                for index, unit in enumerate(units):
                    try:
                        values.append(unit(work))
                    except BaseException as exc:
                        raise UnitFailed(index, translate(exc)) from exc
                work.flush()
            self._check_file()
        except UnitFailed as failed:
            if isinstance(failed.error, ConnectionLostError):
                self._disconnect()
            raise
        except BaseException as exc:
            error = translate(exc)
            if isinstance(error, ConnectionLostError):
                self._disconnect()
            if error is exc:
                raise
            raise error from exc
        return values

    def _connect(self) -> Connection:
        if self._connection is not None:
            try:
                self._check_file()
            except ConnectionLostError:
                self._disconnect()
        if self._connection is None:
            connection = self._writer_engine.connect()
            try:
                status = os.stat(self._path)
            except OSError as exc:
                connection.close()
                raise ConnectionLostError("the database file is gone") from exc
            self._inode = (status.st_dev, status.st_ino)
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.invalidate()
            with contextlib.suppress(Exception):
                connection.close()

    def _check_file(self) -> None:
        # A deleted file takes commits as long as it is open, and nobody would ever see them.
        try:
            status = os.stat(self._path)
        except OSError as exc:
            raise ConnectionLostError("the database file is gone") from exc
        if (status.st_dev, status.st_ino) != self._inode:
            raise ConnectionLostError("the database file is another one")

    # --- reading ---

    async def read(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Run a unit on a snapshot in a reader thread; see `Database.read`."""
        if self._closed:
            raise UnavailableError("the database is closed")
        return await self._loop.run_in_executor(self._readers, self._read, unit)

    def _read(self, unit: Callable[[UnitOfWork], T]) -> T:
        try:
            self._check_reader()
            with self._reader_engine.connect() as connection, connection.begin():
                return unit(UnitOfWork(Transaction(connection, self._now(), read_only=True)))
        except Exception as exc:
            error = translate(exc)
            if isinstance(error, ConnectionLostError):
                self._reader_engine.dispose()
            if error is exc:
                raise
            raise error from exc

    def _check_reader(self) -> None:
        try:
            self._check_file()
        except ConnectionLostError:
            self._reader_engine.dispose()
            if not self._path.exists():
                raise

    # --- connections ---

    def _engine(self, begin: str, *, query_only: bool, foreign_keys: bool = True) -> Engine:
        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(
                f"file:{quote(str(self._path))}?mode=rw",  # never makes a new, empty file
                uri=True,
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute(f"PRAGMA foreign_keys={int(foreign_keys)}")
            connection.execute("PRAGMA temp_store=MEMORY")
            # INSERT OR REPLACE removes a row too: with this it asks the DELETE triggers first.
            connection.execute("PRAGMA recursive_triggers=1")
            # 16 MiB of pages for the writer, whose indexes are touched all over.
            connection.execute(f"PRAGMA cache_size={-2_048 if query_only else -16_384}")
            if query_only:
                connection.execute("PRAGMA query_only=1")
            return connection

        engine = (
            create_engine(
                "sqlite://", creator=connect, poolclass=QueuePool, pool_size=READERS, max_overflow=0
            )
            if query_only
            else create_engine("sqlite://", creator=connect, poolclass=NullPool)
        )

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            # To the driver itself: a statement of SQLAlchemy's costs more than the transaction.
            driver = connection.connection.driver_connection
            assert driver is not None
            driver.execute(begin)

        return engine
