"""Where the rest of the agent puts what should reach the hub. Keeps nothing for later.

What must arrive lies on disk and is sent again by whoever owns it; here a frame either goes into
the live connection's queue or is dropped, and the caller is told which.
"""

from __future__ import annotations

from typing import Final, Protocol

from pydantic import BaseModel

from protocol.errors import Error
from protocol.keys import PublicKey

MAX_BACKLOG_FRAMES: Final = 500
"""Frames waiting for the socket beyond which sources of frames wait, and progress is dropped."""
MAY_PASS: Final = frozenset({"rate_limited", "unavailable", "internal"})
"""Codes of a hub that could not just then: the same is worth asking for again."""


class Link(Protocol):
    """A live connection as its users see it."""

    @property
    def hub(self) -> PublicKey:
        """The hub's key, proved on this socket."""

    @property
    def backlog_frames(self) -> int:
        """Frames queued and not yet handed to the socket."""

    def send(self, payload: BaseModel) -> str:
        """Queue a control frame and return its id."""

    def send_document(self, wire: bytes) -> None:
        """Queue a document's exact bytes."""

    def send_error(self, error: Error, in_reply_to: str | None) -> None:
        """Queue an `error`."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close once what is queued has been sent."""

    async def wait_for_room(self) -> None:
        """Return when the backlog is short, or the connection is over."""


class Outlet:
    """The way to the hub, open or not."""

    def __init__(self) -> None:
        self.link: Link | None = None

    @property
    def online(self) -> bool:
        """Whether frames go out now."""
        return self.link is not None

    def send(self, payload: BaseModel, *, droppable: bool = False) -> str | None:
        """Queue a control frame and return its id; None when it was dropped.

        Args:
            payload: the model of a control type.
            droppable: drop it rather than let the backlog grow.
        """
        link = self.link
        if link is None or (droppable and link.backlog_frames >= MAX_BACKLOG_FRAMES):
            return None
        try:
            return link.send(payload)
        except Error:
            return None

    def send_document(self, wire: bytes) -> bool:
        """Queue a document; False when there is no way now."""
        if self.link is None:
            return False
        try:
            self.link.send_document(wire)
        except Error:
            return False
        return True

    def send_error(self, error: Error, in_reply_to: str | None) -> None:
        """Queue an `error` about something the hub sent."""
        if self.link is None:
            return
        try:
            self.link.send_error(error, in_reply_to)
        except Error:
            return
