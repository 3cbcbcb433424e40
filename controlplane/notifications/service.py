"""What a person was told, and what they want to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, realms_with
from controlplane.context import Hub
from controlplane.errors import AccessDeniedError, HiddenError
from controlplane.notifications.families import FAMILIES, Choice, choice_of
from storage.pages import Page
from storage.records import NotificationRecord
from storage.repositories.notifications import Reach
from storage.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Preferences:
    """What somebody has chosen, family by family, and where mail to them would go."""

    choices: Mapping[str, Choice]
    email: str | None
    hub_sends_mail: bool


async def list_notifications(
    hub: Hub, actor: Actor, *, unread: bool, limit: int, cursor: str | None
) -> Page[NotificationRecord]:
    """Return a page of what the caller was told and may still see, newest first."""
    person, reach = _person(actor), _reach(actor)
    return await hub.database.read(
        lambda uow: uow.notifications.list(person, reach, unread=unread, limit=limit, cursor=cursor)
    )


async def count_unread(hub: Hub, actor: Actor) -> int:
    """Return how many notifications the caller may see and has not read."""
    person, reach = _person(actor), _reach(actor)
    return await hub.database.read(lambda uow: uow.notifications.count_unread(person, reach))


async def mark_read(hub: Hub, actor: Actor, notification_id: str) -> None:
    """Note that one has been read; again is harmless. `HiddenError` when it is not the caller's."""
    person, now = _person(actor), clock.now()

    def unit(uow: UnitOfWork) -> int:
        if uow.notifications.get(person, notification_id) is None:
            raise HiddenError("no such notification")
        return uow.notifications.mark_read(person, notification_id, now)

    _say_read(hub, person, await hub.database.write(unit))


async def mark_all_read(hub: Hub, actor: Actor) -> int:
    """Note that everything has been read; return how many were not."""
    person, now = _person(actor), clock.now()
    read = await hub.database.write(lambda uow: uow.notifications.mark_read(person, None, now))
    _say_read(hub, person, read)
    return read


async def load_preferences(hub: Hub, actor: Actor) -> Preferences:
    """Return what the caller wants to be told."""
    return await hub.database.read(lambda uow: _preferences(uow, hub, _person(actor)))


async def choose(hub: Hub, actor: Actor, changes: Mapping[str, Mapping[str, Any]]) -> Preferences:
    """Keep what the caller chooses; families and channels not named stay as they are."""
    person, now = _person(actor), clock.now()

    def unit(uow: UnitOfWork) -> Preferences:
        kept = uow.notifications.choices(person)
        for family, change in changes.items():
            kept[family] = {**kept.get(family, {}), **change}
        uow.notifications.set_choices(person, kept, now)
        return _preferences(uow, hub, person)

    return await hub.database.write(unit)


def _say_read(hub: Hub, person: str, read: int) -> None:
    """Tell the person's other pages that less is new."""
    if read:
        hub.events.emit("notification.read", realm=None, data={"read": read}, person=person)


def _preferences(uow: UnitOfWork, hub: Hub, person: str) -> Preferences:
    chosen, user = uow.notifications.choices(person), uow.users.get(person)
    return Preferences(
        choices={family: choice_of(family, chosen) for family in FAMILIES},
        email=None if user is None else user.email,
        hub_sends_mail=bool(hub.settings.smtp_url),
    )


def _person(actor: Actor) -> str:
    if actor.kind != "user":
        raise AccessDeniedError("only people are told")
    return actor.id


def _reach(actor: Actor) -> Reach:
    # The scope to read what one is told is enough to read all of it; a key's realm still bounds it.
    whole = replace(actor, scopes=None)
    return {name: realms_with(whole, one.permission) for name, one in FAMILIES.items()}
