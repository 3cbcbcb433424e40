"""People's own keys: made in a browser or elsewhere, enrolled to a person, taken back.

The hub never sees the private half. Who enrols one proves to have it: by a signature over
`writ.v1/person-key`, one zero byte, the challenge's 32 bytes, the key's 32 bytes, and the
person's `user:<uuid>`, so that it serves for nobody else and nowhere else.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import Actor
from controlplane.context import Hub
from controlplane.delegations.proof import chain_of, links_to, revocation_view
from controlplane.errors import HiddenError, InvalidFieldError, StateConflictError
from controlplane.people.ceremonies import begin_ceremony, take_ceremony
from controlplane.people.key_standing import revoke_keys, settle_keys
from controlplane.people.passkeys import check_signed_in
from protocol.base64_text import decode_base64
from protocol.delegation import Chain
from protocol.errors import AuthorityError, Error
from protocol.keys import SIGNATURE_BYTES, PublicKey
from storage.records import PersonKeyRecord
from storage.unit_of_work import UnitOfWork

CONTEXT: Final = b"writ.v1/person-key\0"
MAX_KEYS: Final = 10
MAX_REMEMBERED: Final = 50
"""Of one person, ended ones included; the oldest that ended make room."""
_CHALLENGE_BYTES: Final = 32
_KIND: Final = "person_key"


@dataclass(frozen=True, slots=True)
class Lent:
    """A valid chain that ends at a key: ids from the root, what it grants, until when."""

    proof: tuple[str, ...]
    capabilities: Sequence[dict[str, Any]]
    expires_at: datetime
    through_hub: bool


@dataclass(frozen=True, slots=True)
class OwnKey:
    """A key and every chain that ends at it."""

    record: PersonKeyRecord
    lent: tuple[Lent, ...]


@dataclass(frozen=True, slots=True)
class BegunKey:
    """An enrolment that has begun; the challenge is what the key signs over."""

    ceremony: str
    challenge: str


async def begin_key(hub: Hub, actor: Actor) -> BegunKey:
    """Return a challenge for a key of the caller's.

    Raises:
        AccessDeniedError: not somebody signed in.
        StateConflictError: they have too many.
    """
    check_signed_in(actor)
    held = await hub.database.read(lambda uow: uow.person_keys.for_user(actor.id))
    _check_room(held)
    challenge = base64.b64encode(secrets.token_bytes(_CHALLENGE_BYTES)).decode("ascii")
    data = {"challenge": challenge, "user": actor.id}
    return BegunKey(await begin_ceremony(hub, _KIND, data), challenge)


async def add_key(
    hub: Hub, actor: Actor, *, ceremony: str, public_key: str, proof: str, name: str
) -> OwnKey:
    """Enrol a key to the caller; from then on it may do what their roles allow.

    Raises:
        AccessDeniedError: not somebody signed in.
        InvalidFieldError: an unknown ceremony, no key, or a proof that does not hold.
        StateConflictError: they have too many.
    """
    check_signed_in(actor)
    begun = await take_ceremony(hub, ceremony, _KIND)
    if begun is None or begun["user"] != actor.id:
        raise InvalidFieldError("no such ceremony, or no longer", pointer="/ceremony")
    key = _proved_key(public_key, proof, base64.b64decode(begun["challenge"]), actor.subject)
    now = clock.now()
    record = PersonKeyRecord(clock.new_id(), key.did, actor.id, name, now)

    def unit(uow: UnitOfWork) -> tuple[OwnKey, list[str]]:
        held = uow.person_keys.for_user(actor.id)
        _check_room(held)
        if _is_taken(uow, hub, key):
            raise InvalidFieldError("this key is known already", pointer="/publicKey")
        ended = [one for one in held if one.revoked_at is not None]
        for one in ended[: max(0, len(held) + 1 - MAX_REMEMBERED)]:
            uow.person_keys.forget(one.id)
        uow.person_keys.add(record)
        uow.audit.append("key.added", actor.subject, key.did, {}, personal={"name": name}, at=now)
        told = settle_keys(uow, hub, actor.id, by=actor.subject, now=now)
        return _own(uow, hub, record, now), told

    added, told = await hub.database.write(unit)
    for did in told:
        hub.dispatcher.wake(did)
    return added


async def list_keys(hub: Hub, actor: Actor) -> tuple[OwnKey, ...]:
    """Return the caller's keys, oldest first, with what each may do now."""
    if actor.kind != "user":
        return ()
    now = clock.now()
    return await hub.database.read(
        lambda uow: tuple(_own(uow, hub, one, now) for one in uow.person_keys.for_user(actor.id))
    )


async def revoke_key(hub: Hub, actor: Actor, key_id: str) -> None:
    """End one of the caller's keys, at every agent; what it signed before and was taken stands.

    Raises:
        AccessDeniedError: not somebody signed in.
        HiddenError: they have no such key.
    """
    check_signed_in(actor)
    now = clock.now()

    def unit(uow: UnitOfWork) -> list[str]:
        ended = uow.person_keys.revoke(key_id, actor.id, now)
        if ended is None:
            raise HiddenError("no such key")
        return revoke_keys(uow, hub, [ended.did], by=actor.subject, now=now)

    for did in await hub.database.write(unit):
        hub.dispatcher.wake(did)


def names_of(uow: UnitOfWork, person: str) -> frozenset[str]:
    """Return every name of a person: as the hub vouches for them, their own keys', an operator's.

    Only the hub knows that they are one; to an agent each is a person.
    """
    if person.startswith("user:"):
        user = uow.users.get(person.removeprefix("user:"))
    else:
        key = uow.person_keys.get_by_did(person)
        user = uow.users.get_by_operator(person) if key is None else uow.users.get(key.user_id)
    if user is None:
        return frozenset({person})
    own = {one.did for one in uow.person_keys.for_user(user.id)}
    operator = {user.operator_did} if user.operator_did is not None else set()
    return frozenset({person, f"user:{user.id}"} | own | operator)


def _proved_key(public_key: str, proof: str, challenge: bytes, subject: str) -> PublicKey:
    try:
        key = PublicKey.parse_multikey(public_key)
        key.check_point()
    except Error as exc:
        raise InvalidFieldError("not an Ed25519 key", pointer="/publicKey") from exc
    try:
        signature = decode_base64(proof, size_bytes=SIGNATURE_BYTES)
        key.verify(signature, CONTEXT + challenge + key.raw + subject.encode())
    except Error as exc:
        raise InvalidFieldError("this proof does not hold", pointer="/proof") from exc
    return key


def _is_taken(uow: UnitOfWork, hub: Hub, key: PublicKey) -> bool:
    """Whether a key is somebody's already, or nobody's any more."""
    identity = hub.identity
    return (
        key.did in {identity.root_did, identity.hub_did, identity.log_did, *identity.former_hubs}
        or uow.person_keys.get_by_did(key.did) is not None
        or uow.users.get_by_operator(key.did) is not None
        or uow.agents.get(key.did) is not None
        or key.did in revocation_view(uow).keys
    )


def _check_room(held: Sequence[PersonKeyRecord]) -> None:
    if sum(one.revoked_at is None for one in held) >= MAX_KEYS:
        raise StateConflictError(f"at most {MAX_KEYS} keys")


def _own(uow: UnitOfWork, hub: Hub, record: PersonKeyRecord, now: datetime) -> OwnKey:
    lent: list[Lent] = []
    for one in uow.delegations.for_subject(record.did, now):
        if record.revoked_at is not None:
            break
        try:
            chain = chain_of(uow, hub, links_to(uow, one), now)
        except AuthorityError:
            continue
        lent.append(
            Lent(
                proof=tuple(link.id for link in chain.links),
                capabilities=list(one.capabilities),
                expires_at=min(link.expires for link in chain.links),
                through_hub=_passes_hub(hub, chain),
            )
        )
    return OwnKey(record, tuple(lent))


def _passes_hub(hub: Hub, chain: Chain) -> bool:
    hubs = {hub.identity.hub_did, *hub.identity.former_hubs}
    return any(link.delegation.subject in hubs for link in chain.links)
