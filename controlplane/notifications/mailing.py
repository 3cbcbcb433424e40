"""Notifications by mail: one mail to a person for all that is due, with what they may see now.

Whoever sends takes the rows for two minutes first, so several hubs do not send the same; one that
dies in between may have a mail sent twice. What was read or decided meanwhile is not mailed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controlplane import clock
from controlplane.access.authenticate import user_actor
from controlplane.context import Hub
from controlplane.notifications.families import FAMILIES, title_of
from controlplane.notifications.recipients import may_know
from controlplane.people.mail import send_mail
from storage.records import NotificationRecord
from storage.unit_of_work import UnitOfWork

PEOPLE_AT_ONCE: Final = 50
PER_MAIL: Final = 50
MAX_ATTEMPTS: Final = 8
_HELD: Final = timedelta(minutes=2)
_FIRST_RETRY: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Letter:
    """What is mailed to one person; what they may not or need not see any more is `left_out`."""

    to: str
    told: tuple[NotificationRecord, ...]
    left_out: tuple[NotificationRecord, ...]


async def mail_people(hub: Hub) -> None:
    """Send what is due; a mail server that does not take it is asked again, eight times."""
    if not hub.settings.smtp_url:
        return
    now = clock.now()
    for user_id in await hub.database.read(
        lambda uow: uow.notifications.people_to_mail(now, PEOPLE_AT_ONCE)
    ):
        letter = await hub.database.write(lambda uow: _take(uow, user_id, now))  # noqa: B023
        sent = True
        if letter.told:
            subject, text = render_letter(letter.told, hub.settings.public_url)
            sent = await send_mail(hub.settings, to=letter.to, subject=subject, text=text)
        await hub.database.write(lambda uow: _settle(uow, letter, sent, clock.now()))  # noqa: B023


def _take(uow: UnitOfWork, user_id: str, now: datetime) -> Letter:
    uow.notifications.gather_digest(user_id, now)
    claimed = uow.notifications.claim_mail(user_id, now=now, until=now + _HELD, limit=PER_MAIL)
    user, actor = uow.users.get(user_id), user_actor(uow, user_id)
    told: list[NotificationRecord] = []
    left_out: list[NotificationRecord] = []
    for one in claimed:
        realms = () if one.realm is None else (one.realm,)
        permitted = actor is not None and may_know(actor, FAMILIES[one.family].permission, realms)
        seen = one.read_at is not None and one.read_at > one.created_at
        due = permitted and user is not None and user.email and not seen and _is_open(uow, one)
        (told if due else left_out).append(one)
    return Letter((user.email or "") if user is not None else "", tuple(told), tuple(left_out))


def _is_open(uow: UnitOfWork, one: NotificationRecord) -> bool:
    """Whether it is still worth a mail: what has been decided is not."""
    subject = str(one.data["subject"])
    if one.family == "approvals":
        approval = uow.approvals.get(subject)
        return approval is not None and approval.state == "pending"
    if one.family == "registrations":
        registration = uow.registrations.get(subject)
        return registration is not None and registration.state == "pending"
    return True


def _settle(uow: UnitOfWork, letter: Letter, sent: bool, now: datetime) -> None:
    notes = uow.notifications
    if letter.left_out:
        notes.settle_mail([one.id for one in letter.left_out], "none", now)
    if sent and letter.told:
        notes.settle_mail([one.id for one in letter.told], "sent", now)
        return
    for one in letter.told:
        mail = "failed" if one.mail_attempts >= MAX_ATTEMPTS else one.mail
        again = now + _FIRST_RETRY * 2 ** min(one.mail_attempts, MAX_ATTEMPTS)
        notes.settle_mail([one.id], mail, again)


def render_letter(told: Sequence[NotificationRecord], public_url: str) -> tuple[str, str]:
    """Return subject and text of a mail: titles and realms, nothing of what was ordered with."""
    titles = [title_of(str(one.data["kind"]), one.data) for one in told]
    subject = titles[0] if len(told) == 1 else f"{len(told)} things on Writ"
    lines = [
        f"- {title}" + (f" (realm {one.realm})" if one.realm else "")
        for title, one in zip(titles, told, strict=True)
    ]
    text = "\n".join(lines) + "\n"
    if public_url:
        text += f"\n{public_url.rstrip('/')}/\n"
    return subject, text + "\nTo choose what you are mailed: writ notifications preferences\n"
