"""`Idempotency-Key`: the first answer to a request is the answer to every repetition of it."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import orjson

from controlplane.api.operation import IdempotencyClaim, Reply
from controlplane.errors import HubError
from storage.errors import UnavailableError
from storage.records import Begin, IdempotencyOutcome, InProgress, Mismatch, Replay

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

STALE_AFTER: Final = timedelta(minutes=2)
"""A request that was not answered for so long died with its hub; its key is free again."""


class RequestInProgressError(HubError):
    """The first request with this key has not been answered yet."""

    code = "in_progress"
    retryable = True


class IdempotencyMismatchError(HubError):
    """The key was used with another body."""

    code = "idempotency_mismatch"


def take_claim(uow: UnitOfWork, claim: IdempotencyClaim, now: datetime) -> Reply | None:
    """Take the key in this unit, or return the answer that was given before.

    Raises:
        RequestInProgressError, IdempotencyMismatchError: neither is possible.
    """
    outcome: IdempotencyOutcome = uow.idempotency.begin(
        claim.scope, claim.key, claim.body_hash, now, stale_before=now - STALE_AFTER
    )
    match outcome:
        case Begin():
            return None
        case Replay(status, body):
            return Reply(body, status, {"Idempotency-Replayed": "true"})
        case InProgress():
            raise RequestInProgressError("the first request with this key still runs")
        case Mismatch():
            raise IdempotencyMismatchError("this key was used with another body")


def keep_answer(uow: UnitOfWork, claim: IdempotencyClaim, status: int, body: bytes) -> None:
    """Remember the answer in this unit, next to what it tells of."""
    uow.idempotency.finish(claim.scope, claim.key, status, body)


async def begin_claim(database: Database, claim: IdempotencyClaim, now: datetime) -> Reply | None:
    """Take the key in a unit of its own; return the earlier answer, if there is one."""
    return await database.write(lambda uow: take_claim(uow, claim, now))


async def finish_claim(database: Database, claim: IdempotencyClaim, reply: Reply) -> None:
    """Remember `reply`, with secrets left out where it says how."""
    body = reply.replay if reply.replay is not None else reply.body
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    # The work is done and must be answered; a key that stays open frees itself later.
    with contextlib.suppress(UnavailableError):
        await database.write(lambda uow: keep_answer(uow, claim, reply.status or 200, data))


async def drop_claim(database: Database, claim: IdempotencyClaim) -> None:
    """Free the key of a request that made nothing."""
    with contextlib.suppress(UnavailableError):
        await database.write(lambda uow: uow.idempotency.give_up(claim.scope, claim.key))
