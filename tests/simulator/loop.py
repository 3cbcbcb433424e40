"""An event loop whose time is made up: nothing waits, and what sleeps for an hour wakes at once.

Work for threads is done where it is asked for, so that one thread does everything in one order, the
same each time for the same seed. Knows nothing of what runs on it.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from typing import Any, Final

import pytest

from controlplane import clock

EPOCH_SECONDS: Final = 1_800_000_000
"""When every simulated world begins."""


class StuckError(AssertionError):
    """Nothing can ever happen any more."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time goes on only when nobody has anything to do, and then at once to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = 0.0

    def time(self) -> float:
        """Return the seconds since the world began."""
        return self._virtual

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Do it now."""
        future: asyncio.Future[Any] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as exc:
            future.set_exception(exc)
        return future

    def _run_once(self) -> None:
        state: Any = self
        timers = state._scheduled
        while timers and timers[0]._cancelled:
            state._timer_cancelled_count -= 1
            heapq.heappop(timers)._scheduled = False
        if not state._ready:
            if not timers:
                raise StuckError("nothing is left to happen")
            self._virtual = max(self._virtual, timers[0]._when)
        super()._run_once()  # type: ignore[misc]


@contextmanager
def made_up_world(seed: int) -> Iterator[tuple[VirtualLoop, random.Random]]:
    """Have clocks, randomness and the loop follow `seed` inside the block."""
    rng = random.Random(seed)
    loop = VirtualLoop()

    class MadeUpDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(EPOCH_SECONDS + loop.time(), tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: 1_000 + loop.time())
        patch.setattr(time, "time", lambda: EPOCH_SECONDS + loop.time())
        patch.setattr(time, "time_ns", lambda: int((EPOCH_SECONDS + loop.time()) * 1e9))
        patch.setattr("agentd.clock.datetime", MadeUpDatetime)
        patch.setattr(os, "urandom", rng.randbytes)
        before = random.getstate()
        random.seed(seed)
        clock._randomness.forget()  # what the hub has read ahead is of another world
        try:
            yield loop, rng
        finally:
            random.setstate(before)
            clock._randomness.forget()
            loop.close()


def run_in(loop: VirtualLoop, work: Callable[[], Any]) -> Any:
    """Run a coroutine function to its end on the loop, and end what it left."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work())
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        asyncio.set_event_loop(None)
