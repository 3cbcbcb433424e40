"""Owns the one spelling of a JSON value: RFC 8785 (JCS), the bytes that get signed and hashed.

`rfc8785` is the reference. It is slower than a signature, so values that every sorted encoder
spells the same way take a C encoder instead: ASCII keys, no integer outside the safe range and
no float whose shortest form Python writes otherwise. Everything else goes to the reference.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable

import rfc8785

from protocol import limits
from protocol.errors import BadJsonError
from protocol.strict_json import JsonValue, check_json_profile, is_plain

try:
    import orjson
except ImportError:  # only the hub's extra brings it; the standard library serves as well
    orjson = None  # type: ignore[assignment]

_PLAIN_DEPTH = 200
"""Containers inside each other that every encoder takes."""


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
    if is_plain(value, max_depth=_PLAIN_DEPTH):
        try:
            return _encode_sorted(value)
        except (ValueError, TypeError) as exc:  # half a surrogate pair
            raise BadJsonError("no canonical form") from exc
    try:
        spelling = _spelling((value,))
        if spelling is _Spelling.ANY_SORTED:
            return _encode_sorted(value)
        if spelling is _Spelling.STDLIB:
            return _encode_with_stdlib(value)
        return rfc8785.dumps(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        # UnicodeEncodeError, JSONEncodeError and CanonicalizationError are ValueErrors.
        raise BadJsonError("no canonical form") from exc


def canonical_plain(value: dict[str, JsonValue]) -> bytes:
    """Return the RFC 8785 form of what the caller knows to be plain, without looking at it first.

    Plain is: keys in ASCII, and of values only strings, small integers, and lists and objects of
    such. Anything else would come out in some other spelling; when in doubt, `canonical_json`.

    Raises:
        BadJsonError: a string with a lone surrogate.
    """
    try:
        return _encode_sorted(value)
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise BadJsonError("no canonical form") from exc


def canonical_profile_json(value: JsonValue) -> bytes:
    """Return the RFC 8785 form of a value that lies inside the profile of the wire.

    The same as `check_json_profile` and then `canonical_json`, in one walk for plain values.

    Raises:
        BadJsonError: it lies outside, or has no canonical form.
    """
    if not is_plain(value):
        check_json_profile(value)
        return canonical_json(value)
    try:
        return _encode_sorted(value)
    except (ValueError, TypeError) as exc:  # half a surrogate pair
        raise BadJsonError("no canonical form") from exc


def read_canonical(data: bytes) -> JsonValue:
    """Return the value of bytes that are their own canonical form, or None when that is not sure.

    Bytes that a sorted encoder gives back unchanged have no key twice, no white space and no
    second spelling; nothing else about them needs to be asked. Our own agents and hubs send such
    bytes, and so save everybody who reads them a second encoding.
    """
    if orjson is None or b"\\u" in data:
        return None
    try:
        value: JsonValue = orjson.loads(data)
        if is_plain(value) and orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == data:
            return value
    except (ValueError, TypeError):
        pass
    return None


def _spelling(values: Iterable[object]) -> _Spelling:
    """Tell who may encode all of `values`. Exact types only: a subclass may encode as anything."""
    worst = _Spelling.ANY_SORTED
    for value in values:
        kind = type(value)
        if kind is str or value is None or kind is bool:
            continue
        if kind is int:
            found = _Spelling.ANY_SORTED if _is_safe(value) else _Spelling.REFERENCE  # type: ignore[arg-type]
        elif kind is float:
            found = _float_spelling(value)  # type: ignore[arg-type]
        elif kind is list:
            found = _spelling(value)  # type: ignore[arg-type]
        elif kind is dict:
            found = _object_spelling(value)  # type: ignore[arg-type]
        else:
            found = _Spelling.REFERENCE
        if found is _Spelling.REFERENCE:
            return found
        if found is _Spelling.STDLIB:
            worst = found
    return worst


def _object_spelling(members: dict[str, object]) -> _Spelling:
    # Joining is one pass in C; it takes subclasses of str too, which no encoder spells otherwise.
    if not "".join(members).isascii():
        return _Spelling.REFERENCE
    return _spelling(members.values())


def _is_safe(value: int) -> bool:
    return -limits.MAX_SAFE_INTEGER <= value <= limits.MAX_SAFE_INTEGER


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
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Lone surrogates, deep nesting, keys of a subclass of str: the reference decides.
        return rfc8785.dumps(value)  # type: ignore[arg-type]


_encode_sorted: Callable[[object], bytes] = (
    _encode_with_stdlib if orjson is None else _encode_with_orjson
)
