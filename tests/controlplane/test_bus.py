"""The bus: what its promises are, held by the one in process and by a real NATS server alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from controlplane.bus.base import EVENTS, HINTS, Bus, BusUnavailableError, Message, NoAnswerError
from controlplane.bus.in_process import Broker, InProcessBus
from controlplane.secrets import SecretBox
from controlplane.telemetry import Metrics
from tests.controlplane.hub.world import until
from tests.servers.nats import NatsServer

Join = Callable[..., Awaitable[Bus]]
_hubs = itertools.count()


class Ear:
    """Listens to one topic and remembers."""

    def __init__(self, bus: Bus, topic: str) -> None:
        self.heard: list[Any] = []
        bus.listen(topic, self.heard.append)

    async def has(self, count: int) -> list[Any]:
        await until(lambda: len(self.heard) >= count, f"{count} messages")
        return self.heard


def nats_bus(server: NatsServer, member: str, hub: str, key: bytes = b"k" * 32) -> Bus:
    from controlplane.bus.nats import NatsBus

    secrets, metrics = SecretBox(key), Metrics().bus
    return NatsBus(server.url, member=member, hub=hub, secrets=secrets, metrics=metrics)


@pytest.fixture(params=["in_process", "nats"])
async def join(request: pytest.FixtureRequest) -> AsyncIterator[Join]:
    """Make a member of one bus; `prepare` is called with it before it joins."""
    made: list[Bus] = []
    broker, hub = Broker(), f"did:hub:{next(_hubs)}"

    async def make(member: str, prepare: Callable[[Bus], object] | None = None) -> Bus:
        bus: Bus
        if request.param == "nats":
            bus = nats_bus(request.getfixturevalue("nats_server"), member, hub)
        else:
            bus = InProcessBus(member, broker)
        if prepare is not None:
            prepare(bus)
        await bus.start()
        made.append(bus)
        await until(lambda: bus.is_linked, "the link")
        return bus

    yield make
    for bus in made:
        await bus.close()


async def test_everybody_but_the_speaker_hears_a_message(join: Join) -> None:
    ears: dict[str, Ear] = {}
    buses = {
        name: await join(name, lambda bus, name=name: ears.update({name: Ear(bus, HINTS)}))
        for name in ("a", "b", "c")
    }
    buses["a"].publish(HINTS, {"kind": "wake", "agents": ["x"]})
    assert await ears["b"].has(1) == [{"kind": "wake", "agents": ["x"]}]
    assert await ears["c"].has(1) == ears["b"].heard
    buses["b"].publish(HINTS, {"kind": "last"})
    await ears["a"].has(1)
    assert ears["a"].heard == [{"kind": "last"}]


async def test_messages_of_one_member_arrive_in_order(join: Join) -> None:
    ears: list[Ear] = []
    await join("b", lambda bus: ears.append(Ear(bus, EVENTS)))
    speaker = await join("a")
    for n in range(2_000):
        speaker.publish(EVENTS, {"n": n, "filler": "x" * 200})
    assert [one["n"] for one in await ears[0].has(2_000)] == list(range(2_000))


async def test_who_comes_later_hears_the_events_that_were_kept_and_no_hints(join: Join) -> None:
    first: list[Ear] = []
    speaker = await join("a")
    await join("b", lambda bus: first.append(Ear(bus, EVENTS)))
    speaker.publish(HINTS, {"kind": "gone"})
    speaker.publish(EVENTS, {"n": 1})
    await first[0].has(1)
    ears: dict[str, Ear] = {}
    await join("c", lambda bus: ears.update(e=Ear(bus, EVENTS), h=Ear(bus, HINTS)))
    speaker.publish(EVENTS, {"n": 2})
    assert [one["n"] for one in await ears["e"].has(2)] == [1, 2]
    assert ears["h"].heard == []


async def test_a_member_answers_what_it_is_asked(join: Join) -> None:
    async def double(question: Message) -> Message:
        return {"twice": question["n"] * 2}

    await join("b", lambda bus: bus.answer(double))
    asker = await join("a")
    assert await asker.ask("b", {"n": 21}, timeout_seconds=5) == {"twice": 42}


async def test_whoever_is_not_there_answers_nothing_and_at_once(join: Join) -> None:
    asker = await join("a")
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(NoAnswerError):
        await asker.ask("nobody", {}, timeout_seconds=5)
    assert loop.time() - began < 2


async def test_an_answer_that_takes_too_long_is_none(join: Join) -> None:
    async def never(question: Message) -> Message:
        await asyncio.Event().wait()
        return {}

    await join("b", lambda bus: bus.answer(never))
    asker = await join("a")
    with pytest.raises(NoAnswerError):
        await asker.ask("b", {}, timeout_seconds=0.2)


async def test_a_listener_that_fails_takes_no_message_from_the_others(join: Join) -> None:
    ears: list[Ear] = []

    def fails(message: Message) -> None:
        raise ValueError("a newer version's")

    def prepare(bus: Bus) -> None:
        bus.listen(HINTS, fails)
        ears.append(Ear(bus, HINTS))

    await join("b", prepare)
    speaker = await join("a")
    speaker.publish(HINTS, {"n": 1})
    speaker.publish(HINTS, {"n": 2})
    assert [one["n"] for one in await ears[0].has(2)] == [1, 2]


async def test_a_bus_that_works_says_so(join: Join) -> None:
    await (await join("a")).check()


# --- what only a server can do to its members -----------------------------------------------


async def test_a_killed_server_is_found_again_and_what_was_kept_meanwhile_is_said(
    own_nats_server: NatsServer,
) -> None:
    speaker = nats_bus(own_nats_server, "a", "did:hub:killed")
    listener = nats_bus(own_nats_server, "b", "did:hub:killed")
    ear = Ear(listener, EVENTS)
    for bus in (speaker, listener):
        await bus.start()
    try:
        await until(lambda: speaker.is_linked and listener.is_linked, "the links")
        own_nats_server.kill()
        await until(lambda: not (speaker.is_linked or listener.is_linked), "the loss")
        with pytest.raises(BusUnavailableError):
            await speaker.check()
        with pytest.raises(BusUnavailableError):
            await speaker.ask("b", {}, timeout_seconds=1)
        speaker.publish(EVENTS, {"n": 1})
        own_nats_server.start()
        assert (await ear.has(1))[0] == {"n": 1}  # perhaps twice: live, and as kept
        await speaker.check()
    finally:
        await speaker.close()
        await listener.close()


async def test_a_hub_starts_without_its_bus_and_joins_when_it_is_there(
    own_nats_server: NatsServer,
) -> None:
    own_nats_server.kill()
    bus = nats_bus(own_nats_server, "a", "did:hub:early")
    await bus.start()
    try:
        assert not bus.is_linked
        own_nats_server.start()
        await until(lambda: bus.is_linked, "the link")
    finally:
        await bus.close()


async def test_what_waits_for_a_server_that_is_away_is_bounded(
    own_nats_server: NatsServer,
) -> None:
    from controlplane.bus import nats

    own_nats_server.kill()
    metrics = Metrics().bus
    bus = nats.NatsBus(
        own_nats_server.url,
        member="a",
        hub="did:hub:full",
        secrets=SecretBox(b"k" * 32),
        metrics=metrics,
    )
    for n in range(nats.MAX_WAITING_MESSAGES + 7):
        bus.publish(HINTS, {"n": n})
    bus.publish(EVENTS, {"much": "x" * nats.MAX_MESSAGE_BYTES})
    assert metrics.dropped.labels(HINTS)._value.get() == 7
    assert metrics.dropped.labels(EVENTS)._value.get() == 1


async def test_what_another_key_has_sealed_is_not_heard(nats_server: NatsServer) -> None:
    from controlplane.bus.nats import NatsBus

    hub, metrics = "did:hub:sealed", Metrics().bus
    secrets = SecretBox(b"k" * 32)
    listener = NatsBus(nats_server.url, member="b", hub=hub, secrets=secrets, metrics=metrics)
    forger = nats_bus(nats_server, "a", hub, key=b"x" * 32)
    ear = Ear(listener, HINTS)
    for bus in (listener, forger):
        await bus.start()
    try:
        await until(lambda: listener.is_linked and forger.is_linked, "the links")
        forger.publish(HINTS, {"kind": "close", "agent": "somebody"})
        await until(lambda: metrics.dropped.labels("unreadable")._value.get() == 1, "the forgery")
        assert ear.heard == []
    finally:
        await listener.close()
        await forger.close()


async def test_several_hubs_on_one_server_hear_only_their_own(nats_server: NatsServer) -> None:
    ours, theirs = nats_bus(nats_server, "a", "did:hub:x"), nats_bus(nats_server, "b", "did:hub:y")
    mate = nats_bus(nats_server, "c", "did:hub:x")
    ear, mates = Ear(theirs, HINTS), Ear(mate, HINTS)
    for bus in (ours, theirs, mate):
        await bus.start()
    try:
        await until(lambda: all(one.is_linked for one in (ours, theirs, mate)), "the links")
        ours.publish(HINTS, {"n": 1})
        await mates.has(1)
        assert ear.heard == []
    finally:
        for bus in (ours, theirs, mate):
            await bus.close()
