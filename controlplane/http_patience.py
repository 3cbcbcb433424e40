"""The seam to the HTTP server: how long and how much the hub puts up with before it hangs up.

uvicorn bounds neither the head of a request nor the time a client takes to send one, and waits
for ever for a reader who does not read: each would cost a stranger one socket, and the hub memory
or one of its event streams. `ClientProtocol` is uvicorn's HTTP protocol with these bounds. Knows
nothing of what is asked or answered.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES: Final = 64 * 1024
"""A request line with its headers; more is answered 431."""
HEAD_SECONDS: Final = 20.0
"""From the connection, or the first byte of a further request, to the end of its head."""
UNREAD_SECONDS: Final = 30.0
"""How long nothing at all of what waits for a client may be taken."""
LINGER_SECONDS: Final = 5.0
"""How long the rest of a body is still read away after its request was answered."""

_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class ClientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with an end to its patience."""

    head_seconds: float = HEAD_SECONDS
    unread_seconds: float = UNREAD_SECONDS
    linger_seconds: float = LINGER_SECONDS

    _timer: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = False
    _body_comes = False

    # --- what comes in ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a request."""
        super().connection_made(transport)
        self._hang_up_after(self.head_seconds)

    def data_received(self, data: bytes) -> None:
        """Take what came, unless the head it belongs to has become too long."""
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins: its head has its time."""
        super().on_message_begin()
        self._in_head, self._body_comes, self._head_bytes = True, True, 0
        if self._timer is None:
            self._hang_up_after(self.head_seconds)

    def on_headers_complete(self) -> None:
        """The head is here; how long a body may take is for whoever reads it to say."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        self._body_comes = False
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the agents' protocol."""
        self._stop_timers()
        super().handle_websocket_upgrade()
        # Each holds the other, and only `connection_lost` would part them, which comes to the
        # agents' protocol now: without this every agent that leaves stays in memory until a full
        # collection.
        self.parser = None  # type: ignore[assignment]

    # --- what goes out ---------------------------------------------------------------------

    def on_response_complete(self) -> None:
        """The answer is out; a client that still sends its request is not heard for long."""
        super().on_response_complete()
        if self._body_comes and not self._in_head:
            self._hang_up_after(self.linger_seconds)

    def pause_writing(self) -> None:
        """The client takes less than it gets."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.unread_seconds, self._drop)

    def resume_writing(self) -> None:
        """The client has taken what waited."""
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # --- the end ---------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """Let every timer go."""
        super().connection_lost(exc)
        self._stop_timers()

    def _hang_up_after(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, self.transport.close)

    def _drop(self) -> None:
        # Not closed but aborted: what waits would never be taken.
        self._unread = None
        self.transport.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_timers(self) -> None:
        self._stop_timer()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
