"""Owns the file `state.db`: opening it safely, and commits in groups.

A unit is a function of the connection. Units that are submitted in one turn of the event loop
commit together, with full durability, on the loop's own thread: a commit takes a fraction of the
time of waking another thread, and while one waits for the disk the next group gathers in the
socket. When a group fails, each unit is tried alone, so one bad unit harms no other. A unit must
not touch anything but its connection: it may run twice. Must not know what the tables mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from agentd.errors import StateError, StateUnavailableError
from agentd.state.schema import APPLICATION_ID, TABLES, VERSION

T = TypeVar("T")
Unit = Callable[[sqlite3.Connection], T]

FILE_NAME: Final = "state.db"
_BUSY_SECONDS = 5.0


class _Job:
    __slots__ = ("done", "error", "future", "unit", "value")

    def __init__(self, unit: Unit[Any], future: asyncio.Future[Any] | None) -> None:
        self.unit = unit
        self.future = future
        self.value: Any = None
        self.error: Exception | None = None


class StateDatabase:
    """An open state file; used on the event loop's thread only."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.reader = connection
        """For queries outside of units: never inside a transaction."""
        self._writer = connection
        self._jobs: list[_Job] = []
        self._closed = False

    @classmethod
    def open(cls, data_dir: Path, *, create: bool) -> StateDatabase:
        """Return the state of `data_dir`; an empty one is made where there is none and `create`.

        Raises:
            StateError: missing and not `create`, damaged, not ours, or of a newer version.
            StateUnavailableError: the disk does not let us.
        """
        path = data_dir / FILE_NAME
        if not path.exists():
            if not create:
                raise StateError(
                    f"{path} is missing though this agent has a key: what it has already done is "
                    "not known. Restore it, or pass --accept-empty-state to start from nothing"
                )
            _create(path)
        writer = _connect(path)
        try:
            _check(path, writer)
        except sqlite3.Error as exc:
            writer.close()
            raise _damaged(path, exc) from exc
        except StateError:
            writer.close()
            raise
        return cls(path, writer)

    def submit(self, unit: Unit[T]) -> asyncio.Future[T]:
        """Queue a write and return its future; units take effect in the order of these calls.

        The future ends when the commit is on the disk, or raises `StateUnavailableError` (nothing
        of the unit is on the disk) or what the unit itself raised.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(StateUnavailableError("the state is closed"))
            return future
        if not self._jobs:
            loop.call_soon(self._flush)
        self._jobs.append(_Job(unit, future))
        return future

    async def write(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction; what it did is on the disk when this returns."""
        # Shielded: a caller that is cancelled does not take back what is already queued.
        return await asyncio.shield(self.submit(unit))

    def write_now(self, unit: Unit[T]) -> T:
        """Run `unit` in a transaction at once: for start and for the command line."""
        job = _Job(unit, None)
        self._run_alone(job)
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    def settle(self) -> None:
        """Put on disk what is queued, now: what is read afterwards has all that was decided."""
        self._flush()

    def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._closed:
            return
        self._flush()
        self._closed = True
        with contextlib.suppress(sqlite3.Error):
            self._writer.close()

    # --- inside ---

    def _flush(self) -> None:
        jobs, self._jobs = self._jobs, []
        if not jobs:
            return
        self._run_group(jobs)
        for job in jobs:
            if job.future is None or job.future.done():
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.value)

    def _run_group(self, group: list[_Job]) -> None:
        try:
            self._transact(group)
        except Exception:  # each unit then finds its own error alone
            for job in group:
                self._run_alone(job)

    def _run_alone(self, job: _Job) -> None:
        job.error = None
        try:
            self._transact([job])
        except sqlite3.IntegrityError as exc:
            job.error = exc
        except sqlite3.Error as exc:
            job.error = StateUnavailableError(f"cannot write {self.path}: {exc}")
        except Exception as exc:  # the unit's own; its caller is told
            job.error = exc

    def _transact(self, group: list[_Job]) -> None:
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            for job in group:
                job.value = job.unit(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            raise


def _connect(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            f"file:{path}?mode=rw",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            cached_statements=64,
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-2000")
        connection.execute("PRAGMA trusted_schema=0")
    except sqlite3.OperationalError as exc:
        raise StateUnavailableError(f"cannot open {path}: {exc}") from exc
    except sqlite3.DatabaseError as exc:
        raise _damaged(path, exc) from exc
    return connection


def _create(path: Path) -> None:
    """Make an empty state whole or not at all: built aside, then renamed."""
    aside = path.with_name(f".{path.name}.new")
    for leftover in (aside, aside.with_name(aside.name + "-journal")):
        leftover.unlink(missing_ok=True)
    try:
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(aside, isolation_level=None)
        with contextlib.closing(connection):
            connection.executescript(
                f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION};"
                f"BEGIN; {TABLES} COMMIT;"
            )
        os.replace(aside, path)
    except (OSError, sqlite3.Error) as exc:
        raise StateUnavailableError(f"cannot make {path}: {exc}") from exc


def _check(path: Path, connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise StateError(f"{path} is not the state of a Writ agent")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version != VERSION:
        raise StateError(f"{path} has version {version}; this program reads {VERSION}")
    answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if answer != "ok":
        raise _damaged(path, answer)


def _damaged(path: Path, why: object) -> StateError:
    return StateError(
        f"{path} is damaged ({why}); nothing will be done on it. Restore it from a copy, or move "
        "it away and pass --accept-empty-state to start from nothing"
    )
