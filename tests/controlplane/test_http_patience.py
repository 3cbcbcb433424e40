"""Clients who do not send, do not stop sending, or do not read: the hub hangs up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from controlplane.api import router
from controlplane.http_patience import MAX_HEAD_BYTES, ClientProtocol
from protocol.messages import RegisterAck
from tests.controlplane.hub.world import until
from tests.controlplane.hubs import ServedHub, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ServedHub]:
    async with serve(tmp_path_factory.mktemp("patience")) as served:
        yield served


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClientProtocol, "head_seconds", 0.4)
    monkeypatch.setattr(ClientProtocol, "unread_seconds", 0.4)
    monkeypatch.setattr(ClientProtocol, "linger_seconds", 0.4)
    monkeypatch.setattr(router, "_BODY_SECONDS", 0.4)


async def dial(served: ServedHub) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(served.client.host, served.client.port)


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(8):
        return await reader.read()


@pytest.mark.parametrize(
    "beginning", [b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: h\r\n"]
)
async def test_who_does_not_finish_the_head_of_a_request_is_hung_up_on(
    served: ServedHub, beginning: bytes
) -> None:
    reader, writer = await dial(served)
    writer.write(beginning)
    assert await rest_of(reader) == b""
    writer.close()


async def test_a_second_request_has_no_longer_for_its_head_than_the_first(
    served: ServedHub,
) -> None:
    reader, writer = await dial(served)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\nGET /healthz HTTP/1.1\r\nHo")
    answered = await rest_of(reader)
    assert answered.count(b"HTTP/1.1 200") == 1
    writer.close()


async def test_a_head_without_end_is_answered_431_and_not_kept(served: ServedHub) -> None:
    reader, writer = await dial(served)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n")
    sent = 0
    while sent < 4 * MAX_HEAD_BYTES and not writer.is_closing():
        writer.write(b"X-Filler: " + b"x" * 8_000 + b"\r\n")
        sent += 8_000
        await asyncio.sleep(0)
    try:
        answer = await rest_of(reader)
    except ConnectionResetError:  # it was still speaking when the hub had had enough
        answer = b"HTTP/1.1 431 "
    assert answer.startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_body_that_does_not_come_is_a_bad_request_and_then_the_end(
    served: ServedHub,
) -> None:
    reader, writer = await dial(served)
    head = (
        f"POST /api/v1/intents HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {served.client.api_key}"
    )
    head += "\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    writer.write(head.encode())
    answer = await rest_of(reader)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"bad_request"' in answer
    writer.close()


async def test_a_follower_of_events_who_reads_nothing_gives_his_place_back(
    served: ServedHub,
) -> None:
    events = served.hub.events
    before = events.subscribers
    deaf = socket.create_connection((served.client.host, served.client.port))
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    head = (
        f"GET /api/v1/events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {served.client.api_key}"
    )
    deaf.sendall(head.encode() + b"\r\n\r\n")
    await until(lambda: events.subscribers > before, "the subscription")
    for number in range(800):
        events.emit("test.noise", realm="default", data={"n": number, "pad": "x" * 20_000})
        await asyncio.sleep(0)
    await until(lambda: events.subscribers == before, "the end of the stream")
    deaf.close()


async def test_agents_and_patient_readers_are_not_hung_up_on(served: ServedHub) -> None:
    agent = await served.enrol("patient")
    async with served.client.stream("/api/v1/events") as reader:
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 8)
        await asyncio.sleep(
            0.8
        )  # longer than anybody here may be silent in the middle of something
        served.hub.events.emit("test.late", realm="default", data={})
        async with asyncio.timeout(8):
            while b"test.late" not in await reader.readline():
                pass
    await agent.leave()
    assert isinstance(await agent.online(), RegisterAck)
    await agent.leave()
