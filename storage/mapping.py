"""Records to rows and back: one `Mapping` per table, checked against its columns at import."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Fields
from dataclasses import fields
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Table

R = TypeVar("R")


class Mapping(Generic[R]):
    """How a frozen record is kept in a table; every field is a column of the same name."""

    def __init__(self, table: Table, record: type[R]) -> None:
        self.table = table
        self._record = record
        self.names: tuple[str, ...] = tuple(f.name for f in fields(record))  # type: ignore[arg-type]
        """Fields in the order of the record; rows have the same order."""
        self._values: Callable[[R], tuple[Any, ...]] = attrgetter(*self.names)
        self.columns: tuple[Column[Any], ...] = tuple(table.c[name] for name in self.names)
        self._codecs = {name: table.c[name].info.get("codec") for name in self.names}
        coded = [(at, self._codecs[name]) for at, name in enumerate(self.names)]
        self._encoders: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
            (at, codec.encode) for at, codec in coded if codec
        )
        self._decoders: tuple[tuple[int, Callable[[Any], Any]], ...] = tuple(
            (at, codec.decode) for at, codec in coded if codec
        )

    def row(self, record: R) -> tuple[Any, ...]:
        """Return the driver values of a record."""
        values = list(self._values(record))
        for at, encode in self._encoders:
            if values[at] is not None:
                values[at] = encode(values[at])
        return tuple(values)

    def values(self, record: R) -> dict[str, Any]:
        """Return the driver values of a record by column name."""
        return dict(zip(self.names, self.row(record), strict=True))

    def record(self, row: Sequence[Any]) -> R:
        """Return the record of a row that was selected by `columns`."""
        values = list(row)
        for at, decode in self._decoders:
            if values[at] is not None:
                values[at] = decode(values[at])
        return self._record(*values)

    def encode(self, changes: Fields[str, Any]) -> dict[str, Any]:
        """Return driver values of some fields.

        Raises:
            TypeError: a name that is no field of the record.
        """
        encoded = {}
        for name, value in changes.items():
            if name not in self._codecs:
                raise TypeError(f"{self._record.__name__} has no field {name}")
            codec = self._codecs[name]
            encoded[name] = value if codec is None or value is None else codec.encode(value)
        return encoded
