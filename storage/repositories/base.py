"""What most repositories do alike: get one, insert one, change one, list a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Insert, bindparam, literal_column, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import update

from storage.errors import ConflictError, NotFoundError
from storage.mapping import Mapping
from storage.pages import (
    DEFAULT_PAGE_LIMIT,
    MAX_PAGE_LIMIT,
    Page,
    bound_limit,
    encode_cursor,
    page_of,
    parse_cursor,
)
from storage.transaction import BulkInsert, Prepared, Transaction

R = TypeVar("R")
_MAX_LOOKS: Final = 50 * MAX_PAGE_LIMIT


@cache
def _adding(mapping: Mapping[Any]) -> BulkInsert:
    """The INSERT of one kind of record, made once."""
    return BulkInsert(mapping.table, mapping.names)


@cache
def _finding(mapping: Mapping[Any], *columns: str) -> Prepared:
    """The SELECT of one record by the values of these columns, made once."""
    where = [mapping.table.c[name] == bindparam(name) for name in columns]
    return Prepared(select(*mapping.columns).where(*where).limit(literal_column("1")))


class Repository(Generic[R]):
    """Rows of one table as records of one kind."""

    mapping: Mapping[R]
    noun: str
    """For messages: `no such <noun>`."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    def _insert(self, record: R) -> None:
        mapping = self.mapping
        self._tx.insert(_adding(mapping), [mapping.row(record)])

    def _find(self, **equal: str | int) -> R | None:
        """Return the record whose columns have these driver values, or None."""
        self._tx.flush()
        row = self._tx.row(_finding(self.mapping, *equal), **equal)
        return None if row is None else self.mapping.record(row)

    def _one(self, *where: ColumnElement[bool]) -> R | None:
        row = self._tx.core(select(*self.mapping.columns).where(*where).limit(1)).first()
        return None if row is None else self.mapping.record(row)

    def _all(
        self, *where: ColumnElement[bool], order: Any = None, limit: int | None = None
    ) -> list[R]:
        statement = select(*self.mapping.columns).where(*where)
        if order is not None:
            statement = statement.order_by(order)
        if limit is not None:
            statement = statement.limit(limit)
        return [self.mapping.record(row) for row in self._tx.core(statement)]

    def _need(self, record: R | None) -> R:
        if record is None:
            raise NotFoundError(f"no such {self.noun}")
        return record

    def _change(self, where: Sequence[ColumnElement[bool]], **changes: Any) -> R | None:
        """Compare and set: the changed record, or None when nothing matched."""
        mapping = self.mapping
        row = self._tx.core(
            update(mapping.table)
            .where(*where)
            .values(mapping.encode(changes))
            .returning(*mapping.columns)
        ).first()
        return None if row is None else mapping.record(row)

    def _revise(self, key: ColumnElement[bool], revision: int | None, changes: dict[str, Any]) -> R:
        """Change one record and count its `revision` up; with `revision`, only from that one."""
        mapping = self.mapping
        column = mapping.table.c.revision
        where = [key] if revision is None else [key, column == revision]
        row = self._tx.core(
            update(mapping.table)
            .where(*where)
            .values({**mapping.encode(changes), "revision": column + 1})
            .returning(*mapping.columns)
        ).first()
        if row is not None:
            return mapping.record(row)
        self._need(self._one(key))
        raise ConflictError(f"this {self.noun} was changed by somebody else")

    def _page(
        self,
        where: Sequence[ColumnElement[bool]],
        *,
        key: Column[Any],
        newest_first: bool = True,
        limit: int = DEFAULT_PAGE_LIMIT,
        cursor: str | None = None,
        keep: Callable[[R], bool] | None = None,
    ) -> Page[R]:
        """Return a page; with `keep`, of those records only, as if there were no others.

        What decides may be out of SQL's reach; it then looks at no more than `_MAX_LOOKS` rows.
        """
        limit = bound_limit(limit)
        after: Any = None
        if cursor is not None:
            (after,) = parse_cursor(cursor, (key.type.python_type,))
        step = limit + 1 if keep is None else MAX_PAGE_LIMIT
        kept: list[R] = []
        for _ in range(_MAX_LOOKS // MAX_PAGE_LIMIT):
            statement = select(*self.mapping.columns).where(*where)
            if after is not None:
                statement = statement.where(key < after if newest_first else key > after)
            statement = statement.order_by(key.desc() if newest_first else key).limit(step)
            found = [self.mapping.record(row) for row in self._tx.core(statement)]
            kept += found if keep is None else filter(keep, found)
            if keep is None or len(found) < step or len(kept) > limit:
                return page_of(kept, limit, [(getattr(one, key.name),) for one in kept])
            after = getattr(found[-1], key.name)
        return Page(tuple(kept), encode_cursor((after,)))

    def _insert_or_ignore(self) -> Insert:
        """Return an INSERT that does nothing where a key is taken; its RETURNING tells."""
        table = self.mapping.table
        if self._tx.is_sqlite:
            return sqlite.insert(table).on_conflict_do_nothing()
        return postgresql.insert(table).on_conflict_do_nothing()
