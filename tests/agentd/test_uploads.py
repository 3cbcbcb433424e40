"""Outputs over a result's bound go to the hub's file store, or the order fails as too big."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from protocol.messages import ErrorMessage, UploadGrant, UploadRequest
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble, now

MakeAgent = Callable[..., AgentHere]


class Store:
    """An HTTP server that takes one PUT per connection."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.body = b""
        self.head = ""

    async def __aenter__(self) -> Store:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/put?key=1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = int(self.head.lower().split("content-length: ")[1].split("\r\n")[0])
        self.body = await reader.readexactly(size)
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


async def big_order(hub: HubDouble, data_dir: Path) -> object:
    (data_dir / "workspace").mkdir(exist_ok=True)
    (data_dir / "workspace" / "big").write_bytes(b"x" * 400_000)
    return await hub.order("files.read", {"path": "big"})


async def grant(hub: HubDouble, url: str) -> UploadRequest:
    (request,) = await hub.until(lambda: hub.received.of(UploadRequest))
    assert isinstance(request, UploadRequest)
    await hub.send(
        UploadGrant(
            url=url,
            headers={"X-Upload": "yes", "Host": "evil.example"},
            expires=now() + timedelta(minutes=5),
            intent_id=request.intent_id,
        )
    )
    return request


async def test_a_big_output_is_uploaded(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path
) -> None:
    async with Store("200 OK") as store, agent_here() as agent:
        await agent.state("online")
        intent = await big_order(hub, data_dir)
        request = await grant(hub, store.url)
        result = await hub.result(intent)  # type: ignore[arg-type]
    assert result["status"] == "succeeded"
    assert result["outputFile"] == {"bytes": request.bytes, "sha256": request.sha256}
    assert hashlib.sha256(store.body).hexdigest() == request.sha256
    assert json.loads(store.body)["bytes"] == 400_000
    assert "X-Upload: yes" in store.head
    assert "evil.example" not in store.head


@pytest.mark.parametrize("case", ["the hub", "the store", "the way there"])
async def test_what_passes_by_itself_costs_no_output(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path, case: str
) -> None:
    asked: list[str] = []
    take = hub._take

    async def listen(session: Any, event: Any) -> None:
        if isinstance(getattr(event, "payload", None), UploadRequest):
            asked.append(event.envelope.id)
        await take(session, event)

    hub._take = listen  # type: ignore[method-assign]
    async with Store("503 Busy") as store, agent_here() as agent:
        await agent.state("online")
        intent = await big_order(hub, data_dir)
        await hub.until(lambda: asked)
        if case == "the hub":
            await hub.send(ErrorMessage(code="unavailable", message="", in_reply_to=asked[0]))
        else:
            gone = "http://127.0.0.1:9/put"
            await hub.send(where(store.url if case == "the store" else gone))
        await hub.until(lambda: len(asked) == 2)
        store.status = "200 OK"
        await hub.send(where(store.url))
        result = await hub.result(intent)  # type: ignore[arg-type]
    assert result["status"] == "succeeded"


def where(url: str) -> UploadGrant:
    return UploadGrant(url=url, headers={}, expires=now() + timedelta(minutes=5), intent_id=None)


@pytest.mark.parametrize("case", ["the store refuses", "no grant", "plain http elsewhere"])
async def test_else_it_is_too_big(
    hub: HubDouble, agent_here: MakeAgent, data_dir: Path, case: str
) -> None:
    async with Store("403 Forbidden") as store, agent_here(upload_seconds=1.5) as agent:
        await agent.state("online")
        intent = await big_order(hub, data_dir)
        if case != "no grant":
            elsewhere = "http://store.example/put"
            await grant(hub, store.url if case == "the store refuses" else elsewhere)
        result = await hub.result(intent)  # type: ignore[arg-type]
    assert (result["status"], result["error"]["code"]) == ("failed", "output_too_big")
