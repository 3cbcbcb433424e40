"""How many documents of one key are remembered: replay needs every live id, so new ones must wait.

Nothing is ever forgotten to make room: an id that is forgotten may be used again. Counts on disk
only now and then; in between it counts what it has let through.
"""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from agentd.state.documents import count_seen
from protocol.envelope import Envelope
from protocol.errors import RateLimitedError

RECOUNT_SECONDS: Final = 5.0
"""While there is no room, the disk is asked this often at most."""
STOPPING: Final = frozenset({"revocations", "quarantine", "intent_cancel"})
"""What stops work has a tenth more room: who fills it with orders cannot keep these out."""
_MAX_SIGNERS: Final = 1_000


class DocumentsRoom:
    """Room for the documents of each signer."""

    def __init__(self, reader: sqlite3.Connection, max_per_signer: int) -> None:
        self._reader = reader
        self._max = max_per_signer
        self._estimates: dict[str, tuple[int, float]] = {}
        """By Multikey: no fewer than there are, and when they were counted."""

    def take(self, envelope: Envelope) -> None:
        """Count one more document that is new.

        Raises:
            RateLimitedError: as many of this signer are remembered as may be.
        """
        signer = envelope.public_key.multikey
        room = self._max + (self._max // 10 + 1 if envelope.type in STOPPING else 0)
        known = self._estimates.get(signer)
        now = time.monotonic()
        if known is None or (known[0] >= room and now - known[1] >= RECOUNT_SECONDS):
            if len(self._estimates) >= _MAX_SIGNERS:
                self._estimates.clear()
            known = (count_seen(self._reader, signer), now)
        if known[0] >= room:
            self._estimates[signer] = known
            raise RateLimitedError("as many documents of this key are remembered as may be")
        self._estimates[signer] = (known[0] + 1, known[1])
