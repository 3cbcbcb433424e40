"""Which agents are connected to this process right now, and on which connection.

A key has one claim at a time, whether its agent is online or still waits to be enrolled. Knows no
database: presence on disk is written by who connects and who disconnects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from controlplane.hub.connection import Connection
from controlplane.neighbours import CLOSE, DECIDED


class Registry:
    """Every open socket, and the connection that holds each key."""

    def __init__(self, tell: Callable[..., None] = lambda kind, **facts: None) -> None:
        self._tell = tell
        self._open: dict[Connection, None] = {}
        self._claims: dict[str, Connection] = {}
        self._contested: set[str] = set()
        self._decided: Callable[[Connection], None] | None = None
        self._emptied: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._open)

    def connections(self) -> list[Connection]:
        """Return every open connection, in the order they were accepted."""
        return list(self._open)

    def add(self, connection: Connection) -> None:
        """Count a socket that was just accepted."""
        self._open[connection] = None

    def remove(self, connection: Connection) -> None:
        """Forget a socket, and its claim when it still holds one."""
        self._open.pop(connection, None)
        did = connection.did
        if did is not None and self._claims.get(did) is connection:
            del self._claims[did]
        if self._emptied is not None and not self._open:
            self._emptied.set()

    async def wait_empty(self) -> None:
        """Return once no socket is open any more."""
        while self._open:
            self._emptied = asyncio.Event()
            await self._emptied.wait()

    def holder(self, did: str) -> Connection | None:
        """Return the connection that holds the key of `did`, online or pending."""
        return self._claims.get(did)

    def claim(self, did: str, connection: Connection) -> None:
        """Make `connection` the one that holds the key of `did`."""
        connection.did = did
        self._claims[did] = connection

    def contest(self, did: str) -> bool:
        """Begin to ask whether the holder of `did` still lives; False while that is being asked."""
        if did in self._contested:
            return False
        self._contested.add(did)
        return True

    def settle(self, did: str) -> None:
        """End what `contest` began."""
        self._contested.discard(did)

    def get(self, did: str) -> Connection | None:
        """Return the live connection of an agent that is online here, or None."""
        connection = self._claims.get(did)
        return connection if connection is not None and connection.is_online else None

    def online(self) -> Iterator[str]:
        """Yield the DIDs that are online here."""
        for did, connection in list(self._claims.items()):
            if connection.is_online:
                yield did

    def close_agent(self, did: str, *, code: int, reason: str) -> None:
        """Close the connection of `did`, registered or pending, at whichever process it is."""
        self._tell(CLOSE, agent=did, code=code, reason=reason)
        self.close_here(did, code=code, reason=reason)

    def close_here(self, did: str, *, code: int, reason: str) -> None:
        """Close the connection of `did` at this process; nothing when there is none."""
        connection = self._claims.get(did)
        if connection is not None:
            connection.close(code, reason)

    def registration_decided(self, did: str) -> None:
        """Have a pending connection of `did`, at any process, look its registration up again."""
        self._tell(DECIDED, agent=did)
        self.decided_here(did)

    def decided_here(self, did: str) -> None:
        """Have a pending connection of `did` at this process look its registration up again."""
        connection = self._claims.get(did)
        if connection is not None and self._decided is not None:
            self._decided(connection)

    def on_decision(self, callback: Callable[[Connection], None] | None) -> None:
        """Set what `registration_decided` calls."""
        self._decided = callback
