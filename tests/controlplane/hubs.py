"""A real hub for tests: uvicorn on a free port, its own data folder, a client on HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from controlplane.app import RunningHub, open_hub
from controlplane.server import HubServer, bind, url_of
from controlplane.settings import HubSettings, load_settings
from controlplane.telemetry import configure_logging
from protocol.messages import RegisterAck
from tests.controlplane.hub.world import RunningHub as RunningWorld
from tests.controlplane.hub.world import ScriptedAgent
from tests.servers.sqlite import lay_schema_of_new

OWNER_PASSWORD = "correct horse battery"

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def code(self) -> str | None:
        """The stable code of a problem, when the answer is one."""
        if not self.headers.get("content-type", "").startswith("application/problem+json"):
            return None
        return str(self.json["code"])


@dataclass
class Client:
    """Speaks HTTP/1.1 to a hub over a plain socket: nothing is hidden or mended on the way."""

    host: str
    port: int
    api_key: str | None = None
    sent: dict[str, str] = field(default_factory=dict)

    def as_key(self, api_key: str | None) -> Client:
        return Client(self.host, self.port, api_key)

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Answer:
        lines = {"Host": f"{self.host}:{self.port}", "Connection": "close"}
        if self.api_key is not None:
            lines["Authorization"] = f"Bearer {self.api_key}"
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if raw is not None or body is not None:
            lines["Content-Type"] = "application/json"
            lines["Content-Length"] = str(len(data))
        lines.update(headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value != "")
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
            await writer.drain()
            async with asyncio.timeout(30):
                return parse_answer(await reader.read())
        finally:
            writer.close()

    async def get(self, path: str, **kwargs: Any) -> Answer:
        return await self.send("GET", path, **kwargs)

    async def post(self, path: str, body: Any = None, **kwargs: Any) -> Answer:
        return await self.send("POST", path, {} if body is None else body, **kwargs)

    @asynccontextmanager
    async def stream(self, path: str, **headers: str) -> AsyncIterator[asyncio.StreamReader]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        lines = {"Host": "hub", "Authorization": f"Bearer {self.api_key}", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        try:
            yield reader
        finally:
            writer.close()


def parse_answer(data: bytes) -> Answer:
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = _join_chunks(body)
    return Answer(int(status.split(" ")[1]), headers, body)


def _join_chunks(data: bytes) -> bytes:
    parts = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        parts.append(data[:length])
        data = data[length + 2 :]
    return b"".join(parts)


@dataclass(frozen=True)
class ServedHub:
    """A hub that answers on a port."""

    running: RunningHub
    client: Client
    url: str
    settings: HubSettings
    signed_in: dict[str, Client] = field(default_factory=dict)

    @property
    def hub(self) -> Any:
        return self.running.hub

    def world(self) -> RunningWorld:
        """The same hub as the tests of the live side know it."""
        running = self.running
        return RunningWorld(running.hub, running.live, running.live.registry, self.client.port)

    async def owner(self) -> Client:
        """The first owner, signed in: a key cannot make keys."""
        if "owner" not in self.signed_in:
            await self.client.send("PUT", "/api/v1/me/password", {"password": OWNER_PASSWORD})
            self.signed_in["owner"] = await self.sign_in("admin", OWNER_PASSWORD)
        return self.signed_in["owner"]

    async def person(self, name: str, role: str, realm: str | None = None) -> Client:
        """Somebody new who came by an invitation into a role, signed in."""
        owner = await self.owner()
        body = {"role": role, **({"realm": realm} if realm else {})}
        link = (await owner.post("/api/v1/invitations", body)).json["link"]
        token = link.partition("#")[2]
        accept = {"token": token, "name": name, "password": OWNER_PASSWORD, "bearer": True}
        answer = await self.client.as_key(None).post("/api/v1/invitations/accept", accept)
        assert answer.status == 200, answer.data
        return self.client.as_key(answer.json["token"])

    async def sign_in(self, name: str, password: str) -> Client:
        """A client with a fresh session as a bearer token."""
        body = {"name": name, "password": password, "bearer": True}
        answer = await self.client.as_key(None).post("/api/v1/login", body)
        assert answer.status == 200, answer.data
        return self.client.as_key(answer.json["token"])

    async def enrol(self, name: str = "worker", **fields: Any) -> ScriptedAgent:
        """Return a scripted agent that joined by a token and is online."""
        body = {"autoApprove": True, "capabilities": ["*"]}
        made = await self.client.post("/api/v1/join-tokens", body)
        agent = ScriptedAgent(self.world())
        await agent.connect()
        await agent.register(token=made.json["token"], name=name, **fields)
        await agent.receive(RegisterAck)
        return agent


async def until(look: Callable[[], Awaitable[T]], seconds: float = 30) -> T:
    """Return what an async look finds, once it is something."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):  # noqa: ASYNC110 - a condition inside the hub
            await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def serve(
    data_dir: Path, api_key: str | None = None, **flags: Any
) -> AsyncIterator[ServedHub]:
    """Serve a hub in this loop; `api_key` is of the client, the first admin's for a new hub."""
    configure_logging("error")
    if "database_url" not in flags:
        lay_schema_of_new(data_dir)
    settings = load_settings(
        {"data_dir": data_dir, "port": 0, "shutdown_seconds": 2, **flags}, environ={}
    )
    listening: socket.socket = bind(settings)
    async with open_hub(settings) as running:
        server = HubServer(running, settings)
        serving = asyncio.ensure_future(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(10):
                await server.started_serving.wait()
            port = listening.getsockname()[1]
            client = Client("127.0.0.1", port, api_key or running.first_api_key)
            yield ServedHub(running, client, url_of(listening), settings)
        finally:
            server.should_exit = True
            await serving
            listening.close()
