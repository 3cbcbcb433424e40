"""Passkeys (WebAuthn): made by somebody signed in, and enough by themselves to sign in.

The relying party is the host of `public_url`, else `localhost`: never what a request says. User
verification is always asked for, so a passkey is two factors. No name is asked when signing in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from controlplane import clock
from controlplane.access.authorize import Actor
from controlplane.access.session_tokens import decode, encode
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    SignInError,
    StateConflictError,
)
from controlplane.people.ceremonies import begin_ceremony, take_ceremony
from controlplane.people.sign_in import SignedIn, Visitor, count_sign_in, start_session
from controlplane.settings import HubSettings
from storage.records import PasskeyRecord
from storage.unit_of_work import UnitOfWork

BY_PASSKEY: Final = "passkey"
MAX_PASSKEYS: Final = 20
_REGISTER: Final = "passkey.register"
_SIGN_IN: Final = "passkey.sign_in"
_TRANSPORTS: Final = frozenset({"usb", "nfc", "ble", "internal", "hybrid", "smart-card"})


@dataclass(frozen=True, slots=True)
class Begun:
    """A ceremony that has begun: its id, and what the browser is to be handed."""

    ceremony: str
    options: dict[str, Any]


def relying_party(settings: HubSettings) -> str:
    """Return the domain passkeys of this hub belong to."""
    return urlsplit(settings.public_url).hostname or "localhost"


async def begin_passkey(hub: Hub, actor: Actor) -> Begun:
    """Return what a browser needs to make a passkey for the caller.

    Raises:
        AccessDeniedError: not somebody signed in.
        StateConflictError: they have too many.
    """
    check_signed_in(actor)
    user_id = actor.id
    held = await hub.database.read(lambda uow: uow.passkeys.for_user(user_id))
    if len(held) >= MAX_PASSKEYS:
        raise StateConflictError(f"at most {MAX_PASSKEYS} passkeys")
    library = load_library()
    challenge, options = library.registration_options(
        relying_party(hub.settings),
        user_id=user_id,
        name=actor.name,
        held=[decode(one.credential_id) for one in held],
    )
    data = {"challenge": encode(challenge), "user": user_id}
    ceremony = await begin_ceremony(hub, _REGISTER, data)
    return Begun(ceremony, options)


async def add_passkey(
    hub: Hub, actor: Actor, *, ceremony: str, credential: Mapping[str, Any], name: str, origin: str
) -> PasskeyRecord:
    """Keep a passkey that the caller's browser has made.

    Raises:
        AccessDeniedError: not somebody signed in.
        InvalidFieldError: an unknown ceremony, or an answer that does not hold.
    """
    check_signed_in(actor)
    begun = await take_ceremony(hub, ceremony, _REGISTER)
    if begun is None or begun["user"] != actor.id:
        raise InvalidFieldError("no such ceremony, or no longer", pointer="/ceremony")
    library = load_library()
    try:
        verified = library.verify_registration(
            credential,
            challenge=decode(begun["challenge"]),
            domain=relying_party(hub.settings),
            origin=origin,
        )
    except library.REFUSED as exc:
        raise InvalidFieldError("this passkey does not hold", pointer="/credential") from exc
    now = clock.now()
    answer = credential.get("response")
    transports = answer.get("transports", []) if isinstance(answer, dict) else []
    record = PasskeyRecord(
        id=clock.new_id(),
        credential_id=encode(verified.credential_id),
        user_id=actor.id,
        name=name,
        public_key=verified.credential_public_key,
        created_at=now,
        sign_count=verified.sign_count,
        backed_up=verified.credential_backed_up,
        transports=tuple(one for one in transports if one in _TRANSPORTS)
        if isinstance(transports, list)
        else (),
    )

    def unit(uow: UnitOfWork) -> None:
        if uow.passkeys.get_by_credential(record.credential_id) is not None:
            raise InvalidFieldError("this passkey is known already", pointer="/credential")
        uow.passkeys.add(record)
        uow.audit.append("passkey.added", actor.subject, actor.id, {"passkey": record.id}, at=now)

    await hub.database.write(unit)
    return record


async def list_passkeys(hub: Hub, actor: Actor) -> tuple[PasskeyRecord, ...]:
    """Return the caller's passkeys, oldest first."""
    if actor.kind != "user":
        return ()
    return tuple(await hub.database.read(lambda uow: uow.passkeys.for_user(actor.id)))


async def remove_passkey(hub: Hub, actor: Actor, passkey_id: str) -> None:
    """Forget one of the caller's passkeys.

    Raises:
        AccessDeniedError: not somebody signed in.
        HiddenError: they have no such passkey.
    """
    check_signed_in(actor)

    def unit(uow: UnitOfWork) -> None:
        if not uow.passkeys.delete(passkey_id, actor.id):
            raise HiddenError("no such passkey")
        uow.audit.append("passkey.removed", actor.subject, actor.id, {"passkey": passkey_id})

    await hub.database.write(unit)


async def begin_sign_in(hub: Hub, visitor: Visitor) -> Begun:
    """Return what a browser needs to sign in with whatever passkey it has for this hub.

    Raises:
        TooManyAttemptsError: tried too often from there.
    """
    await count_sign_in(hub, visitor.address, "")
    challenge, options = load_library().sign_in_options(relying_party(hub.settings))
    ceremony = await begin_ceremony(hub, _SIGN_IN, {"challenge": encode(challenge)})
    return Begun(ceremony, options)


async def sign_in_with_passkey(
    hub: Hub, *, ceremony: str, credential: Mapping[str, Any], origin: str, visitor: Visitor
) -> SignedIn:
    """Return a new session of whom the passkey belongs to.

    Raises:
        SignInError: no such ceremony or passkey, an answer that does not hold, or a counter that
            went back, as that of a copy does; all the same.
        TooManyAttemptsError: tried too often from there.
    """
    await count_sign_in(hub, visitor.address, "")
    begun = await take_ceremony(hub, ceremony, _SIGN_IN)
    shown = credential.get("id")
    if begun is None or not isinstance(shown, str):
        raise SignInError
    known = await hub.database.read(lambda uow: uow.passkeys.get_by_credential(shown))
    if known is None:
        raise SignInError
    library = load_library()
    try:
        verified = library.verify_sign_in(
            credential,
            challenge=decode(begun["challenge"]),
            domain=relying_party(hub.settings),
            origin=origin,
            public_key=known.public_key,
            sign_count=known.sign_count,
        )
        handle = credential["response"].get("userHandle")
        if handle is not None and decode(handle) != known.user_id.encode():
            raise SignInError
    except library.REFUSED as exc:
        raise SignInError from exc
    now = clock.now()

    def unit(uow: UnitOfWork) -> SignedIn:
        user = uow.users.get(known.user_id)
        counts = uow.passkeys.used(
            known.id, verified.new_sign_count, verified.credential_backed_up, now
        )
        if user is None or not counts:
            raise SignInError
        return start_session(uow, hub, user, method=BY_PASSKEY, visitor=visitor, now=now)

    return await hub.database.write(unit)


def check_signed_in(actor: Actor) -> None:
    """Return when a person acts in a session of theirs; `AccessDeniedError` otherwise."""
    if actor.session_id is None:
        raise AccessDeniedError("sign in first: a key does not change how you sign in")


def load_library() -> ModuleType:
    """Return `controlplane.access.webauthn_rules`, imported when somebody first needs it.

    The library behind it takes half a second to load, which no start of a hub should wait for.
    """
    from controlplane.access import webauthn_rules

    return webauthn_rules
