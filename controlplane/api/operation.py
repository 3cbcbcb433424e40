"""The thin declaration of one REST operation, and what its handler is given and gives back.

Owns no HTTP: `controlplane.api.router` runs operations, `controlplane.api.openapi` describes them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from controlplane.access.authorize import Actor
from controlplane.access.cross_site import SAFE_METHODS
from controlplane.access.permissions import PERMISSIONS
from controlplane.api.errors import ANSWERS
from controlplane.context import Hub

PUBLIC: Final = "public"
"""The permission of what anybody may read."""
_NOTHING_ELSE: Final[Mapping[int, str]] = {}


class Body(BaseModel):
    """Base of request bodies: camelCase, strict, and no unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True, populate_by_name=False
    )


class Query(BaseModel):
    """Base of query parameters: camelCase, read from text, and no unknown ones."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)


class NoBody(Body):
    """Nothing: no body, or an empty object."""


class NoQuery(Query):
    """Nothing after the `?`."""


class View(BaseModel):
    """Base of what is answered; describes the answer, handlers build it themselves."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", populate_by_name=True)


class IdempotencyClaim(NamedTuple):
    """The `Idempotency-Key` of a request, ready for the idempotency repository."""

    scope: str
    key: str
    body_hash: str


@dataclass(frozen=True, slots=True)
class Call:
    """One request, authenticated, permitted and parsed.

    `body` and `query` are instances of what the operation declared. `claim` is set only for an
    operation that does its own idempotency; where the body is streamed, its `body_hash` is empty.
    `parts` yields the body of a streamed operation as it comes in.
    """

    hub: Hub
    actor: Actor
    path: Mapping[str, str]
    body: Any
    query: Any
    request_id: str
    address: str
    headers: Mapping[str, str]
    scheme: str = "http"
    authenticate_again: Callable[[], Awaitable[Actor]] | None = None
    describe_api: Callable[[], bytes] = bytes
    claim: IdempotencyClaim | None = None
    parts: AsyncIterator[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back. `body` is a JSON value, or bytes of `media_type`.

    `replay` is what a repeated request gets instead of `body`, where that holds a secret.
    `cookies` are values of `Set-Cookie`.
    """

    body: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    replay: Any = None
    cookies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body comes in pieces until the iterator ends."""

    pieces: AsyncIterator[bytes]
    media_type: str
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One row of the route table."""

    method: str
    path: str
    permission: str
    summary: str
    handler: Handler
    body: type[BaseModel] | None
    query: type[BaseModel] | None
    result: Any
    status: int
    errors: tuple[str, ...]
    idempotency: str
    media_type: str
    streamed: bool
    step_up: bool
    also: Mapping[int, str]
    also_media_types: tuple[str, ...]


def operation(
    method: str,
    path: str,
    *,
    permission: str,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    result: Any = None,
    status: int = 200,
    errors: tuple[str, ...] = (),
    idempotency: str | None = None,
    media_type: str = "application/json",
    streamed: bool = False,
    step_up: bool = False,
    also: Mapping[int, str] = _NOTHING_ELSE,
    also_media_types: tuple[str, ...] = (),
) -> Callable[[Handler], Operation]:
    """Return a decorator that makes a handler one operation; its docstring is the summary.

    Args:
        method: of HTTP.
        path: with `{name}` for each part that varies.
        permission: one of the permissions, or `PUBLIC`.
        body: model of the JSON body, or None for one that says nothing.
        query: model of the query parameters, or None for none; another one is refused, except
            where anybody may read (a page may name its version).
        result: what is answered, for the description: a model, or a list of one for a page.
        status: of success.
        errors: codes beyond those that follow from the rest of the declaration.
        idempotency: `generic` (the default of a POST that creates), `own` (the handler stores the
            key in its own transaction), or `none`.
        media_type: of the answer.
        streamed: the handler reads the body itself, from `Call.parts`: JSON of `body`, or a form
            with one file.
        also_media_types: forms of the answer that a client may ask for instead.
        also: other statuses with which the result may come, and what each of them tells.
        step_up: whether a session must be of somebody who has just proved who they are.

    Raises:
        ValueError: an unknown permission or error code; the hub then does not start.
    """
    if permission != PUBLIC and permission not in PERMISSIONS:
        raise ValueError(f"{method} {path}: no such permission {permission}")
    if body is None and method in ("POST", "PUT", "PATCH"):
        body = NoBody
    if query is None and permission != PUBLIC:
        query = NoQuery
    implied: list[str] = list(errors)
    if permission != PUBLIC:
        implied += ["unauthenticated", "forbidden"]
    if step_up:
        implied += ["step_up_required"]
    if method not in SAFE_METHODS:
        implied += ["cross_site"]
    if body is not None:
        implied += ["bad_request", "body_too_large", "unsupported_media_type", "invalid_field"]
    if query is not None:
        implied += ["bad_request", "invalid_field"]
        if "cursor" in query.model_fields:
            implied += ["bad_cursor"]
    if "{" in path:
        implied += ["not_found"]
    mode = idempotency or ("generic" if method == "POST" and status in (201, 202) else "none")
    if mode != "none":
        implied += ["in_progress", "idempotency_mismatch"]
    implied += ["internal", "unavailable"]
    unknown = [code for code in implied if code not in ANSWERS]
    if unknown:
        raise ValueError(f"{method} {path}: no HTTP status for {unknown[0]}")

    def declare(handler: Handler) -> Operation:
        lines = (handler.__doc__ or "").strip().splitlines()
        if not lines:
            raise ValueError(f"{method} {path}: say in a docstring what it does")
        return Operation(
            method=method,
            path=path,
            permission=permission,
            summary=lines[0].removesuffix("."),
            handler=handler,
            body=body,
            query=query,
            result=result,
            status=status,
            errors=tuple(dict.fromkeys(implied)),
            idempotency=mode,
            media_type=media_type,
            streamed=streamed,
            step_up=step_up,
            also=also,
            also_media_types=also_media_types,
        )

    return declare
