"""The model walks at random, and the product's own stores walk beside it, step by step.

At the hub the units of `controlplane.intents.service` run on a real SQLite file, at the agent the
statements of `agentd.state`. After every step both disks have to say what the model says.
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from agentd.state.orders import (
    ack_result,
    add_order,
    finish_order,
    get_order,
    get_result,
    held_intents,
    set_order_state,
)
from agentd.state.schema import TABLES
from controlplane.context import OutboxKind
from controlplane.intents import service
from protocol.envelope import Envelope, seal_document
from protocol.errors import ResultConflictError
from protocol.keys import SigningKey
from protocol.messages import Result
from protocol.timestamps import format_timestamp
from protocol.verification import Verified, verify_document_offline
from storage.database import Database
from storage.unit_of_work import UnitOfWork
from tests.model.order_world import ACCEPTED, NONE, STARTED, Kind, Rules, World
from tests.model.order_world import successors as steps_of
from tests.storage import samples

SEED = os.environ.get("WRIT_MODEL_SEED") or str(random.SystemRandom().randrange(10**6))
WALKS = int(os.environ.get("WRIT_MODEL_WALKS", "30"))
HUB, AGENT = SigningKey.from_seed(b"h" * 32), SigningKey.from_seed(b"a" * 32)
DID = AGENT.public_key.did
NOW = samples.NOW
KIND = Kind(may_cancel=True, agent_deaths=2, hub_deaths=1, cuts=2)


class Beside:
    """Both disks of the product, moved by the names of the model's steps."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._agent = sqlite3.connect(":memory:", isolation_level=None)
        self._agent.executescript(TABLES)
        self.order = seal_document(
            type="intent",
            id=samples.new_id(),
            timestamp=NOW,
            expires=samples.LATER,
            audience=DID,
            payload={
                "action": "echo",
                "params": {"walk": number},
                "realm": "default",
                "timeoutSeconds": 60,
            },
            signer=HUB,
        )

    async def begin(self) -> None:
        """Put the order and its outbox row on the hub's disk, as a submission does."""
        record = samples.intent(
            id=self.order.id, agent_did=DID, digest=self.order.digest, expires_at=samples.LATER
        )
        document = samples.document(
            id=self.order.id,
            wire=self.order.wire,
            digest=self.order.digest,
            audience=DID,
            signer=HUB.public_key.did,
        )

        def unit(uow: UnitOfWork) -> None:
            uow.documents.put(document)
            uow.intents.add_many([record])
            uow.outbox.add(DID, OutboxKind.INTENT, self.order.id, signer=HUB.public_key.did)

        await self._database.write(unit)

    async def follow(self, name: str, before: World, after: World) -> None:
        """Do at the product what the step `name` did in the model."""
        now = _time(after)
        if before.agent == NONE and after.agent != NONE:
            add_order(self._agent, self.order, ACCEPTED, 0)
        if before.agent != STARTED and after.agent == STARTED:
            set_order_state(self._agent, self.order.id, STARTED, 1)
        if before.result is None and after.result is not None:
            finish_order(self._agent, self.order.id, self._result(after.result))
        if name == "agent takes result_ack" and (kept := get_result(self._agent, self.order.id)):
            ack_result(self._agent, self.order.id, kept.result_id)
        unit = self._unit(name, now)
        if unit is not None and name.startswith("hub takes result") and before.unconfirmed:
            with pytest.raises(ResultConflictError):
                await self._database.write(unit)
        elif unit is not None:
            await self._database.write(unit)

    def _unit(self, name: str, now: datetime) -> Callable[[UnitOfWork], object] | None:
        order = self.order.id
        held = held_intents(self._agent, 100)
        if name.startswith("hub takes result"):
            kept = get_result(self._agent, order)
            assert kept is not None
            verified = _read(self._result(name.rpartition(" ")[2], kept.result_id))
            return lambda uow: service.finish_with_result(uow, DID, verified, now=now)
        units: dict[str, Callable[[UnitOfWork], object]] = {
            "hub sends the order": lambda uow: service.mark_dispatched(uow, [order], now=now),
            "hub takes ack": lambda uow: service.mark_accepted(uow, DID, [order], now=now),
            "hub takes error expired": lambda uow: service.refuse_by_error(
                uow, DID, order, code="expired", message="", now=now
            ),
            "hub expires a queued order": lambda uow: service.expire_due(uow, now=now),
            "hub gives the agent up": lambda uow: service.expire_due(uow, now=now),
            "the agent connects": lambda uow: service.reconcile_holds(uow, DID, held, now=now),
            "somebody cancels": lambda uow: service.end_queued(
                uow, order, actor="user:1", reason="", now=now
            ),
        }
        return units.get(name)

    async def compare(self, world: World) -> None:
        """Fail unless both disks say what the model says."""
        order = self.order.id

        def unit(uow: UnitOfWork) -> tuple[Any, bool, list[str]]:
            record = uow.intents.get(order)
            assert record is not None
            owed = bool(uow.outbox.pending(DID, now=NOW + timedelta(days=30)))
            ends = [one.kind for one in uow.audit.of_subject(order)].count("intent.finished")
            return record, owed, ["intent.finished"] * ends

        record, owed, ends = await self._database.read(unit)
        assert record.state is world.hub
        assert owed == world.owed
        assert record.unconfirmed == world.unconfirmed
        assert len(ends) == world.ends  # the record tells of every end, and there is one
        kept = get_order(self._agent, order)
        assert (kept.state if kept else NONE) == world.agent
        assert bool(held_intents(self._agent, 100)) == (world.agent != NONE and not world.acked)

    def _result(self, status: str, id: str | None = None) -> Envelope:
        stamp = format_timestamp(NOW)
        error = {"code": status, "message": "as the model has it"}
        return seal_document(
            type="result",
            id=id or samples.new_id(),
            timestamp=NOW,
            expires=NOW + timedelta(days=90),
            audience=HUB.public_key.did,
            payload={
                "intentId": self.order.id,
                "intentDigest": self.order.digest,
                "status": status,
                **({"output": status} if status == "succeeded" else {"error": error}),
                "finishedAt": stamp,
                "usage": {},
                "decision": {"policyVersion": 1, "rule": "allow"},
                "sandbox": {},
                "approvals": [],
                "progressCount": 0,
            },
            signer=AGENT,
        )


def _time(world: World) -> datetime:
    if world.unconfirmed or world.week_over:
        return samples.LATER + timedelta(days=8)
    return samples.LATER + timedelta(seconds=1) if world.late else NOW


def _read(envelope: Envelope) -> Verified[Result]:
    return cast("Verified[Result]", verify_document_offline(envelope, at=None))


@pytest.mark.parametrize("walk", range(WALKS))
async def test_both_disks_say_what_the_model_says(walk: int, sqlite_path: Path) -> None:
    print(f"WRIT_MODEL_SEED={SEED}, walk {walk}")
    rng = random.Random(f"{SEED} {walk}")
    database = await Database.open(f"sqlite+aiosqlite:///{sqlite_path}")
    try:
        beside, world = Beside(database, walk), World()
        await beside.begin()
        for _ in range(40):
            choices = list(steps_of(KIND, Rules(), world))
            if not choices:
                break
            # Faults are rarer than steps, or no walk would get far.
            step = rng.choices(choices, [1 if one.fault else 4 for one in choices])[0]
            print(step.name)
            await beside.follow(step.name, world, step.world)
            world = step.world
            await beside.compare(world)
    finally:
        await database.close()
