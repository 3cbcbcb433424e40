"""Owns the one spelling of a JSON value: RFC 8785 (JCS), the bytes that get signed and hashed.

`rfc8785` is the reference. It is slower than a signature, so values that every sorted encoder
spells the same way take a C encoder instead: ASCII keys, no integer outside the safe range and
no float whose shortest form Python writes otherwise. Everything else goes to the reference.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable

import rfc8785

from protocol import limits
from protocol.errors import BadJsonError
from protocol.strict_json import JsonValue

try:
    import orjson
except ImportError:  # only the hub's extra brings it; the standard library serves as well
    orjson = None  # type: ignore[assignment]


class _Spelling(enum.IntEnum):
    """Which encoders are known to write a value as RFC 8785 does; the larger, the fewer."""

    ANY_SORTED = 0
    STDLIB = 1
    REFERENCE = 2


def canonical_json(value: JsonValue) -> bytes:
    """Return the RFC 8785 form of `value`.

    Any finite double is taken, as RFC 8785 does, also beyond the profile of the wire.

    Raises:
        BadJsonError: no JSON value, an integer that no double holds for sure, NaN, an infinity,
            a lone surrogate, or nesting without end.
    """
    try:
        spelling = _spelling(value)
        if spelling is _Spelling.ANY_SORTED:
            return _encode_sorted(value)
        if spelling is _Spelling.STDLIB:
            return _encode_with_stdlib(value)
        return rfc8785.dumps(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        # UnicodeEncodeError, JSONEncodeError and CanonicalizationError are ValueErrors.
        raise BadJsonError("no canonical form") from exc


def _spelling(value: object) -> _Spelling:
    """Tell who may encode `value`. Exact types only: a subclass may encode as anything."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return _Spelling.ANY_SORTED
    if kind is int:
        safe = -limits.MAX_SAFE_INTEGER <= value <= limits.MAX_SAFE_INTEGER  # type: ignore[operator]
        return _Spelling.ANY_SORTED if safe else _Spelling.REFERENCE
    if kind is float:
        return _float_spelling(value)  # type: ignore[arg-type]
    children: object
    if isinstance(value, dict) and kind is dict:
        for key in value:
            if type(key) is not str or not key.isascii():
                return _Spelling.REFERENCE
        children = value.values()
    elif kind is list:
        children = value
    else:
        return _Spelling.REFERENCE
    worst = _Spelling.ANY_SORTED
    for child in children:  # type: ignore[attr-defined]
        if type(child) is str:
            continue
        found = _spelling(child)
        if found > worst:
            if found is _Spelling.REFERENCE:
                return found
            worst = found
    return worst


def _float_spelling(value: float) -> _Spelling:
    """Between 0.0001 and 2^53 `repr` is the shortest decimal without exponent, as in ECMAScript.

    Integral floats are left out: `repr` ends them in `.0`, and `-0.0` is `0`.
    """
    if 1e-4 <= abs(value) <= limits.MAX_SAFE_INTEGER and not value.is_integer():
        return _Spelling.STDLIB
    return _Spelling.REFERENCE


def _encode_with_stdlib(value: object) -> bytes:
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    ).encode()


def _encode_with_orjson(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


_encode_sorted: Callable[[object], bytes] = (
    _encode_with_stdlib if orjson is None else _encode_with_orjson
)
