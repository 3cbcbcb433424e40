"""Whether the hub can do its work: asked for by strangers, so the answer is kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from protocol.errors import Error

if TYPE_CHECKING:
    from controlplane.bus.base import Bus
    from storage.database import Database
    from storage.files.base import FileStore

CAN_DO_WITHOUT: Final = frozenset({"bus"})
"""Without it everything is done, only later."""
KEPT_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 3.0


class Readiness:
    """The newest look at database, file store and bus; however many ask, one looks."""

    def __init__(self) -> None:
        self._checks: Mapping[str, str] = {}
        self._looked_at = float("-inf")
        self._lock = asyncio.Lock()
        self.draining = False
        """Whether the process is about to end, and others should be asked instead."""

    async def look(self, database: Database, files: FileStore, bus: Bus) -> Mapping[str, str]:
        """Return `ok` or an error code for each part, at most two seconds old."""
        async with self._lock:
            if time.monotonic() - self._looked_at > KEPT_SECONDS:
                checks = {}
                for name, ask in (
                    ("database", database.ping),
                    ("files", files.check),
                    ("bus", bus.check),
                ):
                    try:
                        async with asyncio.timeout(PATIENCE_SECONDS):
                            await ask()
                    except Error as exc:
                        checks[name] = exc.code
                    except TimeoutError:
                        checks[name] = "timeout"
                    else:
                        checks[name] = "ok"
                self._checks, self._looked_at = checks, time.monotonic()
            return self._checks

    def decide_status(self, checks: Mapping[str, str]) -> str:
        """Return `ok`, `degraded` (work is done, only later), `unready` or `draining`."""
        if self.draining:
            return "draining"
        failing = {name for name, state in checks.items() if state != "ok"}
        if failing - CAN_DO_WITHOUT:
            return "unready"
        return "degraded" if failing else "ok"
