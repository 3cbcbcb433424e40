"""Tokens for other services: asked of the hub, each answer to its own request, bounded in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import BaseModel

from agentd import tokens as module
from agentd.errors import ExecutorError
from agentd.outlet import Outlet
from agentd.tokens import MAX_WAITING, Tokens
from protocol.messages import TokenGrant, TokenRequest
from tests.agentd.hub_double import now

INTENT = "0198f000-0000-7000-8000-000000000001"
OTHER = "0198f000-0000-7000-8000-000000000002"
SERVICE = "https://service.example"


class OutletDouble(Outlet):
    """Takes frames while `up`, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.up = True
        self.sent: list[TokenRequest] = []
        self.asked = asyncio.Event()

    def send(self, payload: BaseModel, *, droppable: bool = False) -> str | None:
        if not self.up:
            return None
        assert isinstance(payload, TokenRequest)
        self.sent.append(payload)
        self.asked.set()
        return f"frame-{len(self.sent)}"


def grant(token: str, intent_id: str = INTENT, audience: str = SERVICE) -> TokenGrant:
    return TokenGrant(
        intent_id=intent_id, audience=audience, token=token, expires=now() + timedelta(minutes=1)
    )


async def test_each_answer_goes_to_the_order_and_the_service_it_is_for() -> None:
    outlet = OutletDouble()
    tokens = Tokens(outlet)
    mine = asyncio.create_task(tokens.work_for(INTENT).fetch(SERVICE))
    other = asyncio.create_task(tokens.work_for(OTHER).fetch(SERVICE))
    await asyncio.sleep(0)
    tokens.take_grant(grant("for-nobody", audience="https://else.example"))
    tokens.take_grant(grant("other", intent_id=OTHER))
    tokens.take_grant(grant("mine"))
    tokens.take_grant(grant("late"))
    assert [await mine, await other] == ["mine", "other"]


async def test_what_the_hub_refuses_fails_the_one_who_asked() -> None:
    outlet = OutletDouble()
    tokens = Tokens(outlet)
    first = asyncio.create_task(tokens.fetch(INTENT, SERVICE))
    second = asyncio.create_task(tokens.fetch(OTHER, SERVICE))
    await asyncio.sleep(0)
    assert not tokens.take_error("frame-9", "not_granted")
    assert tokens.take_error("frame-1", "not_granted")
    with pytest.raises(ExecutorError, match="not_granted") as refused:
        await first
    assert refused.value.code == "no_token"
    tokens.take_grant(grant("good", intent_id=OTHER))
    assert await second == "good"


async def test_a_hub_that_is_away_or_silent_is_waited_for_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(module, "_ONLINE_POLL_SECONDS", 0.01)
    outlet = OutletDouble()
    outlet.up = False
    tokens = Tokens(outlet)
    waiting = asyncio.create_task(tokens.fetch(INTENT, SERVICE))
    await asyncio.sleep(0)
    outlet.up = True
    async with asyncio.timeout(5):
        await outlet.asked.wait()
    tokens.take_grant(grant("back"))
    assert await waiting == "back"
    with pytest.raises(ExecutorError) as refused:
        await tokens.fetch(INTENT, SERVICE)
    assert refused.value.code == "no_token"


async def test_names_of_no_service_and_too_many_at_once_are_not_asked_for() -> None:
    outlet = OutletDouble()
    tokens = Tokens(outlet)
    for audience in ("", "a b", "x" * 256):
        with pytest.raises(ExecutorError):
            await tokens.fetch(INTENT, audience)
    waiting = [asyncio.create_task(tokens.fetch(INTENT, SERVICE)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(ExecutorError, match="too many"):
        await tokens.fetch(INTENT, SERVICE)
    assert len(outlet.sent) == MAX_WAITING
    tokens.take_grant(grant("one-for-all"))
    assert set(await asyncio.gather(*waiting)) == {"one-for-all"}
