"""Outputs too big for a result: granted, put, whole or not at all."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
from collections.abc import Mapping
from urllib.parse import urlsplit

from protocol.messages import ErrorMessage, UploadGrant, UploadRequest
from protocol.messages.intents import OutputFile
from tests.controlplane.hub.world import RunningHub

BIG = b"a line of the output\n" * 50_000


def put(url: str, headers: Mapping[str, str], body: bytes) -> int:
    """PUT `body` to `url` and return the status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("PUT", parts.path, body=body, headers=dict(headers))
        return connection.getresponse().status
    finally:
        connection.close()


def wish(intent_id: str, data: bytes = BIG) -> UploadRequest:
    return UploadRequest(
        intent_id=intent_id, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )


async def test_a_big_output_goes_by_upload_and_its_result_names_it(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say(wish(order.id))
    grant = await agent.receive(UploadGrant)
    assert grant.intent_id == order.id
    assert await asyncio.to_thread(put, grant.url, grant.headers, BIG) == 201

    digest = hashlib.sha256(BIG).hexdigest()
    output = OutputFile(bytes=len(BIG), sha256=digest)
    await agent.say_document(agent.result(intent, output_file=output))
    await agent.result_acks(1)
    (kept,) = await hub.read(lambda uow: uow.files.of_intent(order.id))
    assert (kept.state, kept.sha256, kept.bytes) == ("ready", digest, len(BIG))
    assert hub.hub.files is not None
    assert await hub.hub.files.read(kept.key, len(BIG)) == BIG


async def test_other_bytes_than_were_named_are_refused_and_not_kept(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    await agent.document()
    await agent.say(wish(order.id))
    grant = await agent.receive(UploadGrant)
    for wrong in (BIG[:-1] + b"!", BIG[:-1], BIG + b"!"):
        assert await asyncio.to_thread(put, grant.url, grant.headers, wrong) == 422
    (row,) = await hub.read(lambda uow: uow.files.of_intent(order.id))
    assert row.state == "uploading"
    assert hub.hub.files is not None
    assert (await hub.hub.files.list("outputs/", limit=10)).items == ()
    assert await asyncio.to_thread(put, grant.url, grant.headers, BIG) == 201
    # The answer may have been lost: the same upload again is as good as the first.
    assert await asyncio.to_thread(put, grant.url, grant.headers, BIG) == 201


async def test_a_ticket_that_this_hub_did_not_seal_is_worth_nothing(hub: RunningHub) -> None:
    for ticket in ("00", "zz", "ab" * 200, "x" * 4_000):
        url = f"http://127.0.0.1:{hub.port}/uploads/{ticket}"
        assert await asyncio.to_thread(put, url, {}, b"x") == 404


async def test_an_upload_for_another_agents_order_is_unknown_intent(hub: RunningHub) -> None:
    owner, other = await hub.enrolled(), await hub.enrolled()
    order = await hub.order(owner.did)
    await owner.document()
    await other.say(wish(order.id))
    assert (await other.receive(ErrorMessage)).code == "unknown_intent"


async def test_an_upload_beyond_the_bound_is_output_too_big(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    await agent.document()
    await agent.say(UploadRequest(intent_id=order.id, bytes=2**40, sha256="0" * 64))
    assert (await agent.receive(ErrorMessage)).code == "output_too_big"
