"""The action that gives its params back: the shortest proof that an order arrived."""

from __future__ import annotations

from pydantic import BaseModel, JsonValue, RootModel

from agentd.executors.base import Work, check_output


class EchoParams(RootModel[dict[str, JsonValue]]):
    """Any object."""


class Echo:
    """`echo`: the output is `params`, unchanged."""

    name = "echo"
    capability = "echo"
    description = "Give the params back unchanged."
    idempotent = True
    params_model: type[BaseModel] = EchoParams

    async def execute(self, work: Work) -> JsonValue:
        """Return the params of the order."""
        return check_output(work.params_as(EchoParams).root, work)
