"""Two hubs on one Postgres: what must hold for people whichever of them they happen to ask."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.hubs import OWNER_PASSWORD, Client, ServedHub, serve

PAIRS = 6
"""How often two owners leave at once; each pair begins anew."""


@pytest.fixture
async def pair(empty_postgres_url: str, tmp_path: Path) -> AsyncIterator[tuple[ServedHub, ...]]:
    """Two hubs with the same keys and the same database."""
    flags: dict[str, Any] = {
        "database_url": empty_postgres_url,
        "sign_in_attempts_per_name": 3,
        "sign_in_attempts_per_address": 30,
    }
    async with serve(tmp_path / "one", **flags) as one:
        shutil.copytree(tmp_path / "one" / "keys", tmp_path / "two" / "keys")
        async with serve(tmp_path / "two", api_key=one.client.api_key, **flags) as two:
            yield one, two


def at(served: ServedHub, client: Client) -> Client:
    """The same person at another hub."""
    return served.client.as_key(client.api_key)


async def test_of_two_owners_who_leave_at_once_one_stays(pair: tuple[ServedHub, ...]) -> None:
    one, two = pair
    owner = await one.owner()
    admin = (await owner.get("/api/v1/me")).json["id"]
    await owner.post("/api/v1/users", {"name": "eve", "roles": ["owner"]})
    leave = {"roles": []}
    for _ in range(PAIRS):
        both = await asyncio.gather(
            owner.send("PATCH", "/api/v1/users/eve", leave),
            at(two, owner).send("PATCH", f"/api/v1/users/{admin}", leave),
        )
        owners = await one.hub.database.read(lambda uow: uow.users.active_with_role("owner"))
        assert len(owners) == 1, [answer.data for answer in both]
        assert sorted(answer.status for answer in both) == [200, 409]

        def restore(uow: Any) -> None:
            for name in ("admin", "eve"):
                uow.users.update(uow.users.get_by_name(name).id, roles=("owner",))

        await one.hub.database.write(restore)
        one.hub.authenticator.forget()
        two.hub.authenticator.forget()


async def test_of_two_owners_of_a_realm_who_leave_at_once_one_stays(
    pair: tuple[ServedHub, ...],
) -> None:
    one, two = pair
    ann, bea = [await one.person(name, "owner", "default") for name in ("ann", "bea")]
    for _ in range(PAIRS):
        await asyncio.gather(
            ann.send("DELETE", "/api/v1/realms/default/members/ann"),
            at(two, bea).send("DELETE", "/api/v1/realms/default/members/bea"),
        )
        members = (await one.client.get("/api/v1/realms/default/members")).json["items"]
        assert [one["role"] for one in members] == ["owner"]
        for name in ("ann", "bea"):
            body = {"user": name, "role": "owner"}
            assert (await one.client.post("/api/v1/realms/default/members", body)).status == 201
        two.hub.authenticator.forget()


async def test_attempts_to_sign_in_are_counted_together(pair: tuple[ServedHub, ...]) -> None:
    one, two = pair
    await one.owner()
    wrong = {"name": "admin", "password": "not the password"}
    # The owner has signed in once, which counts too.
    answers = [
        await served.client.as_key(None).post("/api/v1/login", wrong) for served in (two, one, two)
    ]
    assert [answer.status for answer in answers] == [401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_device_codes_are_begun_no_oftener_at_two_hubs(pair: tuple[ServedHub, ...]) -> None:
    nobody = [served.client.as_key(None) for served in pair]
    answers = [await nobody[turn % 2].post("/api/v1/login/device") for turn in range(31)]
    assert [answer.status for answer in answers] == [200] * 30 + [429]


async def test_a_code_an_invitation_and_a_session_are_used_once_wherever(
    pair: tuple[ServedHub, ...],
) -> None:
    one, two = pair
    owner = await one.owner()
    nobody = [served.client.as_key(None) for served in pair]
    begun = (await nobody[0].post("/api/v1/login/device")).json
    decide = {"userCode": begun["userCode"], "approved": True}
    assert (await at(two, owner).post("/api/v1/me/device-logins", decide)).status == 200
    poll = {"deviceCode": begun["deviceCode"]}
    polled = await asyncio.gather(*(one.post("/api/v1/login/device/token", poll) for one in nobody))
    assert sorted(answer.status for answer in polled) == [200, 400]

    made = await owner.post("/api/v1/invitations", {"role": "member", "realm": "default"})
    token = made.json["link"].partition("#")[2]
    bodies = [{"token": token, "name": name, "password": OWNER_PASSWORD} for name in ("ada", "bob")]
    came = await asyncio.gather(
        *(
            client.post("/api/v1/invitations/accept", body)
            for client, body in zip(nobody, bodies, strict=True)
        )
    )
    assert sorted(answer.status for answer in came) == [200, 404]

    await owner.post("/api/v1/logout")
    async with asyncio.timeout(10):
        while (await at(two, owner).get("/api/v1/me")).status != 401:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
