"""What an executor is, and what it is handed: the seam between authority and work.

Owns `Executor`, `Work` and the checks every executor shares. Knows nothing of envelopes, sockets
or the agent's database: whoever makes a `Work` has settled all of that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from agentd.errors import ExecutorError
from agentd.executors.peer_orders import NoPeers, PeerOrders
from agentd.executors.service_tokens import NoTokens, ServiceTokens
from agentd.sandbox import Sandbox
from agentd.workspace import Workspace
from protocol import limits
from protocol.errors import BadParamsError

if TYPE_CHECKING:
    from protocol.authority import Grant

MAX_REPORTED_FAULTS = 5
"""Faults of params named in one error; more would only repeat what the caller sent."""

P = TypeVar("P", bound=BaseModel)
Progress = Callable[[str, JsonValue], None]
"""Called with a kind of `intent_progress` and its data, from the event loop's thread only."""


def ignore_progress(kind: str, data: JsonValue) -> None:
    """Drop a report of progress: for callers that show none."""


class Params(BaseModel):
    """Base of params models: camelCase on the wire, nothing unknown, no coercion."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
    )


@dataclass(frozen=True, slots=True)
class Work:
    """One order that may be done, with everything it may use. Only dispatch makes it.

    Attributes:
        grant: the proof that it may be done (SPEC section 7).
        params: an instance of the executor's `params_model`.
        workspace: the only files it may touch.
        sandbox: what its child processes may do.
        deadline: on the clock of `time.monotonic`, in seconds; the order is over by then.
        progress: takes reports while it runs.
        domains: host patterns of the matching policy rule; None or empty means no host.
        max_output_bytes: JCS bytes its output may have; higher where the caller uploads.
        peers: orders work from other agents, for this order.
        tokens: show this agent to other services, for this order.
    """

    grant: Grant
    params: BaseModel
    workspace: Workspace
    sandbox: Sandbox
    deadline: float
    progress: Progress = field(default=ignore_progress)
    domains: tuple[str, ...] | None = None
    max_output_bytes: int = limits.MAX_OUTPUT_BYTES
    peers: PeerOrders = field(default_factory=NoPeers)
    tokens: ServiceTokens = field(default_factory=NoTokens)

    def params_as(self, model: type[P]) -> P:
        """Return the params as `model`.

        Raises:
            TypeError: dispatch handed over the params of another action: a bug, not bad input.
        """
        if not isinstance(self.params, model):
            raise TypeError(f"expected {model.__name__}, got {type(self.params).__name__}")
        return self.params

    def remaining_seconds(self, at_most: float = float("inf")) -> float:
        """Return the seconds until the deadline, never below 0 nor above `at_most`."""
        return max(0.0, min(self.deadline - time.monotonic(), at_most))


@runtime_checkable
class Executor(Protocol):
    """One action of this agent.

    A plug-in gives an object of this shape; its attributes go into `register` as they are.
    """

    @property
    def name(self) -> str:
        """The action, such as `files.read`."""

    @property
    def capability(self) -> str:
        """The capability it belongs to, such as `files`."""

    @property
    def description(self) -> str:
        """One sentence for people and models who choose among actions."""

    @property
    def idempotent(self) -> bool:
        """Whether it may simply run again after the agent died while it ran."""

    @property
    def params_model(self) -> type[BaseModel]:
        """The model of its params; its JSON schema is the declared `paramsSchema`."""

    async def execute(self, work: Work) -> JsonValue:
        """Do it and return the output, which fits the JSON profile.

        Cancellation stops the work and leaves nothing of it running.

        Raises:
            ExecutorError: it did not work; the code goes into the `failed` result.
        """


def parse_params(executor: Executor, params: Mapping[str, JsonValue]) -> BaseModel:
    """Return `params` as the executor's model.

    Raises:
        BadParamsError: they do not fit; the message names fields and faults, never values.
    """
    try:
        return executor.params_model.model_validate(dict(params))
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_context=False, include_input=False)
        texts = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'params'}: {fault['msg']}"
            for fault in faults[:MAX_REPORTED_FAULTS]
        ]
        raise BadParamsError("; ".join(texts)[:1000]) from None
    except RecursionError:
        raise BadParamsError("params: nested too deeply") from None


def count_output_bytes(output: JsonValue) -> int:
    """Return the size of `output` in JCS form.

    Order of keys does not change a size, and for strings and integers (all that built-in
    executors return) the standard encoder escapes exactly as RFC 8785 does.
    """
    return len(json.dumps(output, ensure_ascii=False, separators=(",", ":")).encode())


def check_output(output: JsonValue, work: Work) -> JsonValue:
    """Return `output` when it fits what `work` may return.

    Raises:
        ExecutorError: `output_too_big`.
    """
    size = count_output_bytes(output)
    if size > work.max_output_bytes:
        raise ExecutorError(
            "output_too_big", f"the output has {size} bytes, {work.max_output_bytes} are allowed"
        )
    return output
