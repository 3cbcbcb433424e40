"""Runs operations over ASGI: match, authenticate, authorise, parse, call, render.

Plain ASGI without per-request wrapper objects, because this is the path of every order. Every
answer carries `X-Request-Id`; every failure is a problem document.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import Any, Final

import structlog

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.access.cross_site import SAFE_METHODS, check_origin, check_page, own_origin
from controlplane.access.page_address import own_prefix
from controlplane.access.session_tokens import SESSION_COOKIE, read_cookie
from controlplane.api.errors import RETRY_AFTER_SECONDS, make_problem, problem_of
from controlplane.api.idempotency import begin_claim, drop_claim, finish_claim
from controlplane.api.json_body import (
    BodyTooLargeError,
    ClientGoneError,
    parse_json_body,
    parse_model,
    parse_query,
)
from controlplane.api.operation import PUBLIC, Call, IdempotencyClaim, Operation, Reply, Stream
from controlplane.api.rendering import is_secure, send_reply, send_stream
from controlplane.context import Hub
from controlplane.errors import BadRequestError, StepUpError
from protocol.errors import Error

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_ANYBODY: Final = Actor(kind="anonymous", id="", name="")
_API: Final = "/api/"
_BODY_SECONDS: Final = 60.0
_DRAIN_BYTES: Final = 4 * 1024 * 1024
_DRAIN_SECONDS: Final = 5.0
_LOG = structlog.get_logger("controlplane.api")


Pages = Callable[[str, Mapping[str, str], str], Reply | None]
"""What answers a GET that is no operation's: path, headers, prefix; None is a 404."""


class Router:
    """The ASGI application of a table of operations, and of the pages beside them."""

    def __init__(
        self,
        hub: Hub,
        operations: Iterable[Operation],
        describe_api: Callable[[], bytes] = bytes,
        pages: Pages = lambda _path, _headers, _prefix: None,
    ) -> None:
        self._hub = hub
        self._pages = pages
        self._describe_api = describe_api
        self._fixed: dict[str, dict[str, Operation]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Operation]]] = []
        by_path: dict[str, dict[str, Operation]] = {}
        for one in operations:
            methods = by_path.setdefault(one.path, {})
            if one.method in methods:
                raise ValueError(f"{one.method} {one.path} is declared twice")
            methods[one.method] = one
        for path, methods in by_path.items():
            if "{" in path:
                pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
                # `{name*}` is the rest of the path, slashes and all.
                pattern = re.sub(r"\\\{(\w+)\\\*\\\}", r"(?P<\1>.+)", pattern)
                self._patterns.append((re.compile(pattern), methods))
            else:
                self._fixed[path] = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the REST router got a {scope['type']} scope")
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else clock.new_id()
        try:
            reply = await self._answer(scope, headers, request_id, receive)
        except ClientGoneError:
            return
        except Error as exc:
            wait = getattr(exc, "retry_after_seconds", RETRY_AFTER_SECONDS)
            reply = _problem_reply(*problem_of(exc, request_id), wait)
            if reply.status == 500:
                _LOG.error("request_failed", request_id=request_id, exc_info=exc)
        except Exception as exc:
            _LOG.error("request_failed", request_id=request_id, exc_info=exc)
            reply = _problem_reply(*make_problem("internal", None, request_id))
        if isinstance(reply, Stream):
            await send_stream(
                reply,
                request_id,
                secure=self._secure(scope),
                head=scope["method"] == "HEAD",
                receive=receive,
                send=send,
            )
            self._hub.metrics.answered(200)
        else:
            head = scope["method"] == "HEAD"
            await send_reply(reply, request_id, secure=self._secure(scope), head=head, send=send)
            self._hub.metrics.answered(reply.status or 200)

    def _secure(self, scope: Scope) -> bool:
        return is_secure(self._hub.settings, scope.get("scheme", "http"))

    def _page(self, scope: Scope, headers: dict[str, str]) -> Reply | None:
        path = scope["path"]
        if path.startswith(_API) or scope["method"] not in ("GET", "HEAD"):
            return None
        return self._pages(path, headers, own_prefix(self._hub.settings.public_url, headers))

    def _match(self, path: str) -> tuple[dict[str, Operation], dict[str, str]] | None:
        if "\x00" in path:
            return None  # in no name there is, and no database could look for it
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, {}
        for pattern, methods in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None:
                return methods, found.groupdict()
        return None

    async def _answer(
        self, scope: Scope, headers: dict[str, str], request_id: str, receive: Receive
    ) -> Reply | Stream:
        matched = self._match(scope["path"])
        if matched is None:
            page = self._page(scope, headers)
            if page is not None:
                return page
            return _problem_reply(*make_problem("not_found", None, request_id))
        methods, path = matched
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        chosen = methods.get(method)
        if chosen is None:
            reply = _problem_reply(*make_problem("method_not_allowed", None, request_id))
            return Reply(
                reply.body, reply.status, {"Allow": ", ".join(sorted(methods))}, reply.media_type
            )
        parts = _BodyParts(receive) if chosen.streamed else None
        try:
            return await self._perform(chosen, path, scope, headers, request_id, receive, parts)
        except Error:
            if parts is not None:
                await parts.drain()
            raise

    async def _perform(
        self,
        chosen: Operation,
        path: dict[str, str],
        scope: Scope,
        headers: dict[str, str],
        request_id: str,
        receive: Receive,
        parts: _BodyParts | None,
    ) -> Reply | Stream:
        client = scope.get("client")
        address = client[0] if client else ""
        actor = await self._authenticate(chosen, scope.get("scheme", "http"), headers)
        query = parse_query(chosen.query, scope["query_string"])
        data, body = b"", None
        if chosen.body is not None and not chosen.streamed:
            data = await self._read_body(headers, receive)
            # A POST without a body is one with an empty object.
            value = parse_json_body(data, headers.get("content-type", "")) if data else {}
            body = parse_model(chosen.body, value)
        claim = _claim_of(chosen, actor, scope, headers, data)
        call = Call(
            hub=self._hub,
            actor=actor,
            path=path,
            body=body,
            query=query,
            request_id=request_id,
            address=address,
            headers=headers,
            scheme=scope.get("scheme", "http"),
            authenticate_again=lambda: self._authenticate(
                chosen, scope.get("scheme", "http"), headers
            ),
            describe_api=self._describe_api,
            claim=claim if chosen.idempotency == "own" else None,
            parts=parts,
        )
        if claim is not None and chosen.idempotency == "generic":
            return await self._answer_once(chosen, call, claim)
        return await _run(chosen, call)

    async def _authenticate(self, chosen: Operation, scheme: str, headers: dict[str, str]) -> Actor:
        public = chosen.permission == PUBLIC
        shown = headers.get("authorization")
        secure = is_secure(self._hub.settings, scheme)
        token = None if shown is not None else read_cookie(headers, SESSION_COOKIE, secure)
        if shown is None and chosen.method not in SAFE_METHODS:
            own = own_origin(self._hub.settings.public_url, scheme, headers)
            if token is None or public:
                check_origin(headers, own)
            else:
                check_page(headers, own, token)
        if public:
            return _ANYBODY
        authenticator = self._hub.authenticator
        if token is None:
            actor = await authenticator.authenticate(shown)
        else:
            actor = await authenticator.authenticate_session(token)
        authorize(actor, chosen.permission)
        if chosen.step_up:
            self._check_fresh(actor)
        return actor

    def _check_fresh(self, actor: Actor) -> None:
        """Return unless a session shows somebody who proved who they are too long ago."""
        if actor.authenticated_at is None:
            return
        age = clock.now() - actor.authenticated_at
        if age.total_seconds() > self._hub.settings.step_up_seconds:
            raise StepUpError("sign in again: this needs somebody who has just done so")

    async def _answer_once(
        self, chosen: Operation, call: Call, claim: IdempotencyClaim
    ) -> Reply | Stream:
        earlier = await begin_claim(self._hub.database, claim, clock.now())
        if earlier is not None:
            return earlier
        try:
            reply = await _run(chosen, call)
        except BaseException:
            # Nothing was made, so the key is free for another attempt.
            await asyncio.shield(drop_claim(self._hub.database, claim))
            raise
        if isinstance(reply, Reply):
            await finish_claim(self._hub.database, claim, reply)
        return reply

    async def _read_body(self, headers: dict[str, str], receive: Receive) -> bytes:
        limit = self._hub.settings.max_body_bytes
        length = headers.get("content-length", "0")
        if not length.isdigit():
            raise BadRequestError("bad content-length")
        if int(length) > limit:
            raise BodyTooLargeError(f"at most {limit} bytes")
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                return await _whole_body(receive, limit)
        except TimeoutError:
            raise BadRequestError("the body did not come in time") from None


async def _whole_body(receive: Receive, limit: int) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLargeError(f"at most {limit} bytes")
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _BodyParts:
    """A body as it comes in; an async iterator that knows whether anything is left."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    def __aiter__(self) -> _BodyParts:
        return self

    async def __anext__(self) -> bytes:
        while not self._ended:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self._ended = True
                raise ClientGoneError
            self._ended = not message.get("more_body", False)
            part: bytes = message.get("body", b"")
            if part:
                return part
        raise StopAsyncIteration

    async def drain(self) -> None:
        """Read on for a moment: a client that is cut off while it sends never reads the answer."""
        left = _DRAIN_BYTES
        with contextlib.suppress(TimeoutError, ClientGoneError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for part in self:
                    left -= len(part)
                    if left < 0:
                        return


async def _run(chosen: Operation, call: Call) -> Reply | Stream:
    answer: Any = await chosen.handler(call)
    if isinstance(answer, Stream):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    if reply.status is None:
        return replace(reply, status=chosen.status)
    return reply


def _claim_of(
    chosen: Operation, actor: Actor, scope: Scope, headers: dict[str, str], data: bytes
) -> IdempotencyClaim | None:
    key = headers.get("idempotency-key")
    if key is None or chosen.idempotency == "none":
        return None
    if _IDEMPOTENCY_KEY.fullmatch(key) is None:
        raise BadRequestError("an Idempotency-Key is 1 to 200 visible ASCII characters")
    return IdempotencyClaim(
        scope=f"{actor.subject} {scope['method']} {scope['path']}",
        key=key,
        body_hash="" if chosen.streamed else hashlib.sha256(data).hexdigest(),
    )


def _problem_reply(
    status: int, problem: dict[str, Any], retry_after_seconds: int = RETRY_AFTER_SECONDS
) -> Reply:
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        headers["Retry-After"] = str(retry_after_seconds)
    return Reply(problem, status, headers, "application/problem+json")
