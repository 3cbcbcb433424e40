"""The few kinds of column there are, each with the codec between a record's field and the row.

Rows hold only what both drivers know as they are: text, 64-bit integers, booleans and bytes.
A time is whole milliseconds since 1970 UTC; a structure is JSON text. The codecs are applied by
`storage.mapping`, not by SQLAlchemy types: the hot statements go to the driver directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import BigInteger, Boolean, Column, LargeBinary, MetaData, Text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
"""The one schema."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Codec:
    """How a field becomes a driver value and back; None stays None."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def encode_time(moment: datetime) -> int:
    """Return whole milliseconds since 1970; a naive time is a `TypeError`."""
    return (moment - _EPOCH) // _MILLISECOND


def decode_time(milliseconds: int) -> datetime:
    """Return the aware UTC time of `encode_time`, exactly."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def encode_json(value: object) -> str:
    """Return compact JSON text."""
    return orjson.dumps(value).decode()


def _decode_names(text: str) -> tuple[str, ...]:
    return tuple(orjson.loads(text))


TIME = Codec(encode_time, decode_time)
JSON = Codec(encode_json, orjson.loads)
NAMES = Codec(encode_json, _decode_names)
FLAG = Codec(bool, bool)


def text(name: str, *args: Any, null: bool = False, **options: Any) -> Column[Any]:
    """A string."""
    return Column(name, Text, *args, nullable=null, **options)


def moment(name: str, *, null: bool = False) -> Column[Any]:
    """An aware datetime, kept as milliseconds."""
    return Column(name, BigInteger, nullable=null, info={"codec": TIME})


def structure(name: str, *, null: bool = False) -> Column[Any]:
    """JSON objects and lists, kept as text."""
    return Column(name, Text, nullable=null, info={"codec": JSON})


def names(name: str, *, null: bool = False, **options: Any) -> Column[Any]:
    """A tuple of strings, kept as a JSON list."""
    return Column(name, Text, nullable=null, info={"codec": NAMES}, **options)


def flag(name: str) -> Column[Any]:
    """A truth value."""
    return Column(name, Boolean, nullable=False, info={"codec": FLAG})


def count(name: str, *args: Any, null: bool = False, **options: Any) -> Column[Any]:
    """A 64-bit integer."""
    return Column(name, BigInteger, *args, nullable=null, **options)


def blob(name: str, *, null: bool = False) -> Column[Any]:
    """Bytes, exactly."""
    return Column(name, LargeBinary, nullable=null)


def coded(name: str, codec: Codec, *, null: bool = False) -> Column[Any]:
    """A string with a codec of its own, such as an enumeration."""
    return Column(name, Text, nullable=null, info={"codec": codec})
