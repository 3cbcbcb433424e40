"""How a frame whose effect failed is answered; the same for every conversation."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from controlplane.hub.connection import Connection
from protocol.envelope import Envelope
from protocol.errors import Error, RateLimitedError

log = structlog.get_logger(__name__)


def refusing(connection: Connection, envelope: Envelope) -> Callable[[Error], None]:
    """Return what answers `envelope` by an `error` when its effect could not be written.

    What may pass later (a database that is away) is not refused: the agent says it again, as it
    would after a crash of this hub. That it asks too much is an answer.
    """

    def failed(error: Error) -> None:
        if error.retryable and not isinstance(error, RateLimitedError):
            log.warning("effect_postponed", type=envelope.type, code=error.code)
        else:
            connection.refuse(error, in_reply_to=envelope.id)

    return failed
