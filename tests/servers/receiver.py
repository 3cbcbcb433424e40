"""A real receiver of webhooks on a loopback socket: keeps what came, answers what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Post:
    """One request as it came in: lowercase header names."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def verified_by(self, secret: str) -> Any:
        """Return the event when the independent library finds the signature right."""
        return Webhook(secret).verify(self.body, self.headers)


Answer = Callable[[Post, asyncio.StreamWriter], Awaitable[None]]


def status(code: int, body: bytes = b"ok", **headers: str) -> Answer:
    """Answer with this status; underscores of header names are dashes."""

    async def answer(_: Post, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {code} So", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


@dataclass
class Receiver:
    """Where the hub posts to; `answer` may be changed at any time."""

    port: int = 0
    scheme: str = "http"
    posts: list[Post] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: status(200))
    open: int = 0
    most_open: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    async def wait_for(self, count: int, seconds: float = 20) -> list[Post]:
        """Return what came, once it is at least `count`."""
        async with asyncio.timeout(seconds):
            while len(self.posts) < count:
                self.came.clear()
                await self.came.wait()
        return self.posts

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            lines = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in lines}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            post = Post(head[0].split(" ")[1], headers, body)
            self.posts.append(post)
            self.came.set()
            # Whoever hangs up is not answered any more.
            answering = asyncio.ensure_future(self._answer(post, writer))
            gone = asyncio.ensure_future(reader.read())
            await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
            answering.cancel()
            gone.cancel()
            await asyncio.gather(answering, gone, return_exceptions=True)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _answer(self, post: Post, writer: asyncio.StreamWriter) -> None:
        await self.answer(post, writer)
        await writer.drain()


@asynccontextmanager
async def receiving(**options: Any) -> AsyncIterator[Receiver]:
    """A receiver on a free port; afterwards nothing listens there. `options` go to the server."""
    receiver = Receiver(scheme="https" if "ssl" in options else "http")
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, **options)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
