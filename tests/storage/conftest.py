from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.servers.sqlite import lay_schema


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    path = tmp_path / "hub.db"
    lay_schema(path)
    return path


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a fresh, migrated database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{request.getfixturevalue('sqlite_path')}"
    else:
        yield request.getfixturevalue("postgres_url")


@pytest.fixture(params=["sqlite", "postgres"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any schema, of each kind."""
    if request.param == "sqlite":
        yield f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    else:
        yield request.getfixturevalue("empty_postgres_url")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open database of each kind."""
    opened = await Database.open(database_url, busy_timeout_seconds=1.0)
    yield opened
    await opened.close()
