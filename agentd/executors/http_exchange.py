"""One request and its answer, on one connection to one checked address.

Owns the socket: it is opened here, to the very address that was checked, so a name that resolves
to something else a moment later changes nothing. Blocks; a `Halt` ends it by shutting the socket.
Imported on the first order only, for it loads urllib3.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import urllib3
from urllib3.connection import HTTPConnection

from agentd.errors import ExecutorError
from agentd.executors.blocking import Halt
from protocol.addresses import Network, is_reachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from protocol.http_target import Target

MAX_ADDRESSES: Final = 4
CHUNK_BYTES: Final = 65536
MAX_ANSWER_HEADER_CHARS: Final = 16_000
_WINDOW_BITS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS,
                       "deflate": zlib.MAX_WBITS}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: lowercase header names, and the body with gzip or deflate undone."""

    status: int
    headers: dict[str, str]
    body: bytes


class Exchange:
    """One GET, done once by `perform`.

    Args:
        target: where to.
        headers: lowercase names, already checked.
        allow_private: networks that may be reached although they are not public.
        max_body_bytes: of the body, unpacked.
        timeout_seconds: for all of it.
        halt: ends it from another thread.
    """

    def __init__(
        self,
        target: Target,
        headers: Mapping[str, str],
        *,
        allow_private: tuple[Network, ...],
        max_body_bytes: int,
        timeout_seconds: float,
        halt: Halt,
    ) -> None:
        self._target, self._headers = target, dict(headers)
        self._allow_private, self._max_body_bytes = allow_private, max_body_bytes
        self._deadline = time.monotonic() + timeout_seconds
        self._halt = halt

    def perform(self) -> Answer:
        """Return the answer.

        Raises:
            ExecutorError: see `HttpGet.execute`.
        """
        try:
            with self._connect() as plain, self._abortable(plain):
                return self._ask(self._secure(plain))
        except ssl.SSLError as exc:
            raise ExecutorError("tls_failed", str(exc.reason or "TLS failed")[:200]) from exc
        except TimeoutError as exc:
            raise ExecutorError("http_timed_out", "the host took too long") from exc
        except http.client.HTTPException as exc:
            raise ExecutorError("bad_response", f"not HTTP: {type(exc).__name__}") from exc
        except (OSError, urllib3.exceptions.HTTPError) as exc:
            raise ExecutorError("connection_failed", type(exc).__name__) from exc

    def _remaining(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0 or self._halt():
            raise TimeoutError
        return left

    def _resolve(self) -> list[str]:
        """Return the addresses of the host that may be reached."""
        try:
            rows = socket.getaddrinfo(self._target.host, self._target.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise ExecutorError("name_not_resolved", "the host has no address") from None
        found = list(dict.fromkeys(str(row[4][0]) for row in rows))
        allowed = [
            text for text in found if is_reachable(ipaddress.ip_address(text), self._allow_private)
        ]
        if not allowed:
            raise ExecutorError("address_not_allowed", "the host resolves to no public address")
        return allowed[:MAX_ADDRESSES]

    def _connect(self) -> socket.socket:
        failure: OSError | None = None
        for address in self._resolve():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(self._remaining())
                connection.connect((address, self._target.port))
            except OSError as exc:
                connection.close()
                failure = exc
                if isinstance(exc, TimeoutError):
                    break
            else:
                return connection
        raise failure or TimeoutError()

    @contextlib.contextmanager
    def _abortable(self, connection: socket.socket) -> Iterator[None]:
        """Let the halt shut the connection, even after TLS has taken over its descriptor."""
        twin = socket.socket(fileno=os.dup(connection.fileno()))

        def shut() -> None:
            with contextlib.suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)

        self._halt.on_halt(shut)
        try:
            yield
        finally:
            self._halt.on_halt(None)
            twin.close()

    def _secure(self, plain: socket.socket) -> socket.socket:
        plain.settimeout(self._remaining())
        if self._target.scheme == "http":
            return plain
        return ssl.create_default_context().wrap_socket(plain, server_hostname=self._target.host)

    def _ask(self, connected: socket.socket) -> Answer:
        connection = HTTPConnection(self._target.host, self._target.port)
        connection.sock = connected
        try:
            connection.timeout = self._remaining()
            connection.request(
                "GET",
                self._target.request_target,
                headers={"Host": self._target.host_header, "Accept-Encoding": "identity",
                         "Connection": "close", **self._headers},
                preload_content=False,
                decode_content=False,
                enforce_content_length=True,
            )  # fmt: skip
            response = connection.getresponse()
            headers = _join_headers(response.headers)
            encoding = headers.get("content-encoding", "").strip().lower()
            body = bytearray()
            unpack = _Unpacker(encoding)
            while chunk := response.read(CHUNK_BYTES, decode_content=False):
                self._remaining()
                body += unpack.feed(chunk, room=self._max_body_bytes + 1 - len(body))
                if len(body) > self._max_body_bytes:
                    raise ExecutorError(
                        "response_too_big", f"the body has over {self._max_body_bytes} bytes"
                    )
            if unpack.active:
                unpack.finish()
                headers.pop("content-encoding", None)
                headers.pop("content-length", None)
            return Answer(response.status, headers, bytes(body))
        finally:
            connection.close()
            connected.close()


class _Unpacker:
    """Undoes gzip or deflate without ever making more than it was asked for."""

    def __init__(self, encoding: str) -> None:
        bits = _WINDOW_BITS.get(encoding)
        self._inflate = None if bits is None else zlib.decompressobj(bits)

    @property
    def active(self) -> bool:
        return self._inflate is not None

    def finish(self) -> None:
        if self._inflate is not None and not self._inflate.eof:
            raise ExecutorError("bad_response", "the body ended too early")

    def feed(self, chunk: bytes, *, room: int) -> bytes:
        if self._inflate is None:
            return chunk
        try:
            return self._inflate.decompress(chunk, room)
        except zlib.error:
            raise ExecutorError("bad_response", "the body is not what its encoding says") from None


def _join_headers(headers: urllib3.HTTPHeaderDict) -> dict[str, str]:
    """Return one value for each lowercase name, as RFC 9110 joins them, in bounded size."""
    joined: dict[str, str] = {}
    size = 0
    for name, value in headers.items():
        clean = "".join(c if c.isprintable() else " " for c in value)
        size += len(name) + len(clean)
        if size > MAX_ANSWER_HEADER_CHARS:
            raise ExecutorError("bad_response", "too many headers")
        key = name.lower()
        joined[key] = f"{joined[key]}, {clean}" if key in joined else clean
    return joined
