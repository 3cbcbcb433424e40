"""What an executor may ask to show itself to other services, as it sees it.

The doing is `agentd.tokens`'. Values and a protocol only: plug-ins import from here.
"""

from __future__ import annotations

from typing import Protocol

from agentd.errors import ExecutorError


class ServiceTokens(Protocol):
    """Short-lived tokens about the order at work."""

    async def fetch(self, audience: str) -> str:
        """Return a JWT that tells `audience` who this agent is, and for whom it works.

        It is good for a minute, for that service only. Never put it into an output or a report.

        Args:
            audience: the service, as it calls itself.

        Raises:
            ExecutorError: `no_token`: the hub gives none for that service in this realm, or it
                cannot be reached in time.
        """


class NoTokens:
    """Stands where no hub can be asked: in tests of executors alone."""

    async def fetch(self, audience: str) -> str:
        """Raise `ExecutorError` with the code `no_token`."""
        raise ExecutorError("no_token", "there is no hub to ask here")
