"""Blocking work of executors, in few threads of its own, that ends when its order does.

Owns the pools. A thread cannot be stopped from outside, so whatever runs here watches its `Halt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ABANDON_SECONDS = 5.0
"""How long a cancelled order waits for its thread to notice."""


class Halt:
    """A flag that an order is over, and what to do to wake a thread that waits for the network."""

    def __init__(self) -> None:
        self._flag = threading.Event()
        self._lock = threading.Lock()
        self._wake: Callable[[], None] | None = None

    def __call__(self) -> bool:
        """Whether the order is over."""
        return self._flag.is_set()

    def set(self) -> None:
        """Say that the order is over, and wake the thread."""
        with self._lock:
            self._flag.set()
            if self._wake is not None:
                self._wake()

    def on_halt(self, wake: Callable[[], None] | None) -> None:
        """Call `wake` when the order is over, at once when it already is; None forgets it.

        When this returns, the call before it is not running any more: what it used can be closed.
        """
        with self._lock:
            self._wake = wake
            if wake is not None and self._flag.is_set():
                wake()


class BlockingPool:
    """A bounded number of threads; what finds none free waits in order.

    Args:
        name: of the threads, for whoever reads a stack dump.
        threads: at most.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(
        self, halt: Halt, work: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return what `work` returns, from a thread.

        Cancellation sets `halt` and then waits up to 5 s for the thread, so that nothing happens
        behind the back of a finished order.
        """
        future = self._pool.submit(work, *args, **kwargs)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            halt.set()
            if not future.cancel():
                with contextlib.suppress(Exception):
                    await asyncio.wait({waiting}, timeout=ABANDON_SECONDS)
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # looked at, so that nobody reports it as forgotten
            raise


FILES = BlockingPool("executor-files", 4)
NETWORK = BlockingPool("executor-network", 8)
