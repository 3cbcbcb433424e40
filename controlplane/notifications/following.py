"""From leaves of the record to notifications: read once, told once, by whichever hub is first.

Like webhooks, people are told by a follower of the record (ADR 9). A batch of orders that fails is
one fact to its giver, not twenty thousand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.access.authenticate import user_actor
from controlplane.access.authorize import Actor
from controlplane.approvals.service import is_asked
from controlplane.audit.told import Told, read_told
from controlplane.context import Hub
from controlplane.notifications.families import FAILED, FAMILIES, KINDS, choice_of
from controlplane.notifications.recipients import may_know, people_with
from protocol.audit_leaf import parse_leaf
from storage.records import AuditLeaf, NotificationRecord, UserRecord
from storage.unit_of_work import UnitOfWork

FOLLOWER: Final = "notifications"
CHUNK_LEAVES: Final = 1_000
_FAILED_MEMBER: Final = re.compile(f'"state":"(?:{"|".join(sorted(FAILED))})"'.encode())
_APPROVALS: Final = {"approval.requested": "pending", "approval.expired": "expired"}
"""Kind of leaf to the state in which its approval is still news."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One fact, and the people who are told it."""

    family: str
    fact: str
    realm: str | None
    data: dict[str, Any]
    people: Sequence[UserRecord]


async def tell_people(hub: Hub) -> None:
    """Look at every leaf that is new, and tell who wants to be told."""
    while await _step(hub):
        pass


async def _step(hub: Hub) -> bool:
    """Look at the next leaves; return whether there are more than one step takes.

    What was written meanwhile can wait for the next look: under load there is always some, and
    who asked at once again would take a read and a commit for every order.
    """

    def look(uow: UnitOfWork) -> tuple[int | None, int, list[AuditLeaf]]:
        start, size = uow.followers.get(FOLLOWER), uow.audit.size()
        if start is None or start >= size:
            return start, size, []
        end = min(size, start + CHUNK_LEAVES)
        return start, end, [one for one in uow.audit.of_kinds(start, end, KINDS) if matters(one)]

    start, end, leaves = await hub.database.read(look)
    if start is None:
        # What happened before anybody could be told is not news.
        await hub.database.write(lambda uow: uow.followers.begin(FOLLOWER, end))
        return False
    if start >= end:
        return False

    def move(uow: UnitOfWork) -> list[NotificationRecord]:
        if not uow.followers.advance(FOLLOWER, start, end):
            return []
        notices = [one for told in read_told(uow, leaves) for one in _notices(uow, told)]
        return [one for notice in notices for one in _tell(uow, hub, notice)]

    for one in await hub.database.write(move):
        hub.events.emit(
            "notification.created",
            realm=one.realm,
            data={"id": one.id, "family": one.family},
            subject=one.id,
            person=one.user_id,
        )
    return end - start >= CHUNK_LEAVES


def matters(leaf: AuditLeaf) -> bool:
    """Whether a leaf of a kind that people are told of is news to any: of ends, only failures."""
    if leaf.kind != "intent.finished":
        return True
    # Most orders succeed. A leaf is canonical JSON, so a member has one spelling: a leaf without
    # one of these says no such state, and need not be read; of the others its reading decides.
    if _FAILED_MEMBER.search(leaf.leaf) is None:
        return False
    return parse_leaf(leaf.leaf).data.get("state") in FAILED


def _notices(uow: UnitOfWork, told: Told) -> Iterator[Notice]:
    """Yield what one leaf is to people: at most one notice, with those it concerns."""
    leaf = told.leaf
    family = KINDS[leaf.kind]
    permission = FAMILIES[family].permission
    data: dict[str, Any] = {"kind": leaf.kind, "subject": leaf.subject}
    fact, people = f"{leaf.kind}:{leaf.index}", []
    if leaf.kind == "intent.finished":
        data |= _named(told.facts, "action", "agent", "agentName", "batchId")
        data["state"] = leaf.data["state"]
        fact = f"batch:{told.facts.get('batchId') or leaf.subject}"
        people = _giver(uow, str(told.facts.get("submittedBy") or ""), permission, leaf.realms)
    elif leaf.kind in _APPROVALS:
        approval = uow.approvals.get(leaf.subject)
        if approval is None or approval.state != _APPROVALS[leaf.kind]:
            return
        data |= {"tool": approval.tool, **_named(told.facts, "agent", "agentName")}
        intent = uow.intents.get(approval.intent_id)
        people = [
            user
            for user, actor in people_with(uow, permission, leaf.realms)
            if is_asked(uow, actor, approval, intent)
        ]
    else:
        if leaf.kind == "registration.requested":
            registration = uow.registrations.get(leaf.subject)
            if registration is None or registration.state != "pending":
                return
            data["name"] = registration.name
        elif leaf.kind == "webhook.disabled":
            webhook = uow.webhooks.get(leaf.subject)
            if webhook is None:
                return
            data |= {"host": host_of(webhook.url), "reason": str(leaf.data.get("reason"))}
        elif leaf.kind == "audit.fork_reported":
            data["why"] = str(leaf.data.get("why")).replace("_", " ")
        else:
            agent = uow.agents.get(leaf.subject)
            data |= {
                "agent": leaf.subject,
                "agentName": leaf.subject if agent is None else agent.name,
            }
        people = [user for user, _ in people_with(uow, permission, leaf.realms)]
    realms = leaf.realms or (None,)
    # One of the realms that the person may look into: an agent may lie in several.
    for user in people:
        actor = user_actor(uow, user.id)
        where = next((one for one in realms if actor and _knows(actor, permission, one)), None)
        yield Notice(family, fact, where, data, [user])


def _knows(actor: Actor, permission: str, realm: str | None) -> bool:
    return may_know(actor, permission, () if realm is None else (realm,))


def _giver(
    uow: UnitOfWork, submitted_by: str, permission: str, realms: Sequence[str]
) -> list[UserRecord]:
    user_id = submitted_by.removeprefix("user:")
    user, actor = uow.users.get(user_id), user_actor(uow, user_id)
    if user is None or actor is None or user.kind != "person":
        return []
    return [user] if may_know(actor, permission, realms) else []


def _tell(uow: UnitOfWork, hub: Hub, notice: Notice) -> Iterator[NotificationRecord]:
    now = clock.now()
    for user in notice.people:
        choice = choice_of(notice.family, uow.notifications.choices(user.id))
        mail = choice.mail if user.email and hub.settings.smtp_url else "off"
        if not choice.in_app and mail == "off":
            continue
        wait = timedelta()
        if mail == "digest":
            wait = timedelta(seconds=hub.settings.notification_digest_seconds)
        record = NotificationRecord(
            id=clock.new_id(),
            user_id=user.id,
            family=notice.family,
            fact=notice.fact,
            realm=notice.realm,
            data=notice.data,
            created_at=now,
            # Who wants it by mail only has nothing to read here.
            read_at=None if choice.in_app else now,
            mail="none" if mail == "off" else mail,
            mail_at=None if mail == "off" else now + wait,
        )
        if uow.notifications.add(record):
            uow.notifications.forget_beyond(user.id, hub.settings.max_notifications)
            if choice.in_app:
                yield record


def _named(facts: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: facts[name] for name in names if name in facts}


def host_of(url: str) -> str:
    """Return the host of a webhook: the rest of its address may hold its receiver's secret."""
    return url.partition("://")[2].partition("/")[0]
