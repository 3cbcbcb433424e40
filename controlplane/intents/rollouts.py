"""Orders to many agents a few at a time, stopping when too many fail.

All orders of a staged batch are signed and on disk from the start; what is staged is the sending.
The plan lies beside the settings under `rollout:<batch id>` until its last order has ended, so a
restarted hub goes on where it stood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from controlplane.context import OutboxKind
from controlplane.errors import InvalidFieldError
from controlplane.intents.service import end_queued
from controlplane.intents.state import is_terminal
from controlplane.intents.targets import Target
from protocol.messages.intents import IntentState
from storage.records import IntentRecord

if TYPE_CHECKING:
    from storage.unit_of_work import UnitOfWork

_PREFIX: Final = "rollout:"


@dataclass(frozen=True, slots=True)
class Rollout:
    """`size` orders at a time; after `stop_after` that did not succeed, the rest is cancelled."""

    size: int
    stop_after: int | None


@dataclass(frozen=True, slots=True)
class Advance:
    """What one look at a rollout did: whom to wake, what ended, and whether it is over."""

    wake: tuple[str, ...]
    ended: tuple[IntentRecord, ...]
    over: bool


def plan(target: Target, count: int) -> Rollout | None:
    """Return how to stage an order for `count` agents, or None to send all at once.

    Raises:
        InvalidFieldError: `batch` is neither a number from 1 nor a percentage from 1% to 100%.
    """
    if target.batch is None and target.stop_after is None:
        return None
    size = count
    if target.batch is not None:
        digits = target.batch.removesuffix("%")
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else 0
        percent = target.batch.endswith("%")
        if number < 1 or (percent and number > 100):
            raise InvalidFieldError("10 or 10%", pointer="/target/batch")
        size = math.ceil(count * number / 100) if percent else number
    if count == 0 or (size >= count and target.stop_after is None):
        return None
    return Rollout(max(1, size), target.stop_after)


def keep(uow: UnitOfWork, batch_id: str, rollout: Rollout, now: datetime) -> None:
    """Keep the plan of a batch on disk."""
    value = {"size": rollout.size, "stopAfter": rollout.stop_after}
    uow.settings.put(_PREFIX + batch_id, value, at=now, by="hub")


def open_rollouts(uow: UnitOfWork) -> list[str]:
    """Return the batches that are still being rolled out."""
    return [
        setting.key.removeprefix(_PREFIX)
        for setting in uow.settings.list()
        if setting.key.startswith(_PREFIX)
    ]


def advance(uow: UnitOfWork, batch_id: str, now: datetime) -> Advance:
    """Send the next orders of a batch when the last ones have ended, or cancel what is left."""
    setting = uow.settings.get(_PREFIX + batch_id)
    if setting is None:
        return Advance((), (), over=True)
    size, stop_after = int(setting.value["size"]), setting.value["stopAfter"]
    records = uow.intents.by_batch(batch_id)
    finished = [one for one in records if is_terminal(one.state)]
    failed = sum(one.state is not IntentState.SUCCEEDED for one in finished)
    sent = int(setting.value.get("sent", size))
    waiting = [one for one in records[sent:] if not is_terminal(one.state)]
    if stop_after is not None and failed >= stop_after and waiting:
        reason = f"stopped after {failed} failures"
        ended = [end_queued(uow, one.id, actor="hub", reason=reason, now=now) for one in waiting]
        uow.settings.delete(setting.key)
        return Advance((), tuple(one for one in ended if one is not None), over=True)
    if not waiting:
        over = len(finished) == len(records)
        if over:
            uow.settings.delete(setting.key)
        return Advance((), (), over=over)
    if any(not is_terminal(one.state) for one in records[:sent]):
        return Advance((), (), over=False)
    following = records[sent : sent + size]
    for one in following:
        if not is_terminal(one.state):
            uow.outbox.add(one.agent_did, OutboxKind.INTENT, one.id, signer=one.signer)
    value = {**setting.value, "sent": sent + size}
    uow.settings.put(setting.key, value, at=now, by="hub")
    return Advance(tuple(one.agent_did for one in following), (), over=False)
