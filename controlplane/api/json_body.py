"""Request bodies: bounded bytes to a JSON value to a model, each failure with its own code."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError

from controlplane.errors import BadRequestError, HubError, InvalidFieldError

_MAX_KEPT_QUERY_BYTES: Final = 64
_SURROGATE = re.compile("[\ud800-\udfff]")
_NUL = re.compile(r"\\u0000")
_MAX_WHOLE_CHARS: Final = 400


class BodyTooLargeError(HubError):
    """More bytes than the hub reads."""

    code = "body_too_large"


class UnsupportedMediaTypeError(HubError):
    """A body that does not say it is JSON."""

    code = "unsupported_media_type"


class ClientGoneError(HubError):
    """The client left before it had sent everything; nobody is there to be answered."""

    code = "client_gone"


def parse_json_body(data: bytes, content_type: str) -> Any:
    """Return the value of a request body.

    Raises:
        UnsupportedMediaTypeError: the content type is not JSON.
        BadRequestError: not JSON; or a key twice, a number without a value, half a surrogate
            pair, or U+0000.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMediaTypeError("send application/json")
    quick = _parse_quickly(data)
    if quick is not None:
        return quick
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_whole,
        )
    except (ValueError, RecursionError) as exc:
        raise BadRequestError("the body is not JSON") from exc
    # Escapes can spell what UTF-8 cannot; encoding finds it without walking the value.
    if "\\u" in text:
        if _NUL.search(text) and _holds_nul(value):
            raise BadRequestError("the body holds U+0000, which no text here may")
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except (UnicodeEncodeError, RecursionError, ValueError) as exc:
            raise BadRequestError("the body is not JSON that can be stored") from exc
    return value


def parse_model(model: type[BaseModel], value: Any) -> BaseModel:
    """Return `value` as a `model`.

    Raises:
        InvalidFieldError: the first wrong or unknown field, with its JSON pointer.
    """
    try:
        return model.model_validate(value)
    except ValidationError as exc:
        raise _invalid(exc, prefix="") from None


def parse_query(model: type[BaseModel] | None, query_string: bytes) -> BaseModel | None:
    """Return the query parameters as a `model`; a parameter given twice becomes a list.

    Raises:
        InvalidFieldError: a wrong or unknown parameter.
    """
    if model is None:
        return None
    if len(query_string) <= _MAX_KEPT_QUERY_BYTES:
        return _kept_query(model, query_string)
    return _read_query(model, query_string)


def _read_query(model: type[BaseModel], query_string: bytes) -> BaseModel:
    values: dict[str, Any] = {}
    if query_string:
        try:
            pairs = parse_qsl(
                query_string.decode("ascii"), keep_blank_values=True, max_num_fields=64
            )
        except (ValueError, UnicodeDecodeError) as exc:
            raise BadRequestError("the query cannot be read") from exc
        listed = _listed_names(model)
        for name, text in pairs:
            if "\x00" in text or _SURROGATE.search(text):
                raise InvalidFieldError("not text", pointer=f"?{name}")
            if name in listed:
                values.setdefault(name, []).append(text)
            elif name in values:
                raise InvalidFieldError("given twice", pointer=f"?{name}")
            else:
                values[name] = text
    try:
        return model.model_validate(values)
    except ValidationError as exc:
        raise _invalid(exc, prefix="?") from None


_kept_query = lru_cache(maxsize=256)(_read_query)
"""Frozen models of the newest short queries: nearly every order asks with the same one."""


@lru_cache(maxsize=256)
def _listed_names(model: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        field.alias or name
        for name, field in model.model_fields.items()
        if str(field.annotation).startswith("list")
    )


def _invalid(exc: ValidationError, *, prefix: str) -> InvalidFieldError:
    first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in first["loc"]]
    pointer = prefix + parts[0] if prefix and parts else "".join(f"/{part}" for part in parts)
    return InvalidFieldError(first["msg"], pointer=pointer)


def _parse_quickly(data: bytes) -> Any:
    """Return the value of JSON that spells no key twice for sure; None says nothing.

    Written again, every string without such an escape has as many quotes as it had; a key that was
    there twice has taken its first value, and two quotes at least, away.
    """
    if b"\\u" in data:
        return None
    try:
        value = orjson.loads(data)
        return value if orjson.dumps(value).count(b'"') == data.count(b'"') else None
    except (ValueError, TypeError):  # no JSON, or numbers and depths that others read
        return None


def _unique(pairs: list[tuple[str, Any]]) -> Mapping[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number too large to have a value")
    return value


def _whole(text: str) -> int:
    if len(text) > _MAX_WHOLE_CHARS:
        raise ValueError("a number too long to have a use")
    return int(text)


def _holds_nul(value: Any) -> bool:
    """Whether U+0000 is in some text; databases take none, and some readers stop at one."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if "\x00" in one:
                return True
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
    return False


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
