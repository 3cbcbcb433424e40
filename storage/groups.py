"""Group commit, without a database: many units in one transaction, each with its own fate.

The units of a group run in order in one transaction and share its commit. When one of them
raises, nothing of the attempt is kept: those before it run again together, it runs alone, those
after it go on as a group. So a unit may run more than once, and only the failing one fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from storage.errors import UnavailableError

MAX_GROUP_UNITS = 256
MAX_QUEUED_UNITS = 10_000


class UnitFailed(Exception):  # noqa: N818 - control flow inside this room, never seen outside
    """A unit of an attempt raised; the attempt is rolled back."""

    def __init__(self, index: int, error: BaseException) -> None:
        super().__init__(index)
        self.index = index
        self.error = error


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one unit: a value that is on disk, or an error and nothing kept."""

    value: Any = None
    error: BaseException | None = None


def resolve(future: asyncio.Future[Any], outcome: Outcome) -> None:
    """Tell a caller, unless it has stopped listening."""
    if future.done():
        return
    if outcome.error is None:
        future.set_result(outcome.value)
    elif isinstance(outcome.error, StopIteration):
        # No future can carry it, and a caller must never be left waiting.
        future.set_exception(RuntimeError("a unit raised StopIteration"))
    else:
        future.set_exception(outcome.error)


def all_failed(units: int) -> list[Outcome]:
    """Return what every unit is told when the writer itself failed."""
    return [Outcome(error=UnavailableError("the database writer failed"))] * units


Attempt = Callable[[Sequence[Callable[..., Any]]], list[Any]]
"""Runs units in one transaction and commits; `UnitFailed`, or any error of flush and commit."""


def settle(units: Sequence[Callable[..., Any]], attempt: Attempt) -> list[Outcome]:
    """Run every unit to its outcome, in order, with as few commits as their failures allow."""
    outcomes: list[Outcome] = []
    # Spans of `units` still to run; the first is the next. Splitting keeps the order.
    spans = [(0, len(units))]
    while spans:
        start, end = spans.pop(0)
        if start == end:
            continue
        try:
            values = attempt(units[start:end])
        except UnitFailed as failed:
            if isinstance(failed.error, UnavailableError):
                outcomes += [Outcome(error=failed.error)] * (end - start)
            elif end - start == 1:
                outcomes.append(Outcome(error=failed.error))
            else:
                bad = start + failed.index
                spans[:0] = [(start, bad), (bad, bad + 1), (bad + 1, end)]
        except UnavailableError as error:
            outcomes += [Outcome(error=error)] * (end - start)
        except Exception as error:  # deferred rows did not fit: nobody can tell whose
            if end - start == 1:
                outcomes.append(Outcome(error=error))
            else:
                spans[:0] = [(at, at + 1) for at in range(start, end)]
        else:
            outcomes += [Outcome(value=value) for value in values]
    return outcomes
