"""What an executor may ask of other agents, as it sees it. The doing is `agentd.peers`'.

Values and a protocol only: plug-ins import from here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import JsonValue

from agentd.errors import ExecutorError
from protocol.messages import Capability, Result, ResultStatus


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """A peer's result, proved: signed by that peer, about exactly the order it was given.

    Attributes:
        intent_id: of the order.
        peer: DID of the peer.
        result: what it says.
        document: the signed document as JSON text, unchanged: anyone can prove it again.
    """

    intent_id: str
    peer: str
    result: Result
    document: str

    def require_success(self) -> JsonValue:
        """Return the output of an order that succeeded.

        Raises:
            ExecutorError: it did not; the code is the peer's.
        """
        status, error = self.result.status, self.result.error
        if status is ResultStatus.SUCCEEDED:
            return self.result.output
        detail = f": {error.message}" if error is not None else ""
        code = error.code if error is not None else status.value
        raise ExecutorError(code, f"the peer ended it as {status.value}{detail}")


class PeerOrders(Protocol):
    """Orders to other agents, made on behalf of the order at work."""

    async def order(
        self,
        agent: str,
        action: str,
        params: Mapping[str, Any],
        *,
        realm: str | None = None,
        timeout_seconds: float | None = None,
        lend: Sequence[Capability] = (),
        own_authority: bool = False,
    ) -> PeerAnswer:
        """Order work from another agent and return its proved result, whatever its status.

        The same calls in the same order after a restart continue what was begun: nothing is
        ordered twice.

        Args:
            agent: its DID, or a name from the `[peers]` table of this agent's settings.
            action: what it shall do.
            params: with what.
            realm: by default the realm of the order at work.
            timeout_seconds: at most what is left to the order at work, which is the default.
            lend: rights handed on to the peer until the order expires, inside this agent's own.
            own_authority: do not ask whether whoever ordered the work at hand might order this
                from the peer: this agent answers for it with its own rights alone.

        Raises:
            ExecutorError: it may not be ordered, was turned down, or no result came in time.
        """


class NoPeers:
    """Stands where nothing can be ordered from others: in tests of executors alone."""

    async def order(
        self, agent: str, action: str, params: Mapping[str, Any], **_: Any
    ) -> PeerAnswer:
        """Raise `ExecutorError` with the code `no_peers`."""
        raise ExecutorError("no_peers", "there is no way to other agents here")
