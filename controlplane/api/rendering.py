"""From a reply to ASGI messages; the headers that every answer of the hub carries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

import orjson
import structlog

from controlplane.api.operation import Reply, Stream
from controlplane.settings import HubSettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_LOG = structlog.get_logger("controlplane.api")
_SAFE_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""On every answer; an operation may say something else under the same name."""
_SAFE_LINES: Final = [(name.encode(), text.encode()) for name, text in _SAFE_HEADERS.items()]
_YEAR_SECONDS: Final = 365 * 86_400


def render_json(value: Any) -> bytes:
    """Return compact JSON bytes."""
    return orjson.dumps(value)


def is_secure(settings: HubSettings, scheme: str) -> bool:
    """Whether browsers reach this hub by https, so that cookies may be bound to that."""
    return settings.public_url.startswith("https://") if settings.public_url else scheme == "https"


def _head(
    request_id: str, headers: Mapping[str, str], secure: bool, cookies: Sequence[str] = ()
) -> list[tuple[bytes, bytes]]:
    if not headers and not secure and not cookies:
        return [*_SAFE_LINES, (b"x-request-id", request_id.encode("latin-1"))]
    chosen = {**_SAFE_HEADERS, **{name.lower(): text for name, text in headers.items()}}
    if secure:
        chosen["strict-transport-security"] = f"max-age={_YEAR_SECONDS}"
    chosen["x-request-id"] = request_id
    lines = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in chosen.items()]
    return lines + [(b"set-cookie", text.encode("latin-1")) for text in cookies]


async def send_reply(
    reply: Reply, request_id: str, *, secure: bool, head: bool, send: Send
) -> None:
    """Send a whole answer; to a HEAD only its head."""
    status = reply.status or 200
    if status == 204:
        data = b""
    elif isinstance(reply.body, bytes):
        data = reply.body
    else:
        data = render_json(reply.body)
    headers = _head(request_id, reply.headers, secure, reply.cookies)
    if status != 204:
        headers.append((b"content-type", reply.media_type.encode("latin-1")))
        headers.append((b"content-length", str(len(data)).encode("ascii")))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else data})


async def send_stream(
    stream: Stream, request_id: str, *, secure: bool, head: bool, receive: Receive, send: Send
) -> None:
    """Send an answer piece by piece until it ends or the client has gone."""
    headers = _head(request_id, stream.headers, secure)
    headers.append((b"content-type", stream.media_type.encode("latin-1")))
    await send({"type": "http.response.start", "status": stream.status, "headers": headers})
    if head:
        await send({"type": "http.response.body", "body": b""})
        return

    async def pump() -> None:
        async for piece in stream.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    tasks = [asyncio.ensure_future(pump()), asyncio.ensure_future(gone())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            _LOG.warning("stream_broke", request_id=request_id, exc_info=outcome)
