"""The database of the hub: units of work in, frozen records out."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from storage.errors import StorageError
from storage.postgres_engine import PostgresEngine
from storage.sqlite_engine import SqliteEngine
from storage.unit_of_work import UnitOfWork

T = TypeVar("T")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Database:
    """One open database, SQLite or Postgres, with the same behaviour."""

    def __init__(
        self,
        engine: SqliteEngine | PostgresEngine,
        guard: Callable[[UnitOfWork], None] | None = None,
    ) -> None:
        self._engine = engine
        self._guard = guard

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        create: bool = True,
        now: Callable[[], datetime] = _utc_now,
        busy_timeout_seconds: float = 5.0,
    ) -> Database:
        """Return the database of `url`, ready for units.

        Args:
            url: `sqlite+aiosqlite:///PATH` (a file; its folder exists) or `postgresql+asyncpg://`.
            create: make it and bring its schema up to date; else only check the schema.
            now: the clock that stamps audit leaves.
            busy_timeout_seconds: how long a lock or a free connection is waited for.

        Raises:
            UnavailableError: it cannot be reached or used now.
            MigrationError: its schema is not ours.
            StorageError: no such kind of database.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as exc:
            raise StorageError("not a database URL") from exc
        engine: SqliteEngine | PostgresEngine
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise StorageError("SQLite needs a file: it is the hub's memory")
            path = Path(os.path.abspath(parsed.database))  # noqa: ASYNC240 - no I/O
            engine = SqliteEngine(path, now=now, busy_timeout_seconds=busy_timeout_seconds)
        elif parsed.get_backend_name() == "postgresql":
            engine = PostgresEngine(
                parsed.set(drivername="postgresql+asyncpg"),
                now=now,
                busy_timeout_seconds=busy_timeout_seconds,
            )
        else:
            raise StorageError("only SQLite and Postgres are supported")
        await engine.start(create=create)
        return cls(engine)

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to it while this one does."""
        return isinstance(self._engine, PostgresEngine)

    async def write(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Run `unit` in a transaction that it shares with others; return when it is on disk.

        The unit is a sync function and may be run again from scratch: it changes nothing but
        through its `UnitOfWork`. It must not swallow a storage error: let it through, it fails
        this unit alone. When the caller is cancelled, the unit may be kept all the same.

        Raises:
            UnavailableError: locked, full, gone or too much waiting; nothing half-written.
            BadValueError: a value that the database cannot hold.
            ConflictError: the schema's own rules (unique names, for one) do not allow it.
            Exception: whatever the unit raises, unchanged; then nothing of it is kept.
        """
        guard = self._guard
        if guard is None:
            return await self._engine.write(unit)

        def guarded(uow: UnitOfWork) -> T:
            guard(uow)
            return unit(uow)

        return await self._engine.write(guarded)

    def guarded(self, guard: Callable[[UnitOfWork], None]) -> Database:
        """Return the same database, on which every write begins with `guard` and its refusal.

        A fence: what `guard` locks stays so until the unit is on disk, so whoever has lost the
        right to write, however long they slept, writes nothing.
        """
        return Database(self._engine, guard)

    async def read(self, unit: Callable[[UnitOfWork], T]) -> T:
        """Run `unit` on one snapshot that includes every write acknowledged before.

        Raises:
            UnavailableError: the database cannot be read now.
        """
        return await self._engine.read(unit)

    async def ping(self) -> None:
        """Return when the database answers; `UnavailableError` when it does not."""
        await self._engine.read(lambda work: work.ping())

    async def close(self) -> None:
        """Finish every queued write, then let go. Afterwards everything is unavailable."""
        await self._engine.close()
