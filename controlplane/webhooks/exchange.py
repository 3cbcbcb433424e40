"""One POST to an address of somebody else's choosing, on one connection to a checked address.

The host is resolved once, every address it has must be public (or in a network that the settings
list), and the very address that was checked is connected to, under the host's own name for TLS:
a name that resolves to something else a moment later changes nothing. No redirects, no proxies, no
cookies; the answer is read as far as its bounds go. Knows nothing of webhooks' rows.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import h11

from protocol.addresses import Address, Network, is_reachable, unwrap_address
from protocol.http_target import Target

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_BODY_BYTES: Final = 4 * 1024
"""What is read of an answer's body; the rest is left where it is."""
MAX_EXCERPT_CHARS: Final = 500
MAX_ADDRESSES: Final = 4
CONNECT_SECONDS: Final = 5.0
EXCERPT_SECONDS: Final = 2.0
_MARGIN_SECONDS: Final = 0.1
_CHUNK_BYTES: Final = 4 * 1024

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to the addresses that the host has, as text; `OSError` when it has none."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went: a status, or the code of what came in its way.

    Attributes:
        status: of the answer; None when none came.
        error: `no_public_address`, `connection_failed`, `tls_failed`, `timed_out` or
            `bad_response`; None with a status.
        excerpt: the beginning of the answer's body, as text.
        retry_after: the header, when there is one.
        duration_ms: of all of it.
    """

    status: int | None = None
    error: str | None = None
    excerpt: str | None = None
    retry_after: str | None = None
    duration_ms: int = 0


class ExchangeError(Exception):
    """The attempt came to nothing; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host by the system's resolver."""
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(row[4][0]) for row in rows]


class Exchange:
    """Posts to receivers.

    Args:
        allowed: networks that may be reached although they are not public; plain http goes to
            loopback addresses among them, and nowhere else.
        timeout_seconds: of a whole attempt.
        resolve: the resolver.
    """

    def __init__(
        self,
        *,
        allowed: tuple[Network, ...] = (),
        timeout_seconds: float,
        resolve: Resolve = resolve_host,
    ) -> None:
        self._allowed, self._timeout_seconds = allowed, timeout_seconds
        self._resolve = resolve
        self._tls: ssl.SSLContext | None = None

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Return how one POST went; it never raises for what a receiver does."""
        began = time.monotonic()
        answer = Outcome(error="timed_out")
        end = asyncio.get_running_loop().time() + self._timeout_seconds
        try:
            async with asyncio.timeout_at(end):
                answer = await self._attempt(target, headers, body, end)
        except TimeoutError:
            pass
        except ExchangeError as exc:
            answer = Outcome(error=exc.code)
        except h11.ProtocolError:
            answer = Outcome(error="bad_response")
        except ssl.SSLError:
            answer = Outcome(error="tls_failed")
        except OSError:
            answer = Outcome(error="connection_failed")
        took = round((time.monotonic() - began) * 1_000)
        return Outcome(answer.status, answer.error, answer.excerpt, answer.retry_after, took)

    async def find_addresses(self, target: Target) -> list[str]:
        """Return the addresses of a receiver, all of which may be reached.

        Raises:
            ExchangeError: `no_public_address`: none, or one that may not; told in the same words,
                so that nobody learns which names there are inside.
        """
        try:
            found = list(dict.fromkeys(await self._resolve(target.host, target.port)))
            addresses = [ipaddress.ip_address(one) for one in found]
        except (OSError, ValueError):
            raise ExchangeError("no_public_address") from None
        if not addresses or not all(self._may_reach(target, one) for one in addresses):
            raise ExchangeError("no_public_address")
        return found[:MAX_ADDRESSES]

    def _may_reach(self, target: Target, address: Address) -> bool:
        if target.scheme != "https" and not unwrap_address(address).is_loopback:
            return False
        return is_reachable(address, self._allowed)

    async def _attempt(
        self, target: Target, headers: Mapping[str, str], body: bytes, end: float
    ) -> Outcome:
        reader, writer = await self._connect(target, await self.find_addresses(target))
        try:
            return await _ask(reader, writer, target, headers, body, end)
        finally:
            # Not closed politely: a peer that does not read must not hold us.
            writer.transport.abort()

    async def _connect(
        self, target: Target, addresses: Sequence[str]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        secure = target.scheme == "https"
        if secure and self._tls is None:
            self._tls = ssl.create_default_context()
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(
                        address,
                        target.port,
                        ssl=self._tls if secure else None,
                        server_hostname=target.host if secure else None,
                    )
            except ssl.SSLError:
                raise
            except (OSError, TimeoutError):
                continue
        raise ExchangeError("connection_failed")


async def _ask(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    target: Target,
    headers: Mapping[str, str],
    body: bytes,
    end: float,
) -> Outcome:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
    lines = {
        "host": target.host_header,
        "connection": "close",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
        **headers,
    }
    request = h11.Request(method="POST", target=target.request_target, headers=list(lines.items()))
    for event in (request, h11.Data(data=body), h11.EndOfMessage()):
        writer.write(http.send(event) or b"")
    await writer.drain()
    response = await _read_head(http, reader)
    found = {name.decode("latin-1").lower(): value for name, value in response.headers}
    retry_after = found.get("retry-after", b"").decode("latin-1") or None
    excerpt = await _read_excerpt(http, reader, end - _MARGIN_SECONDS)
    return Outcome(response.status_code, None, excerpt, retry_after)


async def _read_head(http: h11.Connection, reader: asyncio.StreamReader) -> h11.Response:
    budget = MAX_HEAD_BYTES
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            return event
        if event is h11.NEED_DATA:
            data = await reader.read(_CHUNK_BYTES)
            budget -= len(data)
            if budget < 0:
                raise ExchangeError("bad_response")
            http.receive_data(data)
        elif not isinstance(event, h11.InformationalResponse):
            raise ExchangeError("bad_response")


async def _read_excerpt(
    http: h11.Connection, reader: asyncio.StreamReader, end: float
) -> str | None:
    """Return the beginning of a body. The head was the answer: a body that breaks off is short."""
    body = bytearray()
    try:
        async with asyncio.timeout_at(
            min(end, asyncio.get_running_loop().time() + EXCERPT_SECONDS)
        ):
            while len(body) < MAX_BODY_BYTES:
                event = http.next_event()
                if event is h11.NEED_DATA:
                    http.receive_data(await reader.read(_CHUNK_BYTES))
                elif isinstance(event, h11.Data):
                    body += event.data
                else:
                    break
    except (TimeoutError, OSError, h11.ProtocolError):
        pass
    text = body[:MAX_BODY_BYTES].decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text)[:MAX_EXCERPT_CHARS] or None
