"""Named places where a test may kill this process, as a power cut would.

`WRIT_FAULT=name` kills at the first time `name` is reached, `WRIT_FAULT=name:3` at the third.
Unset, as it always is outside tests, a point costs one comparison. Knows nothing of the hub.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = frozenset(
    {
        "submit_before_commit",
        "submit_committed",
        "intent_before_send",
        "intent_sent",
        "ack_before_commit",
        "ack_committed",
        "result_before_commit",
        "result_committed",
        "result_acked",
        "register_before_commit",
        "register_committed",
        "document_sent",
        "decision_before_commit",
        "decision_committed",
    }
)
"""Every name that `reach` is called with while a hub serves; a fault test walks them."""

ROTATION_POINTS: Final = frozenset(
    {
        "secrets_key_written",
        "secrets_key_in_force",
        "secrets_batch_rewrapped",
        "secrets_data_keys_made",
        "secrets_batch_resealed",
        "secrets_keys_retired",
        "secrets_old_key_forgotten",
    }
)
"""The same in `writ hub rotate-secrets`."""


def _parse(text: str | None) -> tuple[str, int] | None:
    if not text:
        return None
    name, _, count = text.partition(":")
    if name not in POINTS | ROTATION_POINTS:
        raise ValueError(f"WRIT_FAULT names no fault point: {name}")
    return name, int(count or "1")


_armed = _parse(os.environ.get("WRIT_FAULT"))
_reached = 0


def reach(point: str) -> None:
    """Return, unless a test has armed `point`: then this process is gone (SIGKILL).

    Args:
        point: one of `POINTS` or `ROTATION_POINTS`.
    """
    global _reached
    if _armed is None or _armed[0] != point:
        return
    _reached += 1
    if _reached >= _armed[1]:
        os.kill(os.getpid(), signal.SIGKILL)
