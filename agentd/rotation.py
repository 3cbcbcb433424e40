"""Moving to a new key without ever being without one (SPEC section 5).

`writ agent rotate-key` writes the next key beside the key in force. On the next connection the old
key signs a `key_rotation`; then the agent comes back with the new key. Taken in by that key, it
drops the old one: that registration is the hub's ack, whatever was lost on the way. Until then both
lie on disk, and whichever the hub knows is the one that gets in.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Final

from agentd.clock import Clock, new_id
from agentd.errors import StateUnavailableError
from agentd.faults import fault_point
from agentd.identity import NEXT_KEY_FILE, Identity, load_key, promote_next_key
from agentd.log import log
from agentd.outlet import Outlet
from agentd.state import StateDatabase
from agentd.state.facts import ROTATION_SENT, get_fact, set_fact
from protocol.envelope import seal_document
from protocol.key_rotation import rotation_payload
from protocol.keys import PublicKey, SigningKey
from protocol.messages import dump_payload

_LIFETIME: Final = timedelta(days=7)
_HUB_SECONDS: Final = 2.0
"""How long the hub has to take the rotation, or to refuse it, before we come back."""


class Rotation:
    """Which key to come with, and what the answers mean for it."""

    def __init__(
        self,
        data_dir: Path,
        identity: Identity,
        state: StateDatabase,
        outlet: Outlet,
        clock: Clock,
    ) -> None:
        self._data_dir = data_dir
        self._key = identity.key
        self._next = identity.next_key
        self._state = state
        self._outlet = outlet
        self._clock = clock
        self._document_id: str | None = None
        self._refused = False
        sent = get_fact(state.reader, ROTATION_SENT)
        self._try_next = self._next is not None and sent == self._next.public_key.did
        self._in_use = self._key
        self._timer: asyncio.TimerHandle | None = None

    def key_to_use(self) -> SigningKey:
        """Return the key for the next connection: the new one once the hub may know it."""
        self._in_use = self._next if self._try_next and self._next is not None else self._key
        return self._in_use

    def look_for_next(self, passphrase: bytes | None) -> None:
        """Take up the next key that the command line has just written."""
        if self._next is None and (self._data_dir / NEXT_KEY_FILE).exists():
            self._next = load_key(self._data_dir / NEXT_KEY_FILE, passphrase)
            self._refused = False

    def was_registered(self) -> SigningKey | None:
        """The hub took us in; return the new key when it was by that one, now the only one."""
        if self._next is None or self._in_use is not self._next:
            return None
        promote_next_key(self._data_dir)
        fault_point("rotation_acked")
        log("info", "key_rotated", did=self._next.public_key.did)
        self._key, self._next, self._try_next = self._next, None, False
        return self._key

    @property
    def key_in_use(self) -> SigningKey:
        """The key of this connection, or of the last one."""
        return self._in_use

    def was_taken_for_a_stranger(self) -> bool:
        """The hub does not know the key we came with; return whether the other one is to be tried.

        It is when we came with the new one: a rotation that was sent may have got lost on the way.
        """
        if self._next is None or self._in_use is not self._next:
            return False
        self._try_next = False
        return True

    def was_turned_away(self) -> None:
        """The connection ended before we were taken in: the other key may fare better."""
        if self._next is not None and get_fact(self._state.reader, ROTATION_SENT) is not None:
            self._try_next = self._in_use is not self._next

    async def send(self, hub: PublicKey) -> None:
        """Tell the hub of the next key, signed by the old one, and come back with the next."""
        if self._next is None or self._refused or self._in_use is self._next:
            return
        next_key = self._next
        now = self._clock.now()
        document = seal_document(
            type="key_rotation",
            id=new_id(),
            timestamp=now,
            expires=now + _LIFETIME,
            audience=hub.did,
            payload=dump_payload(rotation_payload(self._key.public_key, next_key)),
            signer=self._key,
        )
        fault_point("rotation_prepared")
        try:
            await self._state.write(lambda c: set_fact(c, ROTATION_SENT, next_key.public_key.did))
        except StateUnavailableError as exc:
            log("error", "rotation_waits_for_disk", error=exc.message)
            return
        if not self._outlet.send_document(document.wire):
            return
        fault_point("rotation_sent")
        self._document_id = document.id
        self._try_next = True
        link = self._outlet.link

        def come_back() -> None:
            if self._outlet.link is link and link is not None and not self._refused:
                link.close(1000, "back with the next key")

        self._timer = asyncio.get_running_loop().call_later(_HUB_SECONDS, come_back)

    def take_error(self, in_reply_to: str) -> bool:
        """The hub refuses the rotation: stay with the old key. False: it speaks of another."""
        if not in_reply_to or in_reply_to != self._document_id:
            return False
        self._refused = True
        self._try_next = False
        log("error", "rotation_refused")
        return True
