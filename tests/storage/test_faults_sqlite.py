"""SQLite when the world fails: locked, full, deleted, killed."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from storage.database import Database
from storage.errors import UnavailableError
from tests.storage.samples import document


def _names(folder: Path, pattern: str) -> list[str]:
    return sorted(part.name for part in folder.glob(pattern))


def _move(pattern: str, source: Path, target: Path) -> None:
    for part in source.glob(pattern):
        part.rename(target / part.name)


async def _open(path: Path, busy_timeout_seconds: float = 0.2) -> Database:
    return await Database.open(
        f"sqlite+aiosqlite:///{path}", busy_timeout_seconds=busy_timeout_seconds
    )


async def test_a_lock_held_by_another_process_is_unavailable_until_it_is_let_go(
    sqlite_path: Path,
) -> None:
    database = await _open(sqlite_path)
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(database.write(lambda uow, n=n: uow.settings.put(f"k{n}", n)) for n in range(20)),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    await database.ping()  # readers do not care
    holder.execute("ROLLBACK")
    await database.write(lambda uow: uow.settings.put("after", 1))
    kept = await database.read(lambda uow: [item.key for item in uow.settings.list()])
    assert kept == ["after"]
    holder.close()
    await database.close()


async def test_a_full_disk_is_unavailable_keeps_nothing_and_ends_when_there_is_room(
    sqlite_path: Path,
) -> None:
    database = await _open(sqlite_path)

    await database.write(lambda uow: uow.settings.put("before", 1))
    used = await database.read(
        lambda uow: uow.transaction.core(text("PRAGMA page_count")).scalar_one()
    )
    await database.write(
        lambda uow: uow.transaction.core(text(f"PRAGMA max_page_count={used + 2}")).scalar_one()
    )
    big = [document(wire=b"x" * 20_000) for _ in range(4)]
    outcomes = await asyncio.gather(
        *(database.write(lambda uow, d=d: uow.documents.put(d)) for d in big),
        return_exceptions=True,
    )
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
    with pytest.raises(UnavailableError):
        await database.write(lambda uow: (uow.settings.put("half", 1), uow.documents.put(big[0])))
    assert await database.read(lambda uow: uow.settings.get("half")) is None
    assert await database.read(lambda uow: uow.documents.get_many([d.id for d in big])) == []

    await database.write(
        lambda uow: uow.transaction.core(text("PRAGMA max_page_count=100000")).scalar_one()
    )
    for record in big:
        await database.write(lambda uow, d=record: uow.documents.put(d))
    kept = await database.read(lambda uow: uow.documents.get_many([d.id for d in big]))
    assert kept == big
    assert await database.read(lambda uow: uow.settings.get("before")) is not None
    await database.close()


async def test_a_deleted_file_is_unavailable_until_it_is_put_back(
    sqlite_path: Path, tmp_path: Path
) -> None:
    database = await _open(sqlite_path)
    await database.write(lambda uow: uow.settings.put("kept", 1))
    away = tmp_path / "away"
    away.mkdir()
    _move("hub.db*", tmp_path, away)
    with pytest.raises(UnavailableError):
        await database.write(lambda uow: uow.settings.put("lost", 1))
    with pytest.raises(UnavailableError):
        await database.read(lambda uow: uow.settings.get("kept"))
    assert not _names(tmp_path, "hub.db*")  # nobody made an empty one in its place
    _move("hub.db*", away, tmp_path)
    await database.write(lambda uow: uow.settings.put("again", 1))
    keys = await database.read(lambda uow: [item.key for item in uow.settings.list()])
    assert keys == ["again", "kept"]
    await database.close()


async def test_a_file_that_is_no_database_is_unavailable_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    path.write_bytes(b"these are somebody's notes, not a database" * 100)
    before = path.read_bytes()
    with pytest.raises(UnavailableError):
        await _open(path)
    assert path.read_bytes() == before


async def test_a_missing_folder_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        await _open(tmp_path / "nowhere" / "hub.db")


async def test_the_file_is_private_and_durable(sqlite_path: Path, tmp_path: Path) -> None:
    path = tmp_path / "fresh.db"
    database = await _open(path)
    assert path.stat().st_mode & 0o777 == 0o600

    def pragmas(uow: object) -> list[object]:
        run = uow.transaction.core  # type: ignore[attr-defined]
        return [
            run(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]

    assert await database.write(pragmas) == ["wal", 2, 1]
    await database.close()
