"""What a bus promises, whatever carries it.

Owns the words and the errors; knows neither what is said nor who says it. A message is a JSON
object. Nobody hears their own messages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import structlog

from controlplane.errors import HubError

log = structlog.get_logger(__name__)

Message = Mapping[str, Any]
Listener = Callable[[Message], None]
Answerer = Callable[[Message], Awaitable[Message]]

HINTS: Final = "hints"
"""Topic of what is of use now or never: heard by who is there, at most once."""
EVENTS: Final = "events"
"""Topic that is kept for a while: who joins or comes back hears it too, some of it twice."""
KEPT_SECONDS: Final = 600
"""How long `EVENTS` are kept, as long as there is room."""
KEPT_BYTES: Final = 64 * 1024 * 1024
"""How much of them."""


class BusUnavailableError(HubError):
    """The bus cannot be reached; orders still arrive by catching up, later."""

    code = "bus_unavailable"
    retryable = True


class NoAnswerError(HubError):
    """The member that was asked is gone, does not know the question, or took too long."""

    code = "no_answer"
    retryable = True


class Sealer(Protocol):
    """What the processes of one hub share and nobody else has."""

    def seal(self, secret: bytes, *, place: str) -> bytes:
        """Return `secret` sealed for `place`."""
        ...

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return what was sealed for `place`; `SecretError` for anything else."""
        ...


class Bus(Protocol):
    """One member's place on the bus. Messages of one member and topic arrive in order, or not."""

    @property
    def is_alone(self) -> bool:
        """Whether nobody else can ever hear this member."""
        ...

    @property
    def is_linked(self) -> bool:
        """Whether others can hear this member right now."""
        ...

    def listen(self, topic: str, listener: Listener) -> None:
        """Have `listener` called with every message of others under `topic`; before `start`."""
        ...

    def answer(self, answerer: Answerer) -> None:
        """Have `answerer` answer what others ask this member; before `start`."""
        ...

    async def start(self) -> None:
        """Join. Returns at once; a bus that is away is joined when it is back."""
        ...

    def publish(self, topic: str, message: Message) -> None:
        """Say `message` to every other member; never waits, and drops it when too much waits."""
        ...

    async def ask(self, member: str, question: Message, *, timeout_seconds: float) -> Message:
        """Return what `member` answers.

        Raises:
            NoAnswerError: nobody of that name is there, or it took too long.
            BusUnavailableError: the bus itself cannot be reached.
        """
        ...

    async def check(self) -> None:
        """Return when the bus carries messages; `BusUnavailableError` when it does not."""
        ...

    async def close(self) -> None:
        """Say what still waits, for a bounded time, and leave."""
        ...


def tell(listeners: Iterable[Listener], message: Message) -> None:
    """Call every listener; one that cannot read a (newer version's) message spoils no other."""
    for listener in listeners:
        try:
            listener(message)
        except Exception:
            log.exception("bus_listener_failed")
