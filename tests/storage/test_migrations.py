"""The schema in the database is the schema in the code, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from storage import migrate
from storage.database import Database
from storage.errors import MigrationError, StorageError
from storage.tables import metadata
from tests.storage.samples import agent


def test_there_is_one_head() -> None:
    assert len(ScriptDirectory.from_config(migrate.config()).get_heads()) == 1


async def test_metadata_and_migrations_agree(database: Database) -> None:
    def compare(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    found = await database.write(lambda uow: compare(uow.transaction.connection))
    assert found == []


async def test_the_way_down_and_up_again_works(database: Database) -> None:
    def down_and_up(connection: Connection) -> str | None:
        command.downgrade(migrate.config(connection), "base")
        left = migrate.current(connection)
        assert left is None
        command.upgrade(migrate.config(connection), "head")
        return migrate.current(connection)

    found = await database.write(lambda uow: down_and_up(uow.transaction.connection))
    assert found == migrate.head()
    await database.write(lambda uow: uow.audit.append("k", "a", "s", {}))


async def test_opening_an_empty_database_without_create_is_refused(
    empty_database_url: str, tmp_path: Path
) -> None:
    if empty_database_url.startswith("sqlite"):
        (tmp_path / "hub.db").touch()
    with pytest.raises(MigrationError):
        await Database.open(empty_database_url, create=False)


async def test_a_database_of_a_newer_version_is_refused_and_left_alone(
    database_url: str,
) -> None:
    database = await Database.open(database_url)
    for newer in ("DROP TABLE schema_floor", "UPDATE alembic_version SET version_num = '9999'"):
        await database.write(lambda uow, sql=newer: uow.transaction.core(text(sql)).rowcount)
    await database.close()
    for create in (True, False):
        with pytest.raises(MigrationError):
            await Database.open(database_url, create=create)


async def test_a_database_one_expansion_ahead_is_worked_with_and_left_as_it_is(
    database_url: str,
) -> None:
    database = await Database.open(database_url)

    def expand(connection: Connection) -> None:
        # What the next version's migration does, and what it says about this one.
        connection.execute(text("ALTER TABLE agents ADD COLUMN later TEXT"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(lambda uow: expand(uow.transaction.connection))
    await database.close()
    for create in (True, False):
        database = await Database.open(database_url, create=create)
        await database.write(lambda uow: uow.agents.add(agent()))
        found = await database.read(lambda uow: migrate.current(uow.transaction.connection))
        assert found == "9999"
        await database.close()


async def test_a_database_whose_newer_version_took_something_away_is_refused(
    database_url: str,
) -> None:
    database = await Database.open(database_url)

    def contract(connection: Connection) -> None:
        connection.execute(text("UPDATE schema_floor SET revision = '9999'"))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await database.write(lambda uow: contract(uow.transaction.connection))
    await database.close()
    with pytest.raises(MigrationError):
        await Database.open(database_url)


async def test_several_hubs_that_open_an_empty_database_at_once_all_succeed(
    empty_database_url: str,
) -> None:
    opened = await asyncio.gather(*(Database.open(empty_database_url) for _ in range(4)))
    for number, database in enumerate(opened):
        await database.write(lambda uow, n=number: uow.settings.put(f"hub{n}", n))
    assert len(await opened[0].read(lambda uow: uow.settings.list())) == 4
    for database in opened:
        await database.close()


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://x/y", "sqlite+aiosqlite://", "sqlite:///:memory:"]
)
async def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(StorageError):
        await Database.open(url)
