"""The action that hands an order on to another agent, with the narrower of two authorities."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, JsonValue

from agentd.executors.base import Params, Work
from protocol.ids import ACTION_PATTERN
from protocol.messages import Capability


class LentCapability(Params):
    """What is handed on: an action or pattern, in these realms (None: all), on these agents."""

    action: Annotated[str, Field(max_length=200)]
    realms: Annotated[list[str] | None, Field(max_length=64)] = None
    agents: Annotated[list[str] | None, Field(max_length=256)] = None


class PeerOrderParams(Params):
    """Whom to order, what, and with which params."""

    agent: Annotated[str, Field(min_length=1, max_length=200)]
    action: Annotated[str, Field(max_length=200, pattern=ACTION_PATTERN)]
    params: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: Annotated[int | None, Field(ge=1, le=604_800)] = None
    lend: Annotated[list[LentCapability], Field(max_length=64)] = Field(default_factory=list)


class PeerOrder:
    """`peer.order`: order from another agent; the output holds its result and its signature."""

    name = "peer.order"
    capability = "peer"
    description = "Order work from another agent and return its signed result."
    # What was ordered is on disk: run again, it goes on waiting for the same result.
    idempotent = True
    params_model: type[BaseModel] = PeerOrderParams

    async def execute(self, work: Work) -> JsonValue:
        """Return the peer's output with the document that proves it.

        Raises:
            ExecutorError: the peer did not succeed; the code is the peer's.
        """
        params = work.params_as(PeerOrderParams)
        answer = await work.peers.order(
            params.agent,
            params.action,
            params.params,
            timeout_seconds=params.timeout_seconds,
            lend=[Capability(**one.model_dump(exclude_none=True)) for one in params.lend],
        )
        output = answer.require_success()
        file = answer.result.output_file
        return {
            "intentId": answer.intent_id,
            "agent": answer.peer,
            "output": output,
            "outputFile": None if file is None else {"bytes": file.bytes, "sha256": file.sha256},
            "document": answer.document,
        }
