"""One order in the agent's hands, and the ways it can end. Values only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import JsonValue, ValidationError

from protocol.authority import Grant
from protocol.errors import Error, PolicyDeniedError
from protocol.messages import Intent, OutputFile, ResultError, ResultStatus
from protocol.verification import Verified

MAX_ERROR_CHARS = 1_000


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ended, before it is signed."""

    status: ResultStatus
    output: JsonValue = None
    output_file: OutputFile | None = None
    code: str | None = None
    message: str = ""
    rule: str | None = None
    """The rule that denied, where the order never got as far as a grant."""

    @classmethod
    def refused(cls, error: Error) -> Ending:
        """Return the refusal that an error of section 7 becomes."""
        rule = error.rule if isinstance(error, PolicyDeniedError) else None
        return cls(ResultStatus.REFUSED, code=error.code, message=error.message, rule=rule)

    @property
    def error(self) -> ResultError | None:
        """The result's `error`; a plug-in's code that is none on the wire is `executor_failed`."""
        if self.code is None:
            return None
        message = self.message[:MAX_ERROR_CHARS]
        try:
            return ResultError(code=self.code, message=message)
        except ValidationError:
            return ResultError(code="executor_failed", message=message)


@dataclass(slots=True)
class Order:
    """An accepted order until its result is on disk."""

    intent: Verified[Intent]
    grant: Grant | None
    received_at: datetime
    judged_at: int = -1
    """`Verifier.changes` when the grant was given: after any change it is judged again."""
    started: bool = False
    started_at: datetime | None = None
    progress_count: int = 0
    approvals: tuple[str, ...] = ()
    sandbox: dict[str, JsonValue] = field(default_factory=dict)
    stop: Ending | None = None
    """Set before its task is cancelled: what the cancellation means."""
    ending: bool = False
    """Its end is decided; nothing that comes later changes it."""
    task: asyncio.Task[Any] | None = None

    @property
    def id(self) -> str:
        """The intent's id."""
        return self.intent.envelope.id

    @property
    def order(self) -> Intent:
        """What is asked for."""
        return self.intent.payload
