"""Cursor pages: a page of records, and an opaque cursor that stands for the last sort key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from storage.errors import BadCursorError

R = TypeVar("R")
Key = str | int

MIN_PAGE_LIMIT = 1
DEFAULT_PAGE_LIMIT = 50
MAX_PAGE_LIMIT = 200
MAX_CURSOR_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some records in order, and the cursor of the next page (None: this was the last one)."""

    items: tuple[R, ...]
    next_cursor: str | None = None


def bound_limit(limit: int) -> int:
    """Return `limit` moved into 1..200 records."""
    return max(MIN_PAGE_LIMIT, min(limit, MAX_PAGE_LIMIT))


def encode_cursor(key: Sequence[Key]) -> str:
    """Return the opaque text that stands for a sort key."""
    data = json.dumps(list(key), separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def parse_cursor(cursor: str, kinds: tuple[type, ...]) -> tuple[Key, ...]:
    """Return the sort key that `cursor` stands for.

    Args:
        cursor: from a client, so anything at all.
        kinds: the type of each part of the key.

    Raises:
        BadCursorError: not a cursor, or one of another listing.
    """
    if len(cursor) > MAX_CURSOR_CHARS:
        raise BadCursorError("not a cursor of this listing")
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as exc:
        raise BadCursorError("not a cursor of this listing") from exc
    fits = isinstance(key, list) and len(key) == len(kinds)
    if not fits or any(type(part) is not kind for part, kind in zip(key, kinds, strict=True)):
        raise BadCursorError("not a cursor of this listing")
    for part in key:
        # Neither driver takes these: a NUL or half a surrogate pair in text, more than 64 bits.
        bad_text = isinstance(part, str) and not _is_storable(part)
        if bad_text or (isinstance(part, int) and not -(2**63) <= part < 2**63):
            raise BadCursorError("not a cursor of this listing")
    return tuple(key)


def _is_storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def page_of(rows: Sequence[R], limit: int, keys: Sequence[Sequence[Key]]) -> Page[R]:
    """Return the page of the first `limit` rows; one row more than that means there is a next.

    Args:
        rows: at most `limit + 1` records in order.
        limit: already bounded.
        keys: the sort key of each row.
    """
    if len(rows) <= limit:
        return Page(tuple(rows))
    return Page(tuple(rows[:limit]), encode_cursor(keys[limit - 1]))
