"""Blocking calls of file stores, in a bounded number of threads of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class StoreThreads:
    """A bounded pool; what finds no thread free waits in order.

    Args:
        name: of the threads, for whoever reads a stack dump.
        threads: at most.
        abandon_seconds: how long a cancelled caller waits for its call to end.
    """

    def __init__(self, name: str, threads: int, *, abandon_seconds: float) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._abandon_seconds = abandon_seconds

    async def run(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what `call` returns. A cancelled caller lets the call end before it cleans up."""
        future = self._pool.submit(call, *args, **kwargs)
        waiting = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            if not future.cancel():
                await asyncio.wait({waiting}, timeout=self._abandon_seconds)
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # looked at, so that nobody reports it as forgotten
            raise

    def close(self) -> None:
        """Take no more calls; those under way end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
