"""Sends what webhooks are owed: a few at a time to each, each by one hub at a time.

A delivery is taken under a lease that outlasts the longest attempt: a hub that dies leaves it to
the next one that looks. An address that fails is tried with one delivery at a time, so that a dead
one costs little and a slow one holds nobody else up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog

from controlplane import clock
from controlplane.context import Hub
from controlplane.webhooks.attempts import Settled, send_attempt, settle_attempt
from controlplane.webhooks.exchange import Exchange, Outcome
from controlplane.webhooks.following import follow_record
from protocol.addresses import parse_networks
from storage.errors import UnavailableError
from storage.records import DeliveryRecord, WebhookRecord
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
"""How often the record and the queues are looked at."""
SWEEP_SECONDS: Final = 60.0
MAX_IN_A_ROW: Final = 50
"""Deliveries that one slot sends without a look at who else waits."""
MAX_RUNNING: Final = 64
"""Attempts at a time, to all webhooks together."""
_LEASE_MARGIN_SECONDS: Final = 10.0
"""Beyond the longest attempt: what writing it down, and clocks of other hubs, may take."""


def open_exchange(hub: Hub) -> Exchange:
    """Return the exchange that the hub's settings allow."""
    return Exchange(
        allowed=parse_networks(hub.settings.webhook_allowed_networks),
        timeout_seconds=hub.settings.webhook_timeout_seconds,
    )


@asynccontextmanager
async def run_webhooks(hub: Hub, exchange: Exchange | None = None) -> AsyncIterator[None]:
    """Follow the record and send inside the block; afterwards no attempt runs."""
    worker = WebhookWorker(hub, exchange or open_exchange(hub))
    task = asyncio.create_task(worker.run(), name="webhooks")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await worker.stop()


class WebhookWorker:
    """What one hub process has under way to webhooks."""

    def __init__(self, hub: Hub, exchange: Exchange) -> None:
        self._hub, self._exchange = hub, exchange
        self._running: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()

    async def run(self) -> None:
        """Look again and again, until cancelled; a failure is logged and tried again."""
        swept = followed = 0.0
        loop = asyncio.get_running_loop()
        while True:
            more = False
            self._finished.clear()
            try:
                if loop.time() - followed >= LOOK_SECONDS:
                    more = await follow_record(self._hub)
                    followed = 0.0 if more else loop.time()
                more = await self.send_due() or more
                if loop.time() - swept >= SWEEP_SECONDS:
                    swept = loop.time()
                    await self._hub.database.write(lambda uow: forget_finished(uow, self._hub))
            except Exception as exc:
                log.warning("webhooks_postponed", error=type(exc).__name__)
                more, followed = False, loop.time()
            if not more:
                # An attempt that ends makes room for the next one at once, and puts no look off.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(followed + LOOK_SECONDS):
                        await self._finished.wait()

    async def stop(self) -> None:
        """End every attempt; what it was for is due again when its lease ends."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send_due(self) -> bool:
        """Begin what may be tried now; return whether anything was begun."""
        now = clock.now()

        def look(uow: UnitOfWork) -> list[tuple[WebhookRecord, int]]:
            due = uow.deliveries.due(now)
            found = ((uow.webhooks.get(id), count) for id, count in due.items())
            return [(one, count) for one, count in found if one is not None]

        begun = 0
        for webhook, due in await self._hub.database.read(look):
            slots = self._slots(webhook)
            if slots > 0:
                begun += await self._begin(webhook, min(slots, due))
        return begun > 0

    def _slots(self, webhook: WebhookRecord) -> int:
        most = 1 if webhook.failing_since is not None else self._hub.settings.webhook_concurrency
        return min(most - self._running[webhook.id], MAX_RUNNING - len(self._tasks))

    async def _begin(self, webhook: WebhookRecord, limit: int) -> int:
        claimed = await self._hub.database.write(
            lambda uow: claim(uow, self._hub, webhook.id, limit, now=clock.now())
        )
        for delivery in claimed:
            self._running[webhook.id] += 1
            task = asyncio.create_task(self._attempts(webhook, delivery), name="webhook attempts")
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._ended(done, webhook.id))
        return len(claimed)

    def _ended(self, task: asyncio.Task[None], webhook_id: str) -> None:
        self._tasks.discard(task)
        self._running[webhook_id] -= 1
        if self._running[webhook_id] <= 0:
            del self._running[webhook_id]
        self._finished.set()

    async def _attempts(self, webhook: WebhookRecord, delivery: DeliveryRecord) -> None:
        """Try a delivery, and then the next one that is due, for as long as they arrive."""
        next_one: tuple[WebhookRecord, DeliveryRecord] | None = (webhook, delivery)
        try:
            for _ in range(MAX_IN_A_ROW):
                if next_one is None:
                    return
                next_one = await self._attempt(*next_one)
            if next_one is not None:
                # Taken and not tried: whoever looks next may have it at once.
                _, left = next_one
                await self._hub.database.write(lambda uow: uow.deliveries.give_back(left))
        except UnavailableError:
            # The receiver may have it already; it will have it again, under the same id.
            log.warning("webhook_attempt_unkept", webhook=webhook.id)

    async def _attempt(
        self, webhook: WebhookRecord, delivery: DeliveryRecord
    ) -> tuple[WebhookRecord, DeliveryRecord] | None:
        hub = self._hub
        try:
            outcome = await send_attempt(hub, self._exchange, webhook, delivery)
        except Exception as exc:
            # A mistake of ours counts as an attempt, or it would be made for ever.
            log.error("webhook_attempt_failed", delivery=delivery.id, error=type(exc).__name__)
            outcome = Outcome(error="internal")
        now = clock.now()

        def unit(uow: UnitOfWork) -> tuple[Settled, WebhookRecord | None, list[DeliveryRecord]]:
            settled = settle_attempt(uow, hub, delivery, outcome, now=now)
            found = uow.webhooks.get(webhook.id)
            if found is None or found.state != "enabled" or found.failing_since is not None:
                return settled, None, []
            return settled, found, list(claim(uow, hub, found.id, 1, now=now))

        settled, found, claimed = await hub.database.write(unit)
        if settled.disabled is not None:
            hub.events.emit(
                "webhook.disabled",
                realm=settled.disabled.realm,
                data={"id": settled.disabled.id, "reason": settled.disabled.disabled_reason},
                subject=settled.disabled.id,
            )
        return (found, claimed[0]) if found is not None and claimed else None


def claim(
    uow: UnitOfWork, hub: Hub, webhook_id: str, limit: int, *, now: datetime
) -> Sequence[DeliveryRecord]:
    """Take up to `limit` deliveries that are due, for longer than an attempt can last."""
    held = timedelta(seconds=hub.settings.webhook_timeout_seconds + _LEASE_MARGIN_SECONDS)
    return uow.deliveries.claim(webhook_id, limit, lease=clock.new_id(), now=now, until=now + held)


def forget_finished(uow: UnitOfWork, hub: Hub) -> None:
    """Forget deliveries that ended long ago, and of each webhook all but the newest."""
    settings = hub.settings
    before = uow.now - timedelta(seconds=settings.webhook_keep_seconds)
    for state in ("delivered", "dead"):
        uow.deliveries.forget(state, before)
    cursor: str | None = None
    while True:
        page = uow.webhooks.list(limit=200, cursor=cursor)
        for one in page.items:
            uow.deliveries.forget_beyond(one.id, "delivered", settings.webhook_keep_deliveries)
            uow.deliveries.forget_beyond(one.id, "dead", settings.webhook_max_pending)
        cursor = page.next_cursor
        if cursor is None:
            return
