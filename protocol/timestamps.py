"""The one form of time on the wire: `YYYY-MM-DDTHH:MM:SS.mmmZ`, exactly (SPEC section 3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from protocol.errors import BadEnvelopeError

_FORM = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", re.ASCII)


def parse_timestamp(text: object) -> datetime:
    """Return the aware UTC time that `text` spells.

    Raises:
        BadEnvelopeError: any other form, or a date or time that does not exist.
    """
    if not isinstance(text, str) or _FORM.fullmatch(text) is None:
        raise BadEnvelopeError("a timestamp is YYYY-MM-DDTHH:MM:SS.mmmZ")
    try:
        return datetime.fromisoformat(text)
    except ValueError as exc:
        raise BadEnvelopeError("no such date or time") from exc


def format_timestamp(moment: datetime) -> str:
    """Return the wire form of `moment`, cut (not rounded) to milliseconds.

    Raises:
        ValueError: `moment` has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a wire timestamp needs an aware datetime")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    text = moment.isoformat(timespec="milliseconds")
    return text[:-6] + "Z"


def _validate(value: object) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(UTC)
    try:
        return parse_timestamp(value)
    except BadEnvelopeError as exc:
        raise ValueError(str(exc)) from exc


Timestamp = Annotated[
    datetime, BeforeValidator(_validate), PlainSerializer(format_timestamp, return_type=str)
]
"""A model field that is an aware datetime in Python and the exact wire form in JSON."""
