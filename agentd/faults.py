"""Named points at which a test may kill the agent as a power cut would. TEST ONLY.

With `WRIT_FAULT=<name>` in the environment the process sends itself SIGKILL when it reaches that
point for the first time: no handler runs, nothing is flushed. Unset, a point costs one comparison.
`WRIT_FAULT_AFTER=<n>` lets the first n passes through.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = frozenset(
    {
        "intent_received",
        "intent_stored",
        "intent_acked",
        "intent_started",
        "action_done",
        "result_stored",
        "result_sent",
        "result_acked",
        "document_stored",
        "approval_requested",
        "approval_stored",
        "rotation_prepared",
        "rotation_sent",
        "rotation_acked",
        "rotation_root_pinned",
    }
)
_armed: str | None = os.environ.get("WRIT_FAULT") or None
_passes_left = int(os.environ.get("WRIT_FAULT_AFTER", "0")) if _armed else 0


def fault_point(name: str) -> None:
    """Return at once, unless a test armed `name`: then the process is gone."""
    if _armed is not None and _armed == name:
        _die(name)


def check_armed() -> None:
    """Raise `ValueError` when the armed name is no point at all: a test that tests nothing."""
    if _armed is not None and _armed not in POINTS:
        raise ValueError(f"WRIT_FAULT names no point: {_armed}")


def _die(name: str) -> None:
    global _passes_left
    if name not in POINTS:
        raise ValueError(f"not a point: {name}")
    if _passes_left > 0:
        _passes_left -= 1
        return
    os.kill(os.getpid(), signal.SIGKILL)
