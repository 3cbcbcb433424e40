"""Owns the way in for JSON: text inside the profile of SPEC section 3, or `BadJsonError`.

Every limit is decided before, or while, the parser runs, so hostile text costs time and memory
linear in its length. Counting rule: every container and every scalar is one value, keys are none;
a container at the top has depth 1, scalars add nothing. Knows nothing about envelopes.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn, TypeAlias

from protocol import limits
from protocol.errors import BadJsonError

JsonValue: TypeAlias = "dict[str, JsonValue] | list[JsonValue] | str | int | float | bool | None"

# A string is taken whole (possessively, so no text makes it backtrack); a quote that opens no
# complete string is a token of its own and ends the scan.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|[,"]', re.DOTALL)
_MAX_INTEGER_CHARS = len(str(-limits.MAX_SAFE_INTEGER))
_SURROGATE_OR_NUL = re.compile("[\ud800-\udfff\0]")


def parse_strict_json(data: bytes | str) -> JsonValue:
    """Return the value that `data` spells, when it lies inside the JSON profile.

    Args:
        data: UTF-8 bytes without BOM, or text. The caller has bounded its length.

    Raises:
        BadJsonError: anything else, from bad UTF-8 to one value too many.
    """
    text = _decode(data)
    opens = text.count("[") + text.count("{")
    # Each value but the root is the first of its container or follows a comma.
    many = opens + text.count(",") >= limits.MAX_JSON_VALUES
    if many or opens > limits.MAX_JSON_DEPTH:
        _scan_structure(text)
    try:
        value: JsonValue = _DECODER.decode(text)
    except ValueError as exc:
        raise BadJsonError("not JSON") from exc
    if many:
        _count_values(value)
    # Raw NUL and raw surrogates cannot get here: only an escape can still name them.
    if "\\u" in text:
        _check_strings(value)
    return value


def is_plain(value: object, *, max_depth: int = limits.MAX_JSON_DEPTH) -> bool:
    """Whether `value` lies inside the profile for reasons that are quick to see.

    True for what nearly every message is made of: keys in ASCII, integers, no floats. What it
    leaves open is whether a string has half a surrogate pair, which every encoder refuses. False
    says nothing. It is one walk, without a call for each value; long strings cost next to nothing.
    """
    level: list[Any] = [value]
    depth, count = 0, 1
    while level:
        depth += 1
        if depth > max_depth:
            return False
        below: list[Any] = []
        for container in level:
            kind = type(container)
            if kind is dict:
                try:
                    keys = "".join(container)
                except TypeError:
                    return False
                if not keys.isascii() or "\0" in keys:
                    return False
                children = container.values()
            elif kind is list:
                children = container
            else:
                return False
            count += len(children)
            for child in children:
                kind = type(child)
                if kind is str:
                    if "\0" in child:
                        return False
                elif kind is dict or kind is list:
                    below.append(child)
                elif kind is int:
                    if not -limits.MAX_SAFE_INTEGER <= child <= limits.MAX_SAFE_INTEGER:
                        return False
                elif child is not None and kind is not bool:
                    return False
        if count > limits.MAX_JSON_VALUES:
            return False
        level = below
    return True


def check_json_profile(value: object, *, max_depth: int = limits.MAX_JSON_DEPTH) -> None:
    """Hold a Python value to the same profile as text.

    Args:
        value: made of dict (str keys), list, str, int, float, bool and None only.
        max_depth: containers inside each other, `value` itself being the first.

    Raises:
        BadJsonError: the value has no text inside the profile.
    """
    _ProfileWalk(max_depth).visit(value, 1)


class _ProfileWalk:
    """One walk over a value; bounded by the value count, so cycles end too."""

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth
        self._count = 0

    def visit(self, value: object, depth: int) -> None:
        self._count += 1
        if self._count > limits.MAX_JSON_VALUES:
            raise BadJsonError(f"more than {limits.MAX_JSON_VALUES} values")
        kind = type(value)
        if kind is str:
            _check_text(value)  # type: ignore[arg-type]
        elif kind is dict or kind is list:
            if depth > self._max_depth:
                raise BadJsonError(f"deeper than {self._max_depth}")
            if isinstance(value, dict):
                for key in value:
                    if type(key) is not str:
                        raise BadJsonError("an object key that is not a string")
                    _check_text(key)
                children: Any = value.values()
            else:
                children = value
            for child in children:
                self.visit(child, depth + 1)
        elif kind is int:
            _check_integer(value)  # type: ignore[arg-type]
        elif kind is float:
            _check_float(value)  # type: ignore[arg-type]
        elif value is not None and kind is not bool:
            raise BadJsonError(f"no JSON value: {kind.__name__}")


def _decode(data: bytes | str) -> str:
    try:
        if isinstance(data, str):
            if not data.isascii():
                data.encode()
            return data
        return data.decode()
    except UnicodeError as exc:
        raise BadJsonError("not UTF-8") from exc


def _scan_structure(text: str) -> None:
    """Raise for text that is too deep or holds far too many values, without building one.

    Every opening bracket and every comma brings a value, every string is a value or the key of
    one: so the loop ends after a fixed multiple of the permitted values, however long the text.
    """
    depth = values = strings = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark == ",":
            values += 1
        elif mark in "[{":
            depth += 1
            values += 1
            if depth > limits.MAX_JSON_DEPTH:
                raise BadJsonError(f"deeper than {limits.MAX_JSON_DEPTH}")
        elif mark in "]}":
            depth -= 1
            if depth < 0:
                raise BadJsonError("not JSON")
        elif mark == '"':
            raise BadJsonError("not JSON")
        else:
            strings += 1
        if values > 2 * limits.MAX_JSON_VALUES or strings > 2 * limits.MAX_JSON_VALUES:
            raise BadJsonError(f"more than {limits.MAX_JSON_VALUES} values")


def _count_values(root: JsonValue) -> None:
    count = 1
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            count += len(value)
            if count > limits.MAX_JSON_VALUES:
                raise BadJsonError(f"more than {limits.MAX_JSON_VALUES} values")
            stack.extend(value.values() if isinstance(value, dict) else value)


def _check_strings(root: JsonValue) -> None:
    stack = [root]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            _check_text(value)
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, dict):
            for key in value:
                _check_text(key)
            stack.extend(value.values())


def _check_text(text: str) -> None:
    if text.isascii() and "\0" not in text:
        return
    if _SURROGATE_OR_NUL.search(text) is not None:
        raise BadJsonError("a lone surrogate or U+0000 in a string")


def _check_integer(value: int) -> None:
    if not -limits.MAX_SAFE_INTEGER <= value <= limits.MAX_SAFE_INTEGER:
        raise BadJsonError("a number outside +-(2^53-1)")


def _check_float(value: float) -> None:
    # Every double from 2^53 on is integral, so the bound alone says it all.
    if not math.isfinite(value) or abs(value) > limits.MAX_SAFE_INTEGER:
        raise BadJsonError("a number outside +-(2^53-1)")


def _parse_integer(text: str) -> int:
    if len(text) > _MAX_INTEGER_CHARS:
        raise BadJsonError("a number outside +-(2^53-1)")
    value = int(text)
    _check_integer(value)
    return value


def _parse_float(text: str) -> float:
    value = float(text)
    _check_float(value)
    return value


def _parse_object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadJsonError("a duplicate key")
    return found


def _refuse_constant(_text: str) -> NoReturn:
    raise BadJsonError("NaN or an infinity")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_parse_object,
    parse_int=_parse_integer,
    parse_float=_parse_float,
    parse_constant=_refuse_constant,
)
