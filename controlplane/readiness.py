"""Whether the hub can do its work: asked for by strangers, so the answer is kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from protocol.errors import Error

if TYPE_CHECKING:
    from storage.database import Database
    from storage.files.base import FileStore

KEPT_SECONDS: Final = 2.0
PATIENCE_SECONDS: Final = 3.0


class Readiness:
    """The newest look at database and file store; however many ask, one looks."""

    def __init__(self) -> None:
        self._checks: Mapping[str, str] = {}
        self._looked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def look(self, database: Database, files: FileStore) -> Mapping[str, str]:
        """Return `ok` or an error code for each part, at most two seconds old."""
        async with self._lock:
            if time.monotonic() - self._looked_at > KEPT_SECONDS:
                checks = {}
                for name, ask in (("database", database.ping), ("files", files.check)):
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
