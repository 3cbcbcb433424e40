"""`/healthz` on the loopback address: whether the agent is alive, and what it is doing.

A few lines on asyncio streams instead of a web framework: one request per connection, bounded in
bytes and time, and an answer that names nothing secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Final

_MAX_REQUEST_BYTES: Final = 4_096
_REQUEST_SECONDS: Final = 2.0


class HealthServer:
    """Serves what `report` returns as JSON; 200 while `report()["ok"]`, else 503."""

    def __init__(self, report: Callable[[], Mapping[str, object]]) -> None:
        self._report = report
        self._server: asyncio.Server | None = None
        self.port: int | None = None

    async def start(self, port: int) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. Sets `port`."""
        self._server = await asyncio.start_server(
            self._answer, "127.0.0.1", port, limit=_MAX_REQUEST_BYTES, backlog=16
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listen no longer."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.split(b"\r\n", 1)[0].split(b" ")))
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request: no answer is due
        finally:
            with contextlib.suppress(OSError):
                writer.close()

    def _response(self, request: list[bytes]) -> bytes:
        if len(request) != 3 or request[0] not in {b"GET", b"HEAD"}:
            return _message("405 Method Not Allowed", b"{}")
        if request[1].split(b"?")[0] != b"/healthz":
            return _message("404 Not Found", b"{}")
        report = self._report()
        body = json.dumps(report).encode()
        status = "200 OK" if report.get("ok") else "503 Service Unavailable"
        return _message(status, body, head_only=request[0] == b"HEAD")


def _message(status: str, body: bytes, *, head_only: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
