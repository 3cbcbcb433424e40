"""Signing in a machine without a browser by another that has one (RFC 8628, in our JSON).

The machine shows a short code and asks again and again with a long one; the person types the
short one where they are signed in. What the machine gets is a session like any other.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from controlplane import clock
from controlplane.access.attempts import address_group, bound_by, count_attempt
from controlplane.access.authorize import Actor
from controlplane.access.session_tokens import secret_hash
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    DeviceDeniedError,
    DeviceExpiredError,
    DeviceLoginError,
    DevicePendingError,
    DeviceSlowDownError,
    HiddenError,
)
from controlplane.people.sign_in import SignedIn, Visitor, start_session
from storage.records import DeviceLoginRecord
from storage.unit_of_work import UnitOfWork

BY_DEVICE: Final = "device"
INTERVAL_SECONDS: Final = 2
_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so no words (RFC 8628, 6.1)
_CODE_CHARS: Final = 8
_GUESSES_PER_PERSON: Final = 20


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """What the machine is told; both codes are nowhere else."""

    device_code: str
    user_code: str
    record: DeviceLoginRecord


async def begin_device_login(hub: Hub, visitor: Visitor) -> DeviceLogin:
    """Return the codes of a new device login; `TooManyAttemptsError` from one address."""
    most = hub.settings.sign_in_attempts_per_address
    bound = bound_by("device", address_group(visitor.address), most=most)
    await count_attempt(hub.database, [bound])
    now = clock.now()
    device_code = secrets.token_urlsafe(32)
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_CHARS))
    record = DeviceLoginRecord(
        id=clock.new_id(),
        device_hash=secret_hash(device_code),
        user_hash=secret_hash(letters),
        client=visitor.client[:200],
        address=visitor.address,
        created_at=now,
        expires_at=now + timedelta(seconds=hub.settings.device_login_seconds),
    )
    await hub.database.write(lambda uow: uow.device_logins.add(record))
    return DeviceLogin(device_code, f"{letters[:4]}-{letters[4:]}", record)


async def load_device_login(hub: Hub, actor: Actor, user_code: str) -> DeviceLoginRecord:
    """Return what waits under a code, so that its person can see what they let in.

    Raises:
        AccessDeniedError: not somebody signed in.
        HiddenError: nothing waits under it.
        TooManyAttemptsError: too many codes tried.
    """
    await _check_person(hub, actor)
    digest = _user_hash(user_code)
    return await hub.database.read(lambda uow: _waiting(uow, digest))


async def decide_device_login(
    hub: Hub, actor: Actor, user_code: str, *, approved: bool
) -> DeviceLoginRecord:
    """Let the machine behind a code in as the caller, or not; once.

    Raises:
        AccessDeniedError: not somebody signed in.
        HiddenError: nothing waits under it.
        TooManyAttemptsError: too many codes tried.
    """
    await _check_person(hub, actor)
    digest = _user_hash(user_code)
    state = "approved" if approved else "denied"

    def unit(uow: UnitOfWork) -> DeviceLoginRecord:
        found = _waiting(uow, digest)
        if not uow.device_logins.decide(found.id, state, actor.id, clock.now()):
            raise HiddenError("nothing waits under this code")
        uow.audit.append(
            f"device_login.{state}",
            actor.subject,
            actor.id,
            {"device": found.id},
            personal={"address": found.address},
        )
        return found

    return await hub.database.write(unit)


async def poll_device_login(hub: Hub, device_code: str, visitor: Visitor) -> SignedIn:
    """Return the session of the machine, once its person has let it in.

    Raises:
        DeviceLoginError: not yet, too fast, denied, or no (longer) valid; its code says which.
        SignInError: who let it in may not sign in any more.
    """
    now = clock.now()
    digest = secret_hash(device_code)

    def unit(uow: UnitOfWork) -> SignedIn | DeviceLoginError:
        found = uow.device_logins.get_by_device(digest)
        if found is None or found.expires_at <= now or found.state == "used":
            return DeviceExpiredError()
        if found.state == "denied":
            return DeviceDeniedError()
        if found.state == "pending":
            early = found.polled_at is not None and now - found.polled_at < timedelta(
                seconds=INTERVAL_SECONDS / 2
            )
            uow.device_logins.note_poll(found.id, now)
            return DeviceSlowDownError() if early else DevicePendingError()
        user = uow.users.get(found.user_id or "")
        if user is None or not uow.device_logins.use(found.id):
            return DeviceExpiredError()
        return start_session(uow, hub, user, method=BY_DEVICE, visitor=visitor, now=now)

    outcome = await hub.database.write(unit)
    if isinstance(outcome, DeviceLoginError):
        raise outcome
    return outcome


async def _check_person(hub: Hub, actor: Actor) -> None:
    if actor.session_id is None:
        raise AccessDeniedError("sign in first: a key lets no machine in")
    bound = bound_by("device-code", actor.id, most=_GUESSES_PER_PERSON)
    await count_attempt(hub.database, [bound])


def _user_hash(user_code: str) -> str:
    return secret_hash("".join(one for one in user_code.upper() if one in _LETTERS))


def _waiting(uow: UnitOfWork, digest: str) -> DeviceLoginRecord:
    found = uow.device_logins.get_by_user(digest)
    if found is None or found.state != "pending" or found.expires_at <= clock.now():
        raise HiddenError("nothing waits under this code")
    return found
