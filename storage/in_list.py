"""A list as one parameter, so that a statement keeps its text however long the list is.

An `IN` with a placeholder per value is another statement for every length: nothing to prepare
once, and a new plan each time. Postgres takes an array, SQLite a JSON list.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, Column, ColumnElement, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from storage.tables.columns import encode_json


class InList(ColumnElement[bool]):
    """`column` is one of the values of the parameter `name`; give it `list_value(...)`."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, column: Column[Any], name: str) -> None:
        self.column = column
        self.name = name


@compiles(InList, "sqlite")
def _for_sqlite(element: InList, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    values = compiler.process(bindparam(element.name, type_=Text()), **options)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - both parts are compiled


@compiles(InList, "postgresql")
def _for_postgres(element: InList, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.column, **options)
    kind = BigInteger() if isinstance(element.column.type, BigInteger) else Text()
    values = compiler.process(bindparam(element.name, type_=ARRAY(kind)), **options)
    return f"{column} = ANY ({values})"


def list_value(values: Sequence[str] | Sequence[int], *, is_sqlite: bool) -> str | list[Any]:
    """Return the driver value of a list parameter."""
    return encode_json(list(values)) if is_sqlite else list(values)
