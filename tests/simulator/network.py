"""The network between agents and a hub: frames take their time, in order, or are lost with it.

Stands in for the sockets at both seams: `websockets.connect` of the agent, `Transport` and ASGI of
the hub. What is under way when a connection is cut arrives nowhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

from websockets.exceptions import ConnectionClosedError

from controlplane.hub.transport import SCOPE_KEY

Endpoint = Callable[[Any, Any, Any], Any]


class Network:
    """Carries frames between agents and whichever hub is up."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._open: set[Pipe] = set()
        self.endpoint: Endpoint | None = None
        """The hub that is up."""
        self.is_down = False
        self.latency_seconds = 0.01
        self.frames = 0

    async def connect(self, url: str, **options: Any) -> AgentEnd:
        """Stand in for `websockets.asyncio.client.connect`."""
        await asyncio.sleep(self.delay())
        endpoint = self.endpoint
        if endpoint is None or self.is_down:
            raise OSError("no route")
        pipe = Pipe(self)
        self._open.add(pipe)
        pipe.task = asyncio.ensure_future(pipe.serve(endpoint))
        await pipe.accepted
        return pipe.agent

    def delay(self) -> float:
        """Draw how long something takes."""
        return self._rng.expovariate(1 / self.latency_seconds)

    def cut(self) -> None:
        """Lose every connection with everything on it."""
        for pipe in list(self._open):
            pipe.cut()

    def forget(self, pipe: Pipe) -> None:
        """A connection is over."""
        self._open.discard(pipe)


class Pipe:
    """One connection: the agent's end, the hub's end, and what is between."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.loop = asyncio.get_running_loop()
        self.is_cut = False
        self.accepted: asyncio.Future[None] = self.loop.create_future()
        self.up: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.agent = AgentEnd(self)
        self.hub = HubEnd(self)
        self.task: asyncio.Future[None]
        self._last = {"up": 0.0, "down": 0.0}

    async def serve(self, endpoint: Endpoint) -> None:
        """Be the ASGI server of the hub's end."""
        scope = {
            "type": "websocket",
            "path": "/ws/agent",
            "scheme": "ws",
            "headers": [(b"host", b"hub")],
            "query_string": b"",
            "client": ("10.0.0.1", 1),
            "server": ("hub", 80),
            "subprotocols": ["writ.v1"],
            "extensions": {SCOPE_KEY: self.hub},
        }
        self.up.put_nowait({"type": "websocket.connect"})
        try:
            await endpoint(scope, self.up.get, self._say)
        finally:
            self.cut()

    async def _say(self, message: dict[str, Any]) -> None:
        if self.accepted.done():
            return
        if message["type"] == "websocket.accept":
            self.accepted.set_result(None)
        else:
            self.accepted.set_exception(OSError("turned away"))

    def carry(self, way: str, deliver: Callable[..., None], *values: Any) -> None:
        """Have `deliver` called when this has arrived; one way, all arrives in order."""
        self.network.frames += 1
        # Strictly later: timers of one moment have no order.
        at = max(self._last[way] + 1e-6, self.loop.time() + self.network.delay())
        self._last[way] = at

        def arrive() -> None:
            if not self.is_cut:
                deliver(*values)

        self.loop.call_at(at, arrive)

    def cut(self) -> None:
        """End it at once for both."""
        if self.is_cut:
            return
        self.is_cut = True
        self.network.forget(self)
        if not self.accepted.done():
            self.accepted.set_exception(OSError("lost"))
        self.agent.end(1006, "")
        self.up.put_nowait({"type": "websocket.disconnect", "code": 1006})


class AgentEnd:
    """What the agent takes for its WebSocket."""

    subprotocol = "writ.v1"

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self.close_code: int | None = None
        self.close_reason = ""

    async def __aiter__(self) -> AsyncIterator[str]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    def take(self, frame: str) -> None:
        """A frame has arrived."""
        self._frames.put_nowait(frame)

    def end(self, code: int, reason: str) -> None:
        """The connection is over."""
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
            self._frames.put_nowait(None)

    async def send(self, frame: bytes | str, text: bool = True) -> None:
        """Send a frame to the hub."""
        if self.close_code is not None:
            raise ConnectionClosedError(None, None)
        data = frame.decode() if isinstance(frame, bytes) else frame
        message = {"type": "websocket.receive", "text": data}
        self._pipe.carry("up", self._pipe.up.put_nowait, message)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close after what is under way."""
        if self.close_code is None:
            self._pipe.carry("up", self._pipe.cut)
            self.end(code, reason)


class HubEnd:
    """What the hub takes for its `Transport`."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._closing = False
        self.buffered_bytes = 0
        self.has_room = True

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent."""
        return not self._closing and not self._pipe.is_cut

    def send_text(self, frame: bytes) -> None:
        """Send a frame to the agent."""
        if self.is_open:
            self._pipe.carry("down", self._pipe.agent.take, frame.decode())

    def start_close(self, code: int, reason: str) -> None:
        """Close after what is under way."""
        if self.is_open:
            self._closing = True
            self._pipe.carry("down", self._pipe.agent.end, code, reason)
            self._pipe.carry("down", self._pipe.cut)

    def abort(self) -> None:
        """Close at once."""
        self._pipe.cut()

    def limit_frames(self, max_bytes: int) -> None:
        """Frames have no limit here."""

    def set_writable_callback(self, callback: Callable[[], None] | None) -> None:
        """There is always room here."""

    async def probe(self, timeout_seconds: float) -> bool:
        """Ask whether the agent is still there."""
        await asyncio.sleep(min(timeout_seconds, 2 * self._pipe.network.delay()))
        return self.is_open and self._pipe.agent.close_code is None
