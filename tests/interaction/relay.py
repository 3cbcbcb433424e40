"""A relay between agent and hub that keeps every byte of the socket: what a wire-tap would see.

WebSocket frames from an agent are masked (RFC 6455 section 5.3); `texts` takes the mask off.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_READ_BYTES = 65_536


class Relay:
    """Listens on a free port and passes everything on to a hub; keeps both directions."""

    def __init__(self, hub_url: str) -> None:
        parts = urlsplit(hub_url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listening.getsockname()[1]}"
        self._streams: list[bytearray] = []
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for one in (self._listening, *self._sockets):
            with contextlib.suppress(OSError):
                one.close()

    def texts(self) -> bytes:
        """Everything that was said in both directions, unmasked."""
        return b"\n".join(_unmasked(bytes(stream)) for stream in self._streams)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                agent, _ = self._listening.accept()
                hub = socket.create_connection(self._target)
                self._sockets += [agent, hub]
                for source, sink in ((agent, hub), (hub, agent)):
                    kept = bytearray()
                    self._streams.append(kept)
                    threading.Thread(target=_pump, args=(source, sink, kept), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_READ_BYTES):
            kept += data
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


def _unmasked(stream: bytes) -> bytes:
    """The head of the upgrade as it is, then the payload of every frame, without its mask."""
    head, _, rest = stream.partition(b"\r\n\r\n")
    parts = [head]
    at = 0
    while at + 2 <= len(rest):
        masked, length = rest[at + 1] & 0x80, rest[at + 1] & 0x7F
        at += 2
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(rest[at : at + size], "big")
            at += size
        mask = rest[at : at + 4] if masked else b""
        at += len(mask)
        data = rest[at : at + length]
        at += length
        if mask:
            data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        parts.append(data)
    return b"\n".join(parts)
