"""Sessions, invitations, device logins, passkeys, half-done sign-ins and counted attempts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from storage.database import Database
from storage.errors import ConflictError
from storage.records import (
    CeremonyRecord,
    DeviceLoginRecord,
    IdentityRecord,
    InvitationRecord,
    MemberRecord,
    PasskeyRecord,
    PersonKeyRecord,
    RealmRecord,
    SessionRecord,
    UserRecord,
)
from storage.unit_of_work import UnitOfWork
from tests.storage.samples import LATER, NOW, new_id

FAR = NOW + timedelta(days=10_000)


@pytest.fixture
async def ada(database: Database) -> UserRecord:
    user = UserRecord(id=new_id(), name="ada", created_at=NOW, updated_at=NOW)
    await database.write(lambda uow: uow.users.add(user))
    return user


def session_of(user: UserRecord, **changes: Any) -> SessionRecord:
    id = new_id()
    times = {"created_at": NOW, "authenticated_at": NOW, "last_seen_at": NOW, "expires_at": FAR}
    values = {"id": id, "hash": f"hash-{id}", "user_id": user.id, "method": "password", **times}
    return SessionRecord(**(values | changes))


async def test_a_session_is_found_by_its_hash_and_ends_once(
    database: Database, ada: UserRecord
) -> None:
    one, other = session_of(ada), session_of(ada, address="192.0.2.1", client="x")
    await database.write(lambda uow: [uow.sessions.add(each) for each in (one, other)])
    assert await database.read(lambda uow: uow.sessions.get_by_hash(other.hash)) == other
    assert one.hash not in repr(one)
    await database.write(lambda uow: uow.sessions.touch(one.id, LATER))
    assert (await database.read(lambda uow: uow.sessions.get(one.id))).last_seen_at == LATER
    assert await database.write(lambda uow: uow.sessions.revoke(one.id))
    assert not await database.write(lambda uow: uow.sessions.revoke(one.id))
    assert await database.write(lambda uow: uow.sessions.revoke_all(ada.id)) == 1
    listed = (await database.read(lambda uow: uow.sessions.list(ada.id))).items
    assert [each.id for each in listed] == [other.id, one.id]
    assert all(each.revoked_at is not None for each in listed)


async def test_what_is_somebodys_goes_with_them(database: Database, ada: UserRecord) -> None:
    def unit(uow: UnitOfWork) -> None:
        uow.sessions.add(session_of(ada))
        uow.identities.add(IdentityRecord("https://id", "ada", ada.id, NOW))
        uow.passkeys.add(PasskeyRecord(new_id(), "cred", ada.id, "laptop", b"cose", NOW))
        uow.person_keys.add(PersonKeyRecord(new_id(), "did:key:ada", ada.id, "laptop", NOW))
        uow.users.delete(ada.id)

    await database.write(unit)

    def left(uow: UnitOfWork) -> list[Any]:
        found = [uow.identities.get("https://id", "ada"), uow.passkeys.get_by_credential("cred")]
        found.append(uow.person_keys.get_by_did("did:key:ada"))
        return [*found, *uow.sessions.list(ada.id).items]

    assert await database.read(left) == [None, None, None]


async def test_an_invitation_is_used_by_one_of_many(database: Database) -> None:
    made = InvitationRecord(new_id(), "hash", "member", "user:x", "x", NOW, FAR, realm="lab")
    await database.write(
        lambda uow: [uow.realms.add(RealmRecord("lab", NOW, NOW)), uow.invitations.add(made)]
    )
    assert await database.read(lambda uow: uow.invitations.get_by_hash("hash")) == made
    tries = [
        database.write(lambda uow, n=n: uow.invitations.use(made.id, f"u{n}", LATER))
        for n in range(8)
    ]
    assert sorted(await asyncio.gather(*tries)) == [False] * 7 + [True]
    assert not await database.write(lambda uow: uow.invitations.revoke(made.id))
    shown = await database.read(lambda uow: uow.invitations.list(realms={"lab"}).items)
    assert [one.used_at for one in shown] == [LATER]
    assert (await database.read(lambda uow: uow.invitations.list(realms={"far"}))).items == ()
    late = replace(made, id=new_id(), hash="late", expires_at=NOW)
    await database.write(lambda uow: uow.invitations.add(late))
    assert not await database.write(lambda uow: uow.invitations.use(late.id, "u", LATER))


async def test_a_device_login_is_decided_and_used_once(database: Database, ada: UserRecord) -> None:
    one = DeviceLoginRecord(new_id(), "device", "user", "cli", "192.0.2.1", NOW, FAR)
    await database.write(lambda uow: uow.device_logins.add(one))
    assert await database.read(lambda uow: uow.device_logins.get_by_device("device")) == one
    assert not await database.write(lambda uow: uow.device_logins.use(one.id))

    def decide(uow: UnitOfWork) -> bool:
        return uow.device_logins.decide(one.id, "approved", ada.id, LATER)

    assert await database.write(decide)
    assert not await database.write(decide)
    uses = [database.write(lambda uow: uow.device_logins.use(one.id)) for _ in range(4)]
    assert sorted(await asyncio.gather(*uses)) == [False] * 3 + [True]
    found = await database.read(lambda uow: uow.device_logins.get_by_user("user"))
    assert (found.state, found.user_id) == ("used", ada.id)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.device_logins.add(replace(one, id=new_id())))


async def test_a_passkeys_counter_only_goes_up(database: Database, ada: UserRecord) -> None:
    one = PasskeyRecord(
        new_id(), "cred", ada.id, "laptop", b"cose", NOW, sign_count=4, transports=("usb",)
    )
    await database.write(lambda uow: uow.passkeys.add(one))

    def use(count: int) -> Any:
        return database.write(lambda uow: uow.passkeys.used(one.id, count, True, LATER))

    assert [await use(count) for count in (3, 4, 0, 5, 5)] == [False, False, False, True, False]
    kept = await database.read(lambda uow: uow.passkeys.get_by_credential("cred"))
    assert kept == replace(one, sign_count=5, backed_up=True, last_used_at=LATER)
    silent = replace(one, id=new_id(), credential_id="silent", sign_count=0)
    await database.write(lambda uow: uow.passkeys.add(silent))
    uses = [await database.write(lambda uow: uow.passkeys.used(silent.id, 0, False, LATER))] * 2
    assert uses == [True, True]
    assert not await database.write(lambda uow: uow.passkeys.delete(one.id, "somebody else"))
    assert await database.write(lambda uow: uow.passkeys.delete(one.id, ada.id))


async def test_a_ceremony_is_taken_by_one_of_many(database: Database) -> None:
    data = {"challenge": "c"}
    record = CeremonyRecord("hash", "passkey", data, NOW, FAR)
    await database.write(lambda uow: uow.ceremonies.add(record))
    assert await database.write(lambda uow: uow.ceremonies.take("hash", "oidc")) is None
    taken = await asyncio.gather(
        *(database.write(lambda uow: uow.ceremonies.take("hash", "passkey")) for _ in range(4))
    )
    assert [one.data for one in taken if one is not None] == [data]
    old = replace(record, hash="old", expires_at=NOW)
    await database.write(lambda uow: uow.ceremonies.add(old))
    assert await database.write(lambda uow: uow.ceremonies.take("old", "passkey")) is None
    assert await database.write(lambda uow: uow.ceremonies.forget(LATER)) == 1
    assert await database.read(lambda uow: uow.ceremonies.count()) == 0


async def test_attempts_at_once_are_all_counted(database: Database) -> None:
    minute = timedelta(minutes=1)
    hits = await asyncio.gather(
        *(database.write(lambda uow: uow.rate_windows.hit("k", minute, NOW)) for _ in range(20))
    )
    assert sorted(hits) == list(range(1, 21))
    assert await database.read(lambda uow: uow.rate_windows.hits("k", minute, NOW)) == 20
    assert await database.read(lambda uow: uow.rate_windows.hits("k", minute, NOW + minute)) == 0
    assert await database.write(lambda uow: uow.rate_windows.hit("other", minute, NOW)) == 1
    later = NOW + minute
    assert await database.write(lambda uow: uow.rate_windows.hit("k", minute, later)) == 1
    ends = await database.read(lambda uow: uow.rate_windows.ends_at(minute, NOW))
    assert NOW < ends <= NOW + minute
    assert await database.write(lambda uow: uow.rate_windows.forget(later - minute)) >= 0


async def test_users_are_listed_by_realm_and_found_by_role(
    database: Database, ada: UserRecord
) -> None:
    def user(name: str, **changes: Any) -> UserRecord:
        return UserRecord(id=new_id(), name=name, created_at=NOW, updated_at=NOW, **changes)

    bob, ci = user("bob", roles=("owner",)), user("ci", roles=("owner",), kind="service")

    def unit(uow: UnitOfWork) -> None:
        uow.users.add(bob)
        uow.users.add(ci)
        uow.realms.add(RealmRecord("lab", NOW, NOW))
        uow.realms.set_member(MemberRecord("lab", ada.id, "member", NOW))

    await database.write(unit)
    assert (await database.read(lambda uow: uow.users.list(realms={"lab"}))).items == (ada,)
    assert (await database.read(lambda uow: uow.users.list(realms=frozenset()))).items == ()
    assert await database.read(lambda uow: uow.users.active_with_role("owner")) == [bob]
    assert await database.read(lambda uow: uow.users.get_many({bob.id, ada.id})) == [ada, bob]
    member = await database.read(lambda uow: uow.realms.member("lab", ada.id))
    assert member is not None
    assert await database.read(lambda uow: uow.realms.member("lab", bob.id)) is None
