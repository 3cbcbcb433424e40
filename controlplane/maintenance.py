"""What the hub does by itself while it runs: checkpoints, staged orders, renewals, clearing up.

Each task repeats on its own; a failure is logged and tried again, and never ends the hub. What
concerns connections is `controlplane.hub.sweeps`'s. Where a hub has several processes, one does
what is to be done once, and the database refuses it to whoever has stopped being that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from controlplane import clock
from controlplane.approvals.service import expire_approvals
from controlplane.audit.personal import erase_aged
from controlplane.context import Hub
from controlplane.files.service import clear_unfinished
from controlplane.hub.claims import free_lost
from controlplane.intents import rollouts
from controlplane.intents.service import announce
from controlplane.membership import FORGOTTEN_AFTER
from controlplane.notifications.following import tell_people
from controlplane.notifications.mailing import mail_people
from controlplane.people.standing import settle_everybody
from controlplane.policies.service import refresh_policies
from controlplane.policies.signing import renew_expiring
from controlplane.secret_keeper import REFRESH_SECONDS
from controlplane.secret_rotation import destroy_retired
from controlplane.token_keys import renew_token_key
from controlplane.unused_memory import give_back_unused
from controlplane.webhooks.addresses import seal_addresses
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

KEPT_CHECKPOINTS = 10_000
"""One a second at most is signed; whoever has an older one proves from it to the newest."""
RENEW_BEFORE = timedelta(days=30)
"""Policies are signed anew when they have less than this left."""


@asynccontextmanager
async def run_maintenance(hub: Hub) -> AsyncIterator[None]:
    """Run every task inside the block; afterwards none is left."""
    tasks = [
        asyncio.create_task(_repeat(hub, seconds, work, whose), name=work.__name__)
        for whose, seconds, work in (
            (Hub.as_leader, 1.0, sign_checkpoint),
            (Hub.as_leader, 1.0, end_approvals),
            (Hub.as_leader, 1.0, advance_rollouts),
            (Hub.as_leader, 2.0, free_lost),
            (Hub.as_leader, 1.0, tell_people),
            (Hub.as_leader, 5.0, mail_people),
            (_everybody, 5.0, measure),
            (_everybody, 60.0, give_back_memory),
            (_everybody, 5.0, follow_storage),
            (_everybody, REFRESH_SECONDS, follow_data_keys),
            (Hub.as_leader, 600.0, destroy_data_keys),
            (_everybody, 5.0, follow_token_keys),
            (Hub.as_leader, 600.0, renew_token_keys),
            (Hub.as_leader, 60.0, seal_addresses),
            (Hub.as_leader, 600.0, renew_policies),
            (Hub.as_leader, 3_600.0, mend_policies),
            (Hub.as_leader, 600.0, settle_everybody),
            (Hub.as_leader, 600.0, forget_old),
            (Hub.as_leader, 600.0, forget_personal),
            (Hub.as_leader, 600.0, clear_unfinished),
        )
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(
    hub: Hub,
    seconds: float,
    work: Callable[[Hub], Awaitable[None]],
    whose: Callable[[Hub], Hub | None],
) -> None:
    while True:
        try:
            allowed = whose(hub)
            if allowed is not None:
                await work(allowed)
        except Exception as exc:
            log.warning("maintenance_failed", task=work.__name__, error=type(exc).__name__)
        await asyncio.sleep(seconds)


def _everybody(hub: Hub) -> Hub:
    """What every process of a hub does for itself."""
    return hub


async def give_back_memory(hub: Hub) -> None:
    """Give back what the last minute's answers took."""
    await asyncio.to_thread(give_back_unused)


async def sign_checkpoint(hub: Hub) -> None:
    """Sign a checkpoint when the record has grown."""
    await hub.record.sign_newest()


async def end_approvals(hub: Hub) -> None:
    """End requests for approval whose time is over, or whose order has ended."""
    now = clock.now()
    if not await hub.database.read(lambda uow: uow.approvals.due_expired(now, 1)):
        return
    ended = await hub.database.write(lambda uow: expire_approvals(uow, now=now))
    for one in ended:
        hub.events.emit(
            "approval.expired",
            realm=one.realm,
            data={"id": one.id, "intentId": one.intent_id},
            subject=one.id,
        )


async def advance_rollouts(hub: Hub) -> None:
    """Send the next orders of every staged batch that is ready for them."""
    for batch_id in await hub.database.read(rollouts.open_rollouts):
        now = clock.now()

        def unit(uow: UnitOfWork) -> rollouts.Advance:
            return rollouts.advance(uow, batch_id, now)  # noqa: B023

        step = await hub.database.write(unit)
        announce(hub, step.ended)
        for did in step.wake:
            hub.dispatcher.wake(did)


async def measure(hub: Hub) -> None:
    """Note how much waits for agents."""
    hub.metrics.outbox_depth.set(await hub.database.read(lambda uow: uow.outbox.count()))


async def follow_storage(hub: Hub) -> None:
    """Use the file store that was chosen through another hub process."""
    await hub.storage.refresh()


async def follow_data_keys(hub: Hub) -> None:
    """Know the data keys that other processes have made or destroyed."""
    await hub.secrets.refresh()


async def destroy_data_keys(hub: Hub) -> None:
    """Destroy data keys that were replaced and that nothing is sealed with any more."""
    await destroy_retired(hub.database, hub.secrets)


async def follow_token_keys(hub: Hub) -> None:
    """Know the token keys that other processes have made or forgotten."""
    await hub.token_keys.refresh()


async def renew_token_keys(hub: Hub) -> None:
    """Make the next token key when the present one has served its time."""
    lifetime = timedelta(days=hub.settings.token_key_days)
    await renew_token_key(hub.database, hub.secrets, lifetime=lifetime)


async def renew_policies(hub: Hub) -> None:
    """Sign policies anew before they expire; an agent without one does nothing."""
    now = clock.now()
    # A hub whose own delegation ends sooner cannot sign anything that lasts longer.
    latest = hub.identity.hub_delegation.expires
    before = now + RENEW_BEFORE
    if latest is not None and before >= latest:
        return
    renewed = await hub.database.write(lambda uow: renew_expiring(uow, hub, now=now, before=before))
    for did in renewed:
        hub.dispatcher.wake(did)


async def mend_policies(hub: Hub) -> None:
    """Finish what a stop in mid-change left: every agent gets what its layers make now."""
    await refresh_policies(hub, "hub")


async def forget_personal(hub: Hub) -> None:
    """Erase the personal values beside the record that are older than they may become."""
    await erase_aged(hub)


async def forget_old(hub: Hub) -> None:
    """Forget answers nobody repeats, sign-ins nobody ended, attempts and sessions long past."""
    before = clock.now() - timedelta(seconds=hub.settings.idempotency_seconds)
    now = clock.now()

    def unit(uow: UnitOfWork) -> None:
        uow.idempotency.forget(before)
        uow.audit.forget_checkpoints(KEPT_CHECKPOINTS)
        uow.ceremonies.forget(now)
        uow.rate_windows.forget(now - timedelta(days=1))
        uow.device_logins.forget(now - timedelta(days=1))
        uow.sessions.forget(now - timedelta(days=90))
        uow.hub_processes.forget(FORGOTTEN_AFTER)
        uow.notifications.forget(now - timedelta(seconds=hub.settings.notification_keep_seconds))

    await hub.database.write(unit)
