"""`/notifications`: what the caller was told, and what they want to be told."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from controlplane.api.operation import Body, Call, Reply, View, operation
from controlplane.api.shapes import JsonObject
from controlplane.api.views import PageQuery, page_view, time_view
from controlplane.notifications.families import FAMILIES, title_of
from controlplane.notifications.service import (
    Preferences,
    choose,
    count_unread,
    list_notifications,
    load_preferences,
    mark_all_read,
    mark_read,
)
from storage.records import NotificationRecord

FamilyName = Literal["approvals", "registrations", "agents", "webhooks", "record", "orders"]


class NotificationView(View):
    """One fact. `kind` is the event behind it, `subject` the id of what it is about."""

    id: str
    family: str
    kind: str
    title: str
    realm: str | None
    subject: str
    data: JsonObject
    created_at: str
    read_at: str | None


class UnreadView(View):
    """How many have not been read."""

    unread: int


class ReadView(View):
    """How many had not been read."""

    read: int


class ChoiceView(View):
    """What somebody wants of one family."""

    description: str
    in_app: bool
    email: Literal["off", "immediate", "digest"]


class PreferencesView(View):
    """What you want to be told. Mail goes to `email`, where the hub sends any."""

    email: str | None
    hub_sends_mail: bool
    families: dict[str, ChoiceView]


class ChoiceBody(Body):
    """What to change of one family; what is left out stays."""

    in_app: bool | None = None
    email: Literal["off", "immediate", "digest"] | None = None


class PreferencesBody(Body):
    """What to change; families left out stay."""

    families: dict[FamilyName, ChoiceBody] = Field(min_length=1)


class NotificationsQuery(PageQuery):
    """Only those that have not been read."""

    unread: bool = False


@operation(
    "GET",
    "/api/v1/notifications",
    permission="notifications.read",
    query=NotificationsQuery,
    result=list[NotificationView],
)
async def list_(call: Call) -> Any:
    """List what you were told, newest first."""
    query = call.query
    page = await list_notifications(
        call.hub, call.actor, unread=query.unread, limit=query.limit, cursor=query.cursor
    )
    return page_view(page, _view)


@operation(
    "GET",
    "/api/v1/notifications/unread",
    permission="notifications.read",
    result=UnreadView,
)
async def unread(call: Call) -> Any:
    """How many notifications you have not read."""
    return {"unread": await count_unread(call.hub, call.actor)}


@operation(
    "POST",
    "/api/v1/notifications/read",
    permission="notifications.write",
    result=ReadView,
)
async def read_all(call: Call) -> Any:
    """Note that you have read everything."""
    return {"read": await mark_all_read(call.hub, call.actor)}


@operation("POST", "/api/v1/notifications/{id}/read", permission="notifications.write", status=204)
async def read(call: Call) -> Any:
    """Note that you have read one; again is harmless."""
    await mark_read(call.hub, call.actor, call.path["id"])
    return Reply(status=204)


@operation(
    "GET",
    "/api/v1/me/notification-preferences",
    permission="notifications.read",
    result=PreferencesView,
)
async def preferences(call: Call) -> Any:
    """What you want to be told, and how."""
    return _preferences_view(await load_preferences(call.hub, call.actor))


@operation(
    "PATCH",
    "/api/v1/me/notification-preferences",
    permission="notifications.write",
    body=PreferencesBody,
    result=PreferencesView,
)
async def change_preferences(call: Call) -> Any:
    """Choose what you want to be told, and how."""
    changes = {
        family: one.model_dump(by_alias=True, exclude_none=True)
        for family, one in call.body.families.items()
    }
    return _preferences_view(await choose(call.hub, call.actor, changes))


def _view(record: NotificationRecord) -> dict[str, Any]:
    data = dict(record.data)
    kind, subject = str(data.pop("kind")), str(data.pop("subject"))
    return {
        "id": record.id,
        "family": record.family,
        "kind": kind,
        "title": title_of(kind, record.data),
        "realm": record.realm,
        "subject": subject,
        "data": data,
        "createdAt": time_view(record.created_at),
        "readAt": time_view(record.read_at),
    }


def _preferences_view(found: Preferences) -> dict[str, Any]:
    return {
        "email": found.email,
        "hubSendsMail": found.hub_sends_mail,
        "families": {
            family: {
                "description": FAMILIES[family].does,
                "inApp": one.in_app,
                "email": one.mail,
            }
            for family, one in found.choices.items()
        },
    }


OPERATIONS = [list_, unread, read_all, read, preferences, change_preferences]
