"""A bad network between agents and hub: a TCP proxy that does to bytes what networks do.

It knows nothing of frames: what it cuts, delays or repeats are bytes, wherever that falls. One kind
of weather at a time, with the place drawn from a seed; `calm` ends it for good.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections import Counter
from collections.abc import Coroutine
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

_READ_BYTES: Final = 4_096
_FROM_BYTES, _TO_BYTES = 200, 6_000
"""Where in a connection something happens: in the upgrade, the handshake, or the work."""
_KEPT_BYTES: Final = 256 * 1024


class Weather(StrEnum):
    """What happens to a connection."""

    CALM = "calm"
    CUT = "cut"
    """Both ends are reset in the middle of a frame."""
    DELAY = "delay"
    """Everything comes late, by different times."""
    STALL = "stall"
    """Nothing comes through any more, and nobody is told: half open."""
    CRUMBS = "crumbs"
    """Few bytes at a time."""
    GARBLE = "garble"
    """One byte becomes another."""
    REPLAY = "replay"
    """Somebody says all the agent has said to the hub again, on a connection of their own."""
    SLOW = "slow"
    """The agent's end takes a few kilobytes a second."""


class Wire:
    """Stands between agents and one hub; `url` is what agents are told."""

    def __init__(self, hub_url: str, rng: random.Random) -> None:
        parts = urlsplit(hub_url)
        self._target = (parts.hostname or "", parts.port or 80)
        self._rng = rng
        self._weather = Weather.CALM
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._open: set[_Pipe] = set()
        self._repeating: set[asyncio.Task[None]] = set()
        self.hits: Counter[Weather] = Counter()
        """How often each kind has happened to a connection."""
        self.replays: list[bytes] = []
        """What the hub answered to those who repeated an agent's words, after the upgrade."""
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def turn(self, weather: Weather) -> None:
        """Have this weather from now on; every connection there is is lost first."""
        self._do(self._turn(weather))

    def calm(self) -> None:
        """End it: connections that suffer are lost, later ones are left alone."""
        self.turn(Weather.CALM)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _turn(self, weather: Weather) -> None:
        self._weather = weather
        for pipe in list(self._open):
            pipe.abort()

    async def _close(self) -> None:
        await self._turn(Weather.CALM)
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_hub, to_hub = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pipe = _Pipe(self, self._weather, random.Random(self._rng.random()), writer, to_hub)
        self._open.add(pipe)
        try:
            await asyncio.wait(
                {
                    asyncio.ensure_future(pipe.carry(reader, to_hub, upward=True)),
                    asyncio.ensure_future(pipe.carry(from_hub, writer, upward=False)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        except asyncio.CancelledError:  # the test is over
            pass
        finally:
            pipe.abort()
            self._open.discard(pipe)

    def repeat_soon(self, said: bytes) -> None:
        """Say `said` to the hub, beside everything else, and keep its answer."""
        task = asyncio.ensure_future(self._repeat(said))
        self._repeating.add(task)
        task.add_done_callback(self._repeating.discard)

    async def _repeat(self, said: bytes) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_connection(*self._target)
            try:
                writer.write(said)
                async with asyncio.timeout(15):
                    self.replays.append((await reader.read()).partition(b"\r\n\r\n")[2])
            finally:
                writer.transport.abort()


class _Pipe:
    """One connection with its weather."""

    def __init__(
        self,
        wire: Wire,
        weather: Weather,
        rng: random.Random,
        agent: asyncio.StreamWriter,
        hub: asyncio.StreamWriter,
    ) -> None:
        self._wire, self._weather, self._rng = wire, weather, rng
        self._ends = (agent, hub)
        self._at = rng.randrange(_FROM_BYTES, _TO_BYTES)
        self._passed = 0
        self._said = bytearray()
        self._struck = False
        self._gone = asyncio.Event()

    def abort(self) -> None:
        """Reset both ends."""
        self._gone.set()
        for end in self._ends:
            end.transport.abort()

    async def carry(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, upward: bool
    ) -> None:
        """Pass on one direction until either end has gone."""
        with contextlib.suppress(OSError):
            while data := await source.read(_READ_BYTES):
                self._passed += len(data)
                if upward and len(self._said) < _KEPT_BYTES:
                    self._said += data
                await self._suffer(bytearray(data), sink, upward=upward)
                await sink.drain()

    async def _suffer(self, data: bytearray, sink: asyncio.StreamWriter, *, upward: bool) -> None:
        due = self._passed >= self._at
        match self._weather:
            case Weather.CUT if due:
                self._strike()
                sink.write(bytes(data[: len(data) // 2]))
                await asyncio.sleep(0)
                self.abort()
                return
            case Weather.GARBLE if due and not self._struck:
                self._strike()
                data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
            case Weather.STALL if due:
                self._strike()
                await self._gone.wait()
                return
            case Weather.REPLAY if due and upward and not self._struck:
                self._strike()
                self._wire.repeat_soon(bytes(self._said))
            case Weather.DELAY:
                self._strike()
                await asyncio.sleep(self._rng.uniform(0, 0.3))
            case Weather.CRUMBS:
                self._strike()
                while data:
                    size = self._rng.randrange(1, 60)
                    sink.write(bytes(data[:size]))
                    del data[:size]
                    await sink.drain()
                    await asyncio.sleep(0)
            case Weather.SLOW if not upward:
                self._strike()
                await asyncio.sleep(len(data) / 65_536)
            case _:
                pass
        sink.write(bytes(data))

    def _strike(self) -> None:
        if not self._struck:
            self._struck = True
            self._wire.hits[self._weather] += 1
