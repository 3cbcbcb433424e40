"""One open transaction, and the three ways to speak in it.

`core` runs any SQLAlchemy statement. `Prepared` and `BulkInsert` are compiled once and go to the
driver directly: they carry the hot path, where SQLAlchemy's own work per statement would cost more
than the database's. Deferred rows are written many at a time when the transaction, or a statement
that must see them, asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, CursorResult, Dialect, Select, Table, func, select
from sqlalchemy.sql import ClauseElement, Executable

from storage.errors import StorageError


class Prepared:
    """A Core statement, compiled once a dialect; its values are already driver values."""

    __slots__ = ("_compiled", "_statement", "writes")

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        locks = isinstance(statement, Select) and statement._for_update_arg is not None
        self.writes = locks or bool(getattr(statement, "is_dml", False))
        self._compiled: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {}

    def also(self, *where: ColumnElement[bool]) -> Prepared:
        """Return the same statement under further conditions."""
        statement: Any = self._statement
        return Prepared(statement.where(*where))

    def sql(self, dialect: Dialect) -> str:
        """Return the statement's text for this dialect."""
        return self._compile(dialect)[0]

    def bind(self, dialect: Dialect, values: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        """Return the SQL text and its parameters in order; a missing value is a `KeyError`."""
        found = self._compiled.get(dialect.name)
        sql, order, constants = found if found is not None else self._compile(dialect)
        if constants:
            values = constants | values
        return sql, tuple([values[name] for name in order])

    def _compile(self, dialect: Dialect) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled = self._statement.compile(dialect=dialect)
            order = tuple(getattr(compiled, "positiontup", None) or ())
            constants = {
                name: value for name, value in compiled.params.items() if value is not None
            }
            found = self._compiled[dialect.name] = (str(compiled), order, constants)
        return found


_ROWS_AT_ONCE = (64, 16, 4, 1)
"""Rows of one INSERT on SQLite: few texts, so that every one of them is prepared once.

The driver lets go of the interpreter for every statement it steps, and for every row of an
`executemany`. Where the event loop is busy it takes its turn each time, and the writer waits for
the interpreter as often as a group has rows."""


class BulkInsert:
    """Rows into one table: some at a time on SQLite, one `unnest` statement on Postgres."""

    __slots__ = ("_sql", "columns", "table")

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.table = table
        self.columns = tuple(columns)
        self._sql: dict[tuple[str, int], str] = {}

    def sql(self, dialect: Dialect, rows: int = 1) -> str:
        """Return the statement for this dialect; on SQLite for so many rows."""
        found = self._sql.get((dialect.name, rows))
        if found is None:
            quote = dialect.identifier_preparer.quote
            chosen = [self.table.c[name] for name in self.columns]
            into = f"{quote(self.table.name)} ({', '.join(quote(c.name) for c in chosen)})"
            if dialect.name == "sqlite":
                row = f"({', '.join('?' * len(chosen))})"
                found = f"INSERT INTO {into} VALUES {', '.join([row] * rows)}"  # noqa: S608
            else:
                arrays = ", ".join(
                    f"${at}::{column.type.compile(dialect)}[]"
                    for at, column in enumerate(chosen, start=1)
                )
                found = f"INSERT INTO {into} SELECT * FROM unnest({arrays})"  # noqa: S608
            self._sql[dialect.name, rows] = found
        return found


class Transaction:
    """Statements of one transaction on one connection; deferred rows wait for `flush`."""

    def __init__(self, connection: Connection, now: datetime, *, read_only: bool = False) -> None:
        self.connection = connection
        self._read_only = read_only
        self.now = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as rows keep it
        """When the unit began; the default time of what it appends."""
        self.dialect = connection.dialect
        self.is_sqlite = self.dialect.name == "sqlite"
        self._driver: Any = connection.connection.driver_connection if self.is_sqlite else None
        self._deferred: dict[BulkInsert, list[tuple[Any, ...]]] = {}
        self._later: dict[Prepared, list[tuple[Any, ...]]] = {}

    def core(self, statement: Executable) -> CursorResult[Any]:
        """Run any statement after every deferred row."""
        self._check(bool(getattr(statement, "is_dml", False)))
        self.flush()
        return self.connection.execute(statement)

    def rows(self, prepared: Prepared, **values: Any) -> Sequence[Sequence[Any]]:
        """Run a prepared statement that returns rows; sees deferred rows only after `flush`."""
        self._check(prepared.writes)
        sql, parameters = prepared.bind(self.dialect, values)
        if self.is_sqlite:
            fetched: list[tuple[Any, ...]] = self._driver.execute(sql, parameters).fetchall()
            return fetched
        return self.connection.exec_driver_sql(sql, parameters).fetchall()

    def row(self, prepared: Prepared, **values: Any) -> Sequence[Any] | None:
        """Return the first row of a prepared statement, or None."""
        found = self.rows(prepared, **values)
        return found[0] if found else None

    def run(self, prepared: Prepared, **values: Any) -> int:
        """Run a prepared statement that changes rows; return how many."""
        self._check(prepared.writes)
        sql, parameters = prepared.bind(self.dialect, values)
        if self.is_sqlite:
            return int(self._driver.execute(sql, parameters).rowcount)
        return self.connection.exec_driver_sql(sql, parameters).rowcount

    def defer(self, bulk: BulkInsert, rows: Iterable[tuple[Any, ...]]) -> None:
        """Keep rows to be inserted, in the order of `bulk.columns`, with the next flush."""
        self.check_writable()
        self._deferred.setdefault(bulk, []).extend(rows)

    def insert(self, bulk: BulkInsert, rows: list[tuple[Any, ...]]) -> None:
        """Insert rows at once, after every deferred row: a taken key is an error here."""
        self.check_writable()
        self.flush()
        self._insert(bulk, rows)

    def alone(self, what: str) -> None:
        """Wait until no other transaction, of any hub, is where this one is until it ends.

        For what two units must not both find allowed. SQLite has one writer anyway.
        """
        if not self.is_sqlite:
            self.core(select(func.pg_advisory_xact_lock(func.hashtextextended(what, 0))))

    def later(self, prepared: Prepared, **values: Any) -> None:
        """Run a statement that nobody asks the outcome of, with all of its kind, at the flush.

        It runs after every row that is deferred by then; who must see it flushes first.
        """
        self._check(prepared.writes)
        sql_and_values = prepared.bind(self.dialect, values)
        self._later.setdefault(prepared, []).append(sql_and_values[1])

    def flush(self, *only: BulkInsert) -> None:
        """Write deferred rows: of the given tables, or all and then what was put off."""
        if self._deferred:
            for bulk in only or tuple(self._deferred):
                rows = self._deferred.pop(bulk, None)
                if rows:
                    self._insert(bulk, rows)
        if self._later and not only:
            waiting, self._later = self._later, {}
            for prepared, parameters in waiting.items():
                self._run_many(prepared.sql(self.dialect), parameters)

    def check_writable(self) -> None:
        """Refuse what is to be written in a unit that only reads, even when that is later."""
        # The database would refuse too, but later, and not the rows that are only deferred.
        if self._read_only:
            raise StorageError("a reading unit tried to write")

    def _check(self, writes: bool) -> None:
        if writes:
            self.check_writable()

    def _run_many(self, sql: str, parameters: list[tuple[Any, ...]]) -> None:
        if self.is_sqlite:
            self._driver.executemany(sql, parameters)
        else:
            self.connection.exec_driver_sql(sql, parameters)

    def _insert(self, bulk: BulkInsert, rows: list[tuple[Any, ...]]) -> None:
        if not self.is_sqlite:
            arrays = tuple([list(column) for column in zip(*rows, strict=True)])
            self.connection.exec_driver_sql(bulk.sql(self.dialect), arrays)
            return
        at = 0
        for size in _ROWS_AT_ONCE:
            sql = bulk.sql(self.dialect, size)
            while len(rows) - at >= size:
                self._driver.execute(sql, tuple(chain.from_iterable(rows[at : at + size])))
                at += size
