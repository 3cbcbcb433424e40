"""Deliveries under leases, followers of the record, and notifications, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from storage.database import Database
from storage.errors import ConflictError
from storage.records import DeliveryRecord, NotificationRecord, UserRecord, WebhookRecord
from storage.unit_of_work import UnitOfWork

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)


def webhook(id: str = "w1", **fields: object) -> WebhookRecord:
    return WebhookRecord(
        id=id,
        url="https://example.org/",
        events=("*",),
        sealed_secret=b"sealed",
        next_index=0,
        created_by="user:1",
        created_at=NOW,
        updated_at=NOW,
        **fields,  # type: ignore[arg-type]
    )


def delivery(number: int, **fields: object) -> DeliveryRecord:
    return DeliveryRecord(
        id=f"d{number:03}",
        webhook_id="w1",
        type="realm.created",
        body="{}",
        created_at=NOW,
        next_at=NOW,
        leaf_index=number,
        **fields,  # type: ignore[arg-type]
    )


async def fill(database: Database, count: int) -> None:
    def unit(uow: UnitOfWork) -> None:
        uow.webhooks.add(webhook())
        uow.deliveries.add(*(delivery(number) for number in range(count)))

    await database.write(unit)


async def test_a_delivery_is_taken_by_one_and_by_another_when_the_lease_ends(
    database: Database,
) -> None:
    await fill(database, 3)

    async def take(lease: str, now: datetime, limit: int = 2) -> list[DeliveryRecord]:
        until = now + timedelta(seconds=25)
        return list(
            await database.write(
                lambda uow: uow.deliveries.claim("w1", limit, lease=lease, now=now, until=until)
            )
        )

    first = await take("one", NOW)
    second = await take("two", NOW)
    assert sorted(one.id for one in first) == ["d000", "d001"]
    assert [one.id for one in second] == ["d002"]
    assert await take("three", NOW) == []
    again = await take("three", LATER, 3)
    assert [one.attempts for one in again] == [2, 2, 2]
    late = await database.write(
        lambda uow: uow.deliveries.settle("d000", "one", state="delivered", finished_at=LATER)
    )
    assert late is None
    kept = await database.write(
        lambda uow: uow.deliveries.settle("d000", "three", state="delivered", finished_at=LATER)
    )
    assert kept is not None
    assert (kept.state, kept.lease) == ("delivered", None)
    assert await database.write(lambda uow: uow.deliveries.give_back(first[1])) is False
    held = next(one for one in again if one.id == "d001")
    assert await database.write(lambda uow: uow.deliveries.give_back(held)) is True
    assert [one.attempts for one in await take("four", NOW)] == [2]


async def test_two_hubs_at_once_never_take_the_same(database_url: str) -> None:
    databases = [await Database.open(database_url) for _ in range(2)]
    try:
        await fill(databases[0], 40)
        until = NOW + timedelta(seconds=25)

        async def drain(database: Database, name: str) -> list[str]:
            taken: list[str] = []
            while rows := await database.write(
                lambda uow: uow.deliveries.claim("w1", 3, lease=name, now=NOW, until=until)
            ):
                taken += [one.id for one in rows]
            return taken

        one, two = await asyncio.gather(drain(databases[0], "one"), drain(databases[1], "two"))
        assert sorted(one + two) == [f"d{number:03}" for number in range(40)]
    finally:
        for database in databases:
            await database.close()


async def test_a_leaf_is_owed_once_and_a_follower_moves_once(database: Database) -> None:
    await fill(database, 1)

    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.deliveries.add(delivery(0, attempts=5)))

    def twice(uow: UnitOfWork) -> tuple[bool, bool]:
        return uow.webhooks.advance("w1", 0, 10), uow.webhooks.advance("w1", 0, 10)

    assert await database.write(twice) == (True, False)

    def follow(uow: UnitOfWork) -> tuple[int | None, bool, bool, int | None]:
        before = uow.followers.get("people")
        uow.followers.begin("people", 4)
        uow.followers.begin("people", 9)
        first = uow.followers.advance("people", 4, 6)
        return before, first, uow.followers.advance("people", 4, 6), uow.followers.get("people")

    assert await database.write(follow) == (None, True, False, 6)


async def test_what_is_due_leaves_out_disabled_and_paused_webhooks(database: Database) -> None:
    await fill(database, 2)
    assert await database.read(lambda uow: uow.deliveries.due(NOW)) == {"w1": 2}
    await database.write(lambda uow: uow.webhooks.note("w1", paused_until=LATER))
    assert await database.read(lambda uow: uow.deliveries.due(NOW)) == {}
    assert await database.read(lambda uow: uow.deliveries.due(LATER)) == {"w1": 2}
    assert await database.write(lambda uow: uow.webhooks.disable("w1", "gone", NOW)) is not None
    assert await database.write(lambda uow: uow.webhooks.disable("w1", "gone", NOW)) is None
    assert await database.read(lambda uow: uow.deliveries.due(LATER)) == {}


async def test_deliveries_are_bounded_in_number_and_age_and_end_with_their_webhook(
    database: Database,
) -> None:
    await fill(database, 10)

    def unit(uow: UnitOfWork) -> tuple[int, int, int]:
        for one in uow.deliveries.claim("w1", 10, lease="l", now=NOW, until=LATER):
            uow.deliveries.settle(one.id, "l", state="delivered", finished_at=NOW)
        beyond = uow.deliveries.forget_beyond("w1", "delivered", 4)
        young = uow.deliveries.forget("delivered", NOW)
        return beyond, young, uow.deliveries.count("w1", "delivered")

    assert await database.write(unit) == (6, 0, 4)
    assert await database.write(lambda uow: uow.deliveries.forget("delivered", LATER)) == 4
    await database.write(lambda uow: uow.deliveries.add(delivery(99)))
    await database.write(lambda uow: uow.webhooks.delete("w1"))
    assert await database.read(lambda uow: uow.deliveries.count("w1", "pending")) == 0


def note(number: int, **fields: object) -> NotificationRecord:
    return NotificationRecord(
        id=f"n{number:03}",
        user_id="u1",
        **{
            "family": "approvals",
            "fact": f"fact-{number}",
            "data": {},
            "created_at": NOW,
            "realm": "lab",
            "mail": "digest",
            "mail_at": LATER,
            **fields,
        },  # type: ignore[arg-type]
    )


async def test_nobody_is_told_a_fact_twice_nor_of_where_they_may_not_look(
    database: Database,
) -> None:
    def unit(uow: UnitOfWork) -> tuple[bool, bool]:
        uow.users.add(UserRecord(id="u1", name="ada", created_at=NOW, updated_at=NOW))
        first = uow.notifications.add(note(1))
        again = uow.notifications.add(note(2, fact="fact-1"))
        uow.notifications.add(note(3, realm=None))
        return first, again

    assert await database.write(unit) == (True, False)

    def seen(uow: UnitOfWork) -> list[int]:
        reaches = [{"approvals": None}, {"approvals": {"lab"}}, {"approvals": set()}, {}]
        return [uow.notifications.count_unread("u1", one) for one in reaches]  # type: ignore[arg-type]

    assert await database.read(seen) == [2, 1, 0, 0]
    assert await database.write(lambda uow: uow.notifications.mark_read("u2", "n001", NOW)) == 0
    assert await database.write(lambda uow: uow.notifications.mark_read("u1", None, NOW)) == 2
    assert await database.read(seen) == [0, 0, 0, 0]


async def test_mail_is_taken_by_one_and_a_digest_takes_everything_along(
    database: Database,
) -> None:
    much_later = LATER + timedelta(hours=1)

    def unit(uow: UnitOfWork) -> None:
        uow.users.add(UserRecord(id="u1", name="ada", created_at=NOW, updated_at=NOW))
        uow.notifications.add(note(1))
        uow.notifications.add(note(2, mail_at=much_later))
        uow.notifications.add(note(3, mail="immediate", mail_at=NOW))

    await database.write(unit)

    def take(now: datetime) -> Callable[[UnitOfWork], list[str]]:
        def claim(uow: UnitOfWork) -> list[str]:
            uow.notifications.gather_digest("u1", now)
            rows = uow.notifications.claim_mail(
                "u1", now=now, until=now + timedelta(minutes=1), limit=10
            )
            return [one.id for one in rows]

        return claim

    assert await database.write(take(NOW)) == ["n003"]
    assert await database.write(take(NOW)) == []
    assert await database.read(lambda uow: uow.notifications.people_to_mail(NOW, 9)) == []
    assert await database.read(lambda uow: uow.notifications.people_to_mail(LATER, 9)) == ["u1"]
    assert await database.write(take(LATER)) == ["n001", "n002"]
    await database.write(
        lambda uow: uow.notifications.settle_mail(["n001", "n002", "n003"], "sent", LATER)
    )
    assert await database.write(take(much_later)) == []
    assert await database.write(lambda uow: uow.notifications.forget_beyond("u1", 1)) == 2
    assert await database.write(lambda uow: uow.notifications.forget(LATER)) == 1
