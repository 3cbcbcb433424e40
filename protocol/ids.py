"""Ids are UUIDv7 in lowercase; names and actions have one spelling each (SPEC sections 3 to 6)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from protocol.errors import BadEnvelopeError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION_7 = 0x7000_8000_0000_0000_0000
_RANDOM_BITS = 0x0FFF_3FFF_FFFF_FFFF_FFFF
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ACTION_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$"
NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,62}$"
_ACTION = re.compile(ACTION_PATTERN[1:-1])
_NAME = re.compile(NAME_PATTERN[1:-1])


def format_uuid7(moment: datetime, random_bytes: bytes) -> str:
    """Return the UUIDv7 (RFC 9562) of a time and ten random bytes.

    Args:
        moment: aware; its milliseconds since 1970 become the first 48 bits.
        random_bytes: exactly 10 bytes, fresh for every id.
    """
    return uuid7_at((moment - _EPOCH) // _MILLISECOND, random_bytes)


def uuid7_at(milliseconds: int, random_bytes: bytes) -> str:
    """Return the UUIDv7 of a time in milliseconds since 1970 and ten random bytes."""
    if len(random_bytes) != 10:
        raise ValueError("a UUIDv7 takes ten random bytes")
    number = int.from_bytes(random_bytes, "big") & _RANDOM_BITS | milliseconds << 80 | _VERSION_7
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def parse_id(text: object) -> str:
    """Return `text` when it is a lowercase UUIDv7, else raise `BadEnvelopeError`."""
    if not isinstance(text, str) or _UUID7.fullmatch(text) is None:
        raise BadEnvelopeError("an id is a lowercase UUIDv7")
    return text


def is_action(text: str) -> bool:
    """Whether `text` is the name of an action (not a pattern)."""
    return len(text) <= 200 and _ACTION.fullmatch(text) is not None


def is_action_pattern(text: str) -> bool:
    """Whether `text` is an action, `namespace.*`, or `*`."""
    return text == "*" or is_action(text.removesuffix(".*"))


def is_agent_name(text: str) -> bool:
    """Whether `text` may be the name of an agent."""
    return _NAME.fullmatch(text) is not None
