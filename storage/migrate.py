"""Bring a schema up to date, or refuse to work with another."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, delete, insert, inspect, select, text

from storage.errors import MigrationError
from storage.tables.processes import schema_floor

_FOLDER = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x57524954  # "WRIT": one hub migrates a Postgres database at a time


def config(connection: Connection | None = None) -> Config:
    """Return the configuration that alembic's commands take, bound to a connection."""
    made = Config()
    made.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


@cache
def head() -> str:
    """Return the revision this version works with."""
    found = ScriptDirectory.from_config(config()).get_current_head()
    if found is None:
        raise MigrationError("this installation has no migrations")
    return found


@cache
def floor() -> str:
    """Return the oldest revision whose code can work with the schema of this version.

    A migration that takes away what the code before it needs says so: `contracts = True`.
    """
    for script in ScriptDirectory.from_config(config()).walk_revisions():
        if getattr(script.module, "contracts", False):
            return script.revision
    raise MigrationError("this installation has no migrations")


def _floor(connection: Connection) -> str | None:
    if not inspect(connection).has_table(schema_floor.name):
        return None
    return connection.execute(select(schema_floor.c.revision)).scalar()


def current(connection: Connection) -> str | None:
    """Return the revision of a database; None for an empty one."""
    return MigrationContext.configure(connection).get_current_revision()


def prepare(connection: Connection, *, upgrade: bool) -> None:
    """Leave the database at `head`, all or nothing, in the caller's transaction.

    One that a newer version has migrated is left as it is, when that version said that this one
    can work with it (docs/adr/0010).

    Args:
        connection: inside a transaction; on SQLite with foreign keys off.
        upgrade: migrate; else only look.

    Raises:
        MigrationError: behind and not to be upgraded, or too new for this version.
    """
    if upgrade and connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    found = current(connection)
    if found == head():
        return
    known = {script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()}
    if found is not None and found not in known:
        if _floor(connection) in known:
            return
        raise MigrationError("this database was written by a newer version")
    if not upgrade:
        raise MigrationError("this database needs `writ hub migrate`")
    command.upgrade(config(connection), "head")
    connection.execute(delete(schema_floor))
    connection.execute(insert(schema_floor).values(revision=floor()))
    if connection.dialect.name == "sqlite":
        broken = connection.execute(text("PRAGMA foreign_key_check")).first()
        if broken is not None:
            raise MigrationError("a migration left a row without its parent")
