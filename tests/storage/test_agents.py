"""Agents, registrations and join tokens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from storage.database import Database
from storage.errors import ConflictError, NotFoundError
from storage.records import JoinTokenRecord
from tests.storage.samples import LATER, NOW, agent, new_id, registration


async def test_an_agent_comes_back_as_it_was_added(database: Database) -> None:
    record = agent(
        realms=("default", "lab"),
        capabilities=("files", "shell"),
        actions=[{"name": "files.read", "paramsSchema": {"type": "object"}}],
        labels={"os": "linux", "größe": "ü"},
        host={"cpus": 2},
        llm={"model": "x"},
        fingerprint="AAAA-BBBB-CCCC-DDDD",
        enrolled_by="user:1",
    )
    await database.write(lambda uow: uow.agents.add(record))
    assert await database.read(lambda uow: uow.agents.get(record.did)) == record
    assert await database.read(lambda uow: uow.agents.get_by_name(record.name)) == record
    assert await database.read(lambda uow: uow.agents.get("did:key:nobody")) is None


async def test_a_name_or_did_is_taken_once(database: Database) -> None:
    record = agent()
    await database.write(lambda uow: uow.agents.add(record))
    for other in (agent(name=record.name), agent(did=record.did)):
        with pytest.raises(ConflictError):
            await database.write(lambda uow, o=other: uow.agents.add(o))


async def test_agents_are_found_by_every_filter(database: Database) -> None:
    a = agent(name="alpha", realms=("lab",), capabilities=("files",), labels={"os": "linux"})
    b = agent(name="beta_1", capabilities=("files", "shell"), labels={"os": "bsd", "gpu": "1"})
    c = agent(name="gamma", state="revoked")
    await database.write(lambda uow: [uow.agents.add(one) for one in (c, b, a)])
    await database.write(lambda uow: uow.agents.set_presence(b.did, True, NOW, "s1"))

    async def found(**filters: object) -> list[str]:
        page = await database.read(lambda uow: uow.agents.list(**filters))
        return [one.name for one in page.items]

    assert await found() == ["alpha", "beta_1", "gamma"]
    assert await found(realm="lab") == ["alpha"]
    assert await found(realms=["lab", "nowhere"]) == ["alpha"]
    assert await found(realms=[]) == []
    assert await found(capability="files") == ["alpha", "beta_1"]
    assert await found(label="os=linux") == ["alpha"]
    assert await found(label="gpu") == ["beta_1"]
    assert await found(label="os=") == []
    assert await found(status="online") == ["beta_1"]
    assert await found(status="offline") == ["alpha"]
    assert await found(status="revoked") == ["gamma"]
    assert await found(q="ALP") == ["alpha"]
    assert await found(q="_") == ["beta_1"]  # no wildcard
    assert await found(q="%") == []

    async def matching(**selector: object) -> list[str]:
        agents = await database.read(lambda uow: uow.agents.matching(**selector))
        return [one.name for one in agents]

    assert await matching(capability="files") == ["alpha", "beta_1"]
    assert await matching(labels={"os": "bsd", "gpu": "1"}) == ["beta_1"]
    assert await matching(labels={"os": "bsd", "gpu": "2"}) == []
    assert await matching(realm="default", capability="files") == ["beta_1"]
    assert await database.read(lambda uow: uow.agents.names_like("beta_")) == {"beta_1"}


async def test_an_update_counts_the_revision_up_and_moves_the_tags(database: Database) -> None:
    record = agent(labels={"os": "linux"})
    await database.write(lambda uow: uow.agents.add(record))
    changed = await database.write(
        lambda uow: uow.agents.update(record.did, revision=1, labels={"os": "bsd"}, realms=("x",))
    )
    assert changed == replace(record, labels={"os": "bsd"}, realms=("x",), revision=2)
    assert (await database.read(lambda uow: uow.agents.list(label="os=linux"))).items == ()
    assert (await database.read(lambda uow: uow.agents.list(realm="x"))).items == (changed,)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.agents.update(record.did, revision=1, version="2"))
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.agents.update("did:key:none", version="2"))
    with pytest.raises(TypeError):
        await database.write(lambda uow: uow.agents.update(record.did, colour="red"))


async def test_the_end_of_an_old_session_does_not_hide_the_new_one(database: Database) -> None:
    record = agent()
    await database.write(lambda uow: uow.agents.add(record))
    await database.write(lambda uow: uow.agents.set_presence(record.did, True, NOW, "old"))
    await database.write(lambda uow: uow.agents.set_presence(record.did, True, NOW, "new"))
    went = await database.write(
        lambda uow: uow.agents.set_presence(record.did, False, LATER, "old")
    )
    found = await database.read(lambda uow: uow.agents.get(record.did))
    assert found is not None
    assert (went, found.online, found.session) == (False, True, "new")
    assert found.revision == 1  # presence is no edit
    assert await database.write(lambda uow: uow.agents.clear_presence(LATER)) == [record.did]
    found = await database.read(lambda uow: uow.agents.get(record.did))
    assert found is not None
    assert (found.online, found.session, found.status) == (False, None, "offline")


async def test_a_heartbeat_is_kept(database: Database) -> None:
    record = agent()
    await database.write(lambda uow: uow.agents.add(record))
    await database.write(lambda uow: uow.agents.touch(record.did, {"load": 0.5}, LATER))
    found = await database.read(lambda uow: uow.agents.get(record.did))
    assert found is not None
    assert (found.heartbeat, found.last_seen_at) == ({"load": 0.5}, LATER)


async def test_a_key_that_asks_again_keeps_its_pending_request(database: Database) -> None:
    first = registration(realm="lab")
    again = registration(
        public_key=first.public_key, did=first.did, version="2", requested_at=LATER
    )
    await database.write(lambda uow: uow.registrations.upsert_pending(first))
    kept = await database.write(lambda uow: uow.registrations.upsert_pending(again))
    assert (kept.id, kept.version, kept.realm) == (first.id, "2", "lab")
    assert kept.requested_at == first.requested_at
    assert await database.read(lambda uow: uow.registrations.count_pending()) == 1
    assert await database.read(lambda uow: uow.registrations.get_by_key(first.public_key)) == kept


async def test_a_registration_is_decided_once(database: Database) -> None:
    wish = registration()
    await database.write(lambda uow: uow.registrations.upsert_pending(wish))
    outcomes = await asyncio.gather(
        *(
            database.write(
                lambda uow, s=state: uow.registrations.decide(wish.id, s, "user:1", "why", NOW)
            )
            for state in ("approved", "rejected", "approved")
        ),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in outcomes].count("ConflictError") == 2
    found = await database.read(lambda uow: uow.registrations.get(wish.id))
    assert found is not None
    assert (found.state, found.decided_by, found.reason) == ("approved", "user:1", "why")
    # A rejected or approved key may ask anew.
    anew = registration(public_key=wish.public_key)
    assert (await database.write(lambda uow: uow.registrations.upsert_pending(anew))).id == anew.id
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.registrations.decide(new_id(), "approved", "x"))


async def test_pending_requests_are_counted_by_address_and_expire(database: Database) -> None:
    wishes = [
        registration(),
        registration(address="192.0.2.2"),
        registration(address="192.0.2.2", expires_at=NOW),
    ]
    await database.write(lambda uow: [uow.registrations.upsert_pending(w) for w in wishes])
    count = await database.read(lambda uow: uow.registrations.count_pending("192.0.2.2"))
    assert count == 2
    assert await database.write(lambda uow: uow.registrations.expire(NOW)) == 1
    page = await database.read(lambda uow: uow.registrations.list(state="pending"))
    assert [one.id for one in page.items] == [wishes[1].id, wishes[0].id]


def _token(**changes: object) -> JoinTokenRecord:
    values = {
        "id": new_id(),
        "sealed_secret": b"\x00sealed",
        "created_by": "user:1",
        "created_at": NOW,
        "expires_at": LATER,
    }
    return JoinTokenRecord(**(values | changes))  # type: ignore[arg-type]


async def test_a_join_token_is_used_once_by_whoever_comes_first(database: Database) -> None:
    token = _token(realm="lab", name_pattern="web-*", auto_approve=True, capabilities=("files.*",))
    await database.write(lambda uow: uow.join_tokens.add(token))
    assert await database.read(lambda uow: uow.join_tokens.get(token.id)) == token
    used = await asyncio.gather(
        *(database.write(lambda uow: uow.join_tokens.use(token.id, NOW)) for _ in range(8))
    )
    assert used.count(True) == 1
    assert not await database.write(lambda uow: uow.join_tokens.revoke(token.id))


async def test_a_revoked_expired_or_unknown_token_cannot_be_used(database: Database) -> None:
    revoked, expired = _token(), _token(expires_at=NOW)
    await database.write(lambda uow: [uow.join_tokens.add(t) for t in (revoked, expired)])
    assert await database.write(lambda uow: uow.join_tokens.revoke(revoked.id))
    for id in (revoked.id, expired.id, new_id()):
        assert not await database.write(lambda uow, i=id: uow.join_tokens.use(i, NOW))
    assert "sealed" not in repr(revoked)
    page = await database.read(lambda uow: uow.join_tokens.list())
    assert [one.id for one in page.items] == [expired.id, revoked.id]
