"""Invitations by link: single use, expiring, and never worth more than who invited may grant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from controlplane import clock
from controlplane.access.attempts import address_group, bound_by, count_attempt
from controlplane.access.authenticate import user_actor
from controlplane.access.authorize import Actor, is_allowed, may_grant, realms_with
from controlplane.access.passwords import MIN_CHARS
from controlplane.access.permissions import rung_of
from controlplane.access.session_tokens import new_session_token, secret_hash
from controlplane.context import Hub
from controlplane.errors import AccessDeniedError, HiddenError, InvalidFieldError
from controlplane.people.mail import send_mail
from controlplane.people.realms import enter_realm
from controlplane.people.sign_in import SignedIn, Visitor, start_session
from controlplane.people.standing import settle_grants
from controlplane.people.users import check_roles
from storage.pages import Page
from storage.records import InvitationRecord, UserRecord
from storage.unit_of_work import UnitOfWork

BY_INVITATION: Final = "invitation"
_PREFIX: Final = "writi_"
_MAIL: Final = """\
{name} invites you to {where} as {role}.

Open this link before {expires} (UTC); it works once:

{link}
"""


@dataclass(frozen=True, slots=True)
class Invited:
    """A new invitation; the link is nowhere else. `emailed`: None when it was not asked for."""

    invitation: InvitationRecord
    link: str
    emailed: bool | None


async def invite(
    hub: Hub,
    actor: Actor,
    *,
    realm: str | None,
    role: str,
    email: str | None,
    lifetime: timedelta | None,
    base_url: str,
) -> Invited:
    """Return a new invitation, sent by e-mail where an address is given and mail is set up.

    Raises:
        AccessDeniedError: not in this realm, or a role that is not below the caller's own.
        InvalidFieldError: no such role or realm, or an address but no mail server.
    """
    if not is_allowed(actor, "invitations.write", realm) or (
        realm is None and realms_with(actor, "invitations.write") is not None
    ):
        raise AccessDeniedError("needs invitations.write" + (f" in {realm}" if realm else ""))
    if actor.kind != "user":
        raise AccessDeniedError("only people invite")
    check_roles(actor, [role], realm, pointer="/role")
    if email is not None and not hub.settings.smtp_url:
        raise InvalidFieldError("this hub sends no mail: hand on the link", pointer="/email")
    now = clock.now()
    token = _PREFIX + new_session_token().partition("_")[2]
    record = InvitationRecord(
        id=clock.new_id(),
        hash=secret_hash(token),
        role=role,
        created_by=actor.subject,
        issuer_id=actor.id,
        created_at=now,
        expires_at=now + (lifetime or timedelta(seconds=hub.settings.invitation_seconds)),
        email=email,
        realm=realm,
    )

    def unit(uow: UnitOfWork) -> None:
        if realm is not None and uow.realms.get(realm) is None:
            raise InvalidFieldError(f"no realm {realm}", pointer="/realm")
        uow.invitations.add(record)
        data = {"realm": realm, "role": role}
        realms = () if realm is None else (realm,)
        uow.audit.append(
            "invitation.created", actor.subject, record.id, data, realms=realms, at=now
        )

    await hub.database.write(unit)
    # In the fragment, which browsers send nowhere and no proxy writes down.
    link = f"{base_url}/invite#{token}"
    emailed = None
    if email is not None:
        text = _MAIL.format(
            name=actor.name,
            where=f"the realm {realm}" if realm else "this hub",
            role=role,
            expires=record.expires_at.strftime("%Y-%m-%d %H:%M"),
            link=link,
        )
        emailed = await send_mail(hub.settings, to=email, subject="An invitation", text=text)
    return Invited(record, link, emailed)


async def accept_invitation(
    hub: Hub, *, token: str, name: str, password: str | None, visitor: Visitor
) -> SignedIn:
    """Make the user the invitation is for and sign them in; it is used up.

    Raises:
        HiddenError: unknown, used, revoked or expired, or who invited may no longer grant it.
        InvalidFieldError: a taken name, which uses nothing up; or a short password.
        TooManyAttemptsError: tried too often from there.
    """
    await _count(hub, visitor)
    if password is not None and len(password) < MIN_CHARS:
        raise InvalidFieldError(f"at least {MIN_CHARS} characters", pointer="/password")
    digest = secret_hash(token)
    # Before the costly hash, so that guesses cost the guesser more than the hub.
    await hub.database.read(lambda uow: _open_invitation(uow, digest))
    kept = None if password is None else await hub.passwords.hash(password)
    now = clock.now()
    user_id = clock.new_id()

    def unit(uow: UnitOfWork) -> tuple[SignedIn, list[str]]:
        found = _open_invitation(uow, digest)
        if uow.users.get_by_name(name) is not None:
            raise InvalidFieldError("this name is taken", pointer="/name")
        user = UserRecord(
            id=user_id,
            name=name,
            email=found.email,
            roles=() if found.realm else (found.role,),
            password_hash=kept,
            created_at=now,
            updated_at=now,
            created_by=found.created_by,
        )
        uow.users.add(user)
        told = _enter(uow, hub, found, user)
        signed_in = start_session(uow, hub, user, method=BY_INVITATION, visitor=visitor, now=now)
        return signed_in, told

    signed_in, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    return signed_in


async def join_by_invitation(hub: Hub, actor: Actor, *, token: str, visitor: Visitor) -> None:
    """Give somebody who is here already what an invitation offers; it is used up.

    Raises:
        HiddenError: unknown, used, revoked or expired, or who invited may no longer grant it.
        AccessDeniedError: no person; or they stand as high there already.
        InvalidFieldError: an invitation to the whole hub, which is for new people.
    """
    await _count(hub, visitor)
    if actor.kind != "user" or actor.session_id is None:
        raise AccessDeniedError("sign in first")
    digest = secret_hash(token)

    def unit(uow: UnitOfWork) -> list[str]:
        found = _open_invitation(uow, digest)
        user = uow.users.get(actor.id)
        if user is None or found.realm is None:
            raise InvalidFieldError("this invitation is for somebody new", pointer="/token")
        held = uow.realms.member(found.realm, user.id)
        if held is not None and rung_of(held.role) >= rung_of(found.role):
            raise AccessDeniedError(f"you are {held.role} there already")
        return _enter(uow, hub, found, user)

    told = await hub.database.write(unit)
    hub.authenticator.forget()
    for did in told:
        hub.dispatcher.wake(did)


async def list_invitations(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None
) -> Page[InvitationRecord]:
    """Return a page of the invitations into the caller's realms, newest first."""
    realms = realms_with(actor, "invitations.read")
    return await hub.database.read(
        lambda uow: uow.invitations.list(realms=realms, limit=limit, cursor=cursor)
    )


async def revoke_invitation(hub: Hub, actor: Actor, invitation_id: str) -> None:
    """Make an invitation worthless; again is harmless.

    Raises:
        HiddenError: none the caller may see.
    """

    def unit(uow: UnitOfWork) -> None:
        found = uow.invitations.get(invitation_id)
        realms = realms_with(actor, "invitations.write")
        if found is None or (realms is not None and found.realm not in realms):
            raise HiddenError("no such invitation")
        if uow.invitations.revoke(invitation_id):
            within = () if found.realm is None else (found.realm,)
            uow.audit.append("invitation.revoked", actor.subject, invitation_id, {}, realms=within)

    await hub.database.write(unit)


async def _count(hub: Hub, visitor: Visitor) -> None:
    most = hub.settings.sign_in_attempts_per_address
    bound = bound_by("invitation", address_group(visitor.address), most=most)
    await count_attempt(hub.database, [bound])


def _open_invitation(uow: UnitOfWork, digest: str) -> InvitationRecord:
    found = uow.invitations.get_by_hash(digest)
    if (
        found is None
        or found.used_at is not None
        or found.revoked_at is not None
        or found.expires_at <= clock.now()
    ):
        raise HiddenError("no such invitation")
    issuer = user_actor(uow, found.issuer_id)
    if issuer is None or not may_grant(issuer, found.role, found.realm):
        raise HiddenError("no such invitation")
    return found


def _enter(uow: UnitOfWork, hub: Hub, found: InvitationRecord, user: UserRecord) -> list[str]:
    if not uow.invitations.use(found.id, user.id, clock.now()):
        raise HiddenError("no such invitation")
    uow.audit.append(
        "invitation.used",
        f"user:{user.id}",
        found.id,
        {"user": user.id},
        realms=() if found.realm is None else (found.realm,),
    )
    if found.realm is None:
        return settle_grants(uow, hub, user.id, by=found.created_by, now=clock.now())
    return enter_realm(uow, hub, realm=found.realm, user=user, role=found.role, by=found.created_by)
