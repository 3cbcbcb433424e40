"""Users, realms, API keys and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.database import Database
from storage.errors import ConflictError, NotFoundError
from storage.pages import parse_cursor
from storage.records import ApiKeyRecord, MemberRecord, RealmRecord, UserRecord
from storage.unit_of_work import UnitOfWork
from tests.storage.samples import LATER, NOW, new_id


def _user(name: str, **changes: object) -> UserRecord:
    return UserRecord(id=new_id(), name=name, created_at=NOW, updated_at=NOW, **changes)  # type: ignore[arg-type]


def _key(**changes: object) -> ApiKeyRecord:
    id = new_id()
    values = {"id": id, "name": "k", "hash": f"hash-{id}", "created_by": "u", "created_at": NOW}
    return ApiKeyRecord(**(values | changes))  # type: ignore[arg-type]


async def test_users_are_found_changed_and_removed(database: Database) -> None:
    ada = _user("ada", roles=("admin",), email="a@example.org", operator_did="did:key:ada")
    bob = _user("bob", password_hash="$argon2")
    await database.write(lambda uow: [uow.users.add(user) for user in (bob, ada)])
    assert await database.read(lambda uow: uow.users.get(ada.id)) == ada
    assert await database.read(lambda uow: uow.users.get_by_name("bob")) == bob
    assert await database.read(lambda uow: uow.users.get_by_operator("did:key:ada")) == ada
    assert (await database.read(lambda uow: uow.users.list())).items == (ada, bob)
    assert "argon2" not in repr(bob)
    changed = await database.write(
        lambda uow: uow.users.update(bob.id, revision=1, state="disabled", updated_at=LATER)
    )
    assert changed == replace(bob, state="disabled", updated_at=LATER, revision=2)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.users.update(bob.id, revision=1, state="active"))
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.users.update(bob.id, name="ada"))
    assert await database.write(lambda uow: uow.users.delete(bob.id))
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.users.update(bob.id, state="active"))


async def test_members_have_one_role_in_a_realm(database: Database) -> None:
    ada = _user("ada")
    realms = [RealmRecord(name, NOW, NOW) for name in ("default", "lab")]

    def unit(uow):
        uow.users.add(ada)
        for realm in realms:
            uow.realms.add(realm)
            uow.realms.set_member(MemberRecord(realm.id, ada.id, "viewer", NOW))
        uow.realms.set_member(MemberRecord("lab", ada.id, "operator", LATER))

    await database.write(unit)
    assert (await database.read(lambda uow: uow.realms.list())).items == tuple(realms)
    roles = await database.read(lambda uow: uow.realms.memberships(ada.id))
    assert [(one.realm, one.role) for one in roles] == [("default", "viewer"), ("lab", "operator")]
    members = await database.read(lambda uow: uow.realms.members("lab"))
    assert [one.user_id for one in members] == [ada.id]
    assert await database.write(lambda uow: uow.realms.remove_member("lab", ada.id))
    assert not await database.write(lambda uow: uow.realms.remove_member("lab", ada.id))
    renamed = await database.write(lambda uow: uow.realms.update("lab", description="d"))
    assert (renamed.description, renamed.revision) == ("d", 2)
    with pytest.raises(ConflictError):  # no such realm
        await database.write(
            lambda uow: uow.realms.set_member(MemberRecord("nowhere", ada.id, "x", NOW))
        )
    await database.write(lambda uow: uow.users.delete(ada.id))
    assert await database.read(lambda uow: uow.realms.memberships(ada.id)) == []
    assert await database.write(lambda uow: uow.realms.delete("lab"))
    assert await database.read(lambda uow: uow.realms.get("lab")) is None


async def test_api_keys_are_found_by_hash_until_and_after_they_are_revoked(
    database: Database,
) -> None:
    mine = _key(user_id="u1", roles=("admin",), scopes=("intents",), realm="lab", expires_at=LATER)
    other = _key(prefix="writ_ab")
    await database.write(lambda uow: [uow.api_keys.add(key) for key in (mine, other)])
    assert await database.read(lambda uow: uow.api_keys.get_by_hash(mine.hash)) == mine
    assert await database.read(lambda uow: uow.api_keys.get_by_hash("nothing")) is None
    assert mine.hash not in repr(mine)
    await database.write(lambda uow: uow.api_keys.touch(mine.id, LATER, unless_since=NOW))
    assert await database.write(lambda uow: uow.api_keys.revoke(mine.id, LATER))
    assert not await database.write(lambda uow: uow.api_keys.revoke(mine.id, LATER))
    found = await database.read(lambda uow: uow.api_keys.get(mine.id))
    assert found == replace(mine, last_used_at=LATER, revoked_at=LATER)
    assert (await database.read(lambda uow: uow.api_keys.list())).items == (other, found)
    assert (await database.read(lambda uow: uow.api_keys.list(user_id="u1"))).items == (found,)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.api_keys.add(_key(hash=mine.hash)))


async def test_settings_are_set_over_a_known_revision(database: Database) -> None:
    first = await database.write(
        lambda uow: uow.settings.put("storage", {"url": "s3://b"}, at=NOW, by="u")
    )
    assert first.revision == 1
    second = await database.write(
        lambda uow: uow.settings.put("storage", [1, None], at=LATER, revision=1)
    )
    assert (second.value, second.revision, second.updated_by) == ([1, None], 2, None)
    for revision in (0, 1):
        with pytest.raises(ConflictError):
            await database.write(lambda uow, r=revision: uow.settings.put("storage", 1, revision=r))
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.settings.put("never", 1, revision=3))
    assert await database.read(lambda uow: uow.settings.list()) == (second,)
    assert await database.write(lambda uow: uow.settings.delete("storage"))
    assert await database.read(lambda uow: uow.settings.get("storage")) is None
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.settings.update("storage", value=1))


async def test_a_page_of_what_one_may_see_is_whole_and_tells_of_nothing_else(
    database: Database,
) -> None:
    keys = [
        _key(id=f"{number:036}", hash=f"h{number}", name="n" * (number % 3))
        for number in range(500)
    ]

    def unit(uow: UnitOfWork) -> list[str]:
        for one in keys:
            uow.api_keys.add(one)
        found: list[str] = []
        cursor = None
        while True:
            page = uow.api_keys.list(limit=70, cursor=cursor, keep=lambda one: one.name == "nn")
            found += [one.id for one in page.items]
            cursor = page.next_cursor
            if cursor is None:
                return found
            assert len(page.items) == 70
            assert parse_cursor(cursor, (str,)) == (page.items[-1].id,)

    wanted = [one.id for one in reversed(keys) if one.name == "nn"]
    assert await database.write(unit) == wanted
