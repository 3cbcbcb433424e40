"""The event bus: in order, resumable, and never longer than its bounds."""

from __future__ import annotations

import asyncio

import pytest

from controlplane.events import EventBus, SubscriberLaggedError


async def test_a_subscriber_gets_later_events_in_order() -> None:
    bus = EventBus()
    bus.emit("before", realm=None, data={})
    with bus.subscribe() as news:
        for n in range(3):
            bus.emit("after", realm=None, data={"n": n})
        got = [await news.next() for _ in range(3)]
    assert [event.data["n"] for event in got if event] == [0, 1, 2]
    assert bus.subscribers == 0


async def test_a_reader_goes_on_after_the_last_event_it_saw() -> None:
    bus = EventBus()
    seen = bus.emit("one", realm=None, data={})
    bus.emit("two", realm=None, data={})
    with bus.subscribe(last_event_id=seen.id) as news:
        event = await news.next()
        assert event is not None
        assert (event.type, news.gap) == ("two", False)


async def test_a_reader_that_was_away_too_long_is_told_of_the_gap() -> None:
    bus = EventBus(ring_events=4)
    lost = bus.emit("lost", realm=None, data={})
    for n in range(10):
        bus.emit("kept", realm=None, data={"n": n})
    with bus.subscribe(last_event_id=lost.id) as news:
        assert news.gap
        got = [await news.next() for _ in range(4)]
    assert [event.data["n"] for event in got if event] == [6, 7, 8, 9]


async def test_a_reader_that_falls_behind_is_dropped_not_buffered() -> None:
    bus = EventBus(subscriber_events=8)
    with bus.subscribe() as news:
        for _ in range(9):
            bus.emit("flood", realm=None, data={})
        with pytest.raises(SubscriberLaggedError):
            await news.next()


async def test_a_filter_and_a_subject_keep_others_events_away() -> None:
    bus = EventBus()
    with (
        bus.subscribe(lambda event: event.realm == "mine") as mine,
        bus.subscribe(subject="a") as about_a,
    ):
        bus.emit("x", realm="theirs", data={}, subject="b")
        bus.emit("y", realm="mine", data={}, subject="a")
        for news in (mine, about_a):
            event = await news.next()
            assert event is not None
            assert event.type == "y"


async def test_closing_the_bus_ends_every_reader() -> None:
    bus = EventBus()
    with bus.subscribe() as one, bus.subscribe(subject="x") as other:
        waiting = [asyncio.create_task(news.next()) for news in (one, other)]
        await asyncio.sleep(0)
        bus.close()
        assert await asyncio.wait_for(asyncio.gather(*waiting), 5) == [None, None]
    with bus.subscribe() as late:
        assert await late.next() is None


async def test_what_can_be_caught_up_on_is_bounded_in_bytes() -> None:
    bus = EventBus(ring_bytes=1_000)
    first = bus.emit("big", realm=None, data={"n": 0})
    for n in range(1, 50):
        bus.emit("big", realm=None, data={"n": n, "text": "x" * 200})
    assert bus._ring_bytes == sum(event.size_bytes for event in bus._ring) <= 1_000
    with bus.subscribe(last_event_id=first.id) as news:
        assert news.gap
        got = [await news.next() for _ in range(4)]
    assert [event.data["n"] for event in got if event] == [46, 47, 48, 49]


async def test_a_reader_of_few_but_big_events_is_dropped_not_buffered() -> None:
    bus = EventBus(subscriber_bytes=1_000)
    with bus.subscribe() as news:
        for _ in range(20):  # one that keeps up is not dropped, however much comes
            bus.emit("flood", realm=None, data={"text": "x" * 400})
            assert await news.next() is not None
        for _ in range(3):
            bus.emit("flood", realm=None, data={"text": "x" * 400})
        with pytest.raises(SubscriberLaggedError):
            await news.next()
