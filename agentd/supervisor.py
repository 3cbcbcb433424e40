"""Never gives up: one attempt after the other, with the delays of SPEC section 4."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agentd.connection import End, Outcome
from agentd.log import log
from agentd.settings import AgentSettings

Announce = Callable[..., None]
"""Called with the new state of the agent (`connecting`, `offline` ...) and facts about it."""

# The hub gives strangers one answer for all of these, so that is all that can be said here.
_AUTH_FAILED_HINT: Final = (
    "The join token is expired, used or for another name: have a new one made "
    "(writ join-tokens create), stop this and start it with the new one. Without a token: "
    "this agent's key was revoked. It goes on asking."
)


def decide_delay_seconds(
    outcome: Outcome, attempt: int, *, settings: AgentSettings, chance: float
) -> float:
    """Return how long to wait before the next attempt.

    Args:
        outcome: how the last attempt ended.
        attempt: failed attempts since the hub last took us in, from 0.
        settings: bounds of the delays.
        chance: uniform in [0, 1): full jitter, so that a fleet does not come back as one.
    """
    if outcome.end is End.REJECTED:
        return settings.rejected_retry_seconds
    if outcome.end is End.DRAINED:
        return outcome.retry_after_seconds * (1 + chance / 2)
    lowest = settings.reconnect_min_seconds
    highest = max(lowest, min(settings.reconnect_max_seconds, 2.0 ** min(attempt, 20)))
    return lowest + (highest - lowest) * chance


async def keep_connected(
    attempt_once: Callable[[], Awaitable[Outcome]],
    *,
    settings: AgentSettings,
    announce: Announce,
    stopping: asyncio.Event,
) -> None:
    """Attempt, wait, attempt again, until `stopping` is set."""
    attempt = 0
    while not stopping.is_set():
        announce("connecting", attempt=attempt)
        outcome = await attempt_once()
        if stopping.is_set():
            return
        if outcome.greeted:
            attempt = 0
        seconds = decide_delay_seconds(
            outcome,
            attempt,
            settings=settings,
            chance=random.random(),  # noqa: S311
        )
        attempt += 1
        refused = outcome.end in (End.REJECTED, End.REFUSED)
        shown: dict[str, Any] = {"reason": outcome.reason, "retryInSeconds": round(seconds, 3)}
        if refused and "auth_failed" in outcome.reason:
            shown["hint"] = _AUTH_FAILED_HINT
        announce("refused" if refused else "offline", **shown)
        log("warning" if refused else "info", "disconnected", reason=outcome.reason, retry=seconds)
        try:
            await asyncio.wait_for(stopping.wait(), seconds)
        except TimeoutError:
            continue
