"""Every route, asked by everybody: the answers are a file that people review.

`python -m pytest tests/controlplane/test_access_matrix.py` fails when a route is new, gone, or
answers somebody differently; with `WRIT_WRITE_MATRIX=1` it writes the file anew. Requests that
change something carry a body nobody takes (422) or name something that is not there (404), so a
status of 401 or 403 is a door that stays shut, and everything else one that opens.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from controlplane import clock
from controlplane.access.api_keys import new_api_key
from controlplane.access.cross_site import SAFE_METHODS
from controlplane.access.permissions import (
    LADDER,
    PERMISSIONS,
    ROLES,
    SIDE_ROLES,
    Reach,
    scope_covers,
)
from controlplane.api.operation import PUBLIC, Operation
from controlplane.api.routes import OPERATIONS
from controlplane.first_start import key_record
from protocol.envelope import seal_document
from storage.records import MemberRecord, RealmRecord, UserRecord
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import OWNER_PASSWORD, ServedHub

SNAPSHOT = Path(__file__).parent / "access_matrix.txt"
NOBODYS_ID = "0198f000-0000-7000-8000-000000000000"
SCOPES = sorted({name.partition(".")[0] for name in PERMISSIONS})
PEOPLE = ("anonymous", "nobody", *LADDER, *SIDE_ROLES, "elsewhere", "hub-admin", "hub-owner")
SESSIONS_ONLY = {
    "GET /api/v1/me/device-logins/{code}",
    "POST /api/v1/me/keys/begin",
    "DELETE /api/v1/me/keys/{id}",
    "POST /api/v1/me/passkeys/begin",
    "DELETE /api/v1/me/passkeys/{id}",
}
"""Shut to every key: a key lets no machine in, nor changes how one signs in."""
DEAD = ("revoked", "expired", "disabled")
"""Keys that were good once: taken back, out of time, and of somebody who may not come in."""
COLUMNS = (*PEOPLE, *DEAD)
BROWSERS = ("page", "forged")
"""The owner's session as a cookie: sent by a page of the hub, and by another site's."""
SHOWN = (*COLUMNS, "agent", *BROWSERS)
HEAD = (
    "# Route by route: the status each gets. Roles are those of realm `default`; `nobody` is\n"
    "# signed in without a role, `elsewhere` owns another realm. `revoked`, `expired` and\n"
    "# `disabled` show an owner's dead key, `agent` what an agent has: a document it signed.\n"
    "# `page` is an owner's browser, `forged` the same browser sent by another site. `scopes`\n"
    "# are those that open the door to an owner's key. See test_access_matrix.py.\n"
)


@dataclass(frozen=True)
class Cast:
    """What each column and scope sends along: an `Authorization`, a cookie, or nothing."""

    headers: dict[str, dict[str, str]]
    scoped: dict[str, dict[str, str]]
    member_id: str


def make_cast(uow: UnitOfWork, keys: dict[str, str]) -> str:
    """Put people of every kind into the hub with the keys they show; return the member's id."""
    now = clock.now()
    uow.realms.add(RealmRecord("elsewhere", now, now))
    member_id = ""
    for name in (*(one for one in COLUMNS if one != "anonymous"), *SCOPES):
        column = name if name in COLUMNS else "hub-owner"
        roles = {"hub-admin": ("admin",), **dict.fromkeys(("hub-owner", *DEAD), ("owner",))}
        scopes = () if name in COLUMNS else (name,)
        user = UserRecord(
            id=clock.new_id(),
            name=f"one-{name}" if name in COLUMNS else f"scope-{name}",
            created_at=now,
            updated_at=now,
            roles=roles.get(column, ()),
            state="disabled" if column == "disabled" else "active",
        )
        uow.users.add(user)
        if column in (*LADDER, *SIDE_ROLES):
            uow.realms.set_member(MemberRecord("default", user.id, column, now))
        if column == "elsewhere":
            uow.realms.set_member(MemberRecord("elsewhere", user.id, "owner", now))
        record = key_record(keys[name], name, user.id, "hub", now)
        expires = now - timedelta(seconds=1) if column == "expired" else None
        uow.api_keys.add(replace(record, scopes=scopes, expires_at=expires))
        if column == "revoked":
            uow.api_keys.revoke(record.id)
        if column == "member":
            member_id = user.id
    return member_id


async def cast_of(served: ServedHub) -> Cast:
    names = [*(one for one in COLUMNS if one != "anonymous"), *SCOPES]
    keys = {name: new_api_key() for name in names}
    member_id = await served.hub.database.write(lambda uow: make_cast(uow, keys))
    headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    shown = {name: headers.get(name, {}) for name in COLUMNS}
    return Cast(
        {**shown, **await browsers_of(served)}, {one: headers[one] for one in SCOPES}, member_id
    )


async def browsers_of(served: ServedHub) -> dict[str, dict[str, str]]:
    """Sign the owner in with a cookie; return what their page sends, and what another site's."""
    await served.owner()
    body = {"name": "admin", "password": OWNER_PASSWORD}
    answer = await served.client.as_key(None).post("/api/v1/login", body)
    cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
    page = {
        "Origin": f"http://{served.client.host}:{served.client.port}",
        "X-CSRF-Token": answer.json["csrfToken"],
    }
    elsewhere = {"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    return {"page": cookie | page, "forged": cookie | elsewhere}


def shown_by(agent: ScriptedAgent) -> dict[str, str]:
    """What an agent has to show: a document signed by its key, for this hub."""
    now = clock.now()
    signed = seal_document(
        type="result",
        id=clock.new_id(),
        timestamp=now,
        expires=now + timedelta(minutes=5),
        audience=agent.hub.hub.identity.hub_did,
        payload={"agent": agent.did},
        signer=agent.key,
    )
    return {"Authorization": f"Bearer {base64.urlsafe_b64encode(signed.wire).decode()}"}


async def status_of(served: ServedHub, one: Operation, path: str, headers: dict[str, str]) -> int:
    """Send one request and read only the head: some answers never end."""
    client = served.client
    reader, writer = await asyncio.open_connection(client.host, client.port)
    lines = [f"{one.method} {path} HTTP/1.1", f"Host: {client.host}:{client.port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    # Not loopback's own request, so that what is open to loopback shows what it asks of others.
    lines.append("X-Forwarded-For: 192.0.2.1")
    data = json.dumps({"nobodyTakesThis": 1}).encode() if one.method != "GET" else b""
    if data:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    try:
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + data)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n")
        return int(head.split(b" ")[1])
    finally:
        writer.close()


def path_of(one: Operation, real: dict[str, str]) -> str:
    """Return the path with something real in it for a GET, and with nobody's id otherwise."""
    prefix = one.path.removeprefix("/api/v1/").partition("/")[0]
    chosen = real.get(prefix, NOBODYS_ID) if one.method == "GET" else NOBODYS_ID
    return re.sub(r"\{\w+\*?\}", chosen, one.path)


async def matrix_of(served: ServedHub) -> str:
    agent = await served.enrol("press")
    order = {"target": {"agent": "press"}, "action": "echo"}
    intent = (await served.client.post("/api/v1/intents", order)).json["intents"][0]["id"]
    cast = await cast_of(served)
    cast.headers["agent"] = shown_by(agent)
    real = {
        "agents": agent.did,
        "intents": intent,
        "users": cast.member_id,
        "realms": "default",
    }
    rows = []
    for one in sorted(OPERATIONS, key=lambda one: (one.path, one.method)):
        path = path_of(one, real)
        answers = [
            f"{column}={await status_of(served, one, path, cast.headers[column])}"
            for column in SHOWN
        ]
        opened = [
            scope
            for scope, headers in cast.scoped.items()
            if await status_of(served, one, path, headers) not in (401, 403)
        ]
        scopes = "all" if len(opened) == len(SCOPES) else " ".join(opened) or "none"
        rows.append(f"{one.method} {one.path}\n  {' '.join(answers)}\n  scopes: {scopes}\n")
    return HEAD + "\n" + "\n".join(rows)


async def test_every_route_answers_everybody_as_reviewed(served: ServedHub) -> None:
    found = await matrix_of(served)
    if os.environ.get("WRIT_WRITE_MATRIX") == "1":
        SNAPSHOT.write_text(found)
    kept = SNAPSHOT.read_text()
    changed = [
        f"{now}\n--- reviewed:\n{before}"
        for now, before in zip(found.split("\n\n"), kept.split("\n\n"), strict=False)
        if now != before
    ]
    assert found == kept, "review and write anew:\n" + "\n".join(changed[:3])


def test_the_reviewed_doors_are_those_of_the_table() -> None:
    """The file cannot be written anew over a hole: what it says follows from the roles' table."""
    rows = SNAPSHOT.read_text().split("\n\n")[1:]
    assert len(rows) == len(OPERATIONS)
    by_name = {f"{one.method} {one.path}": one for one in OPERATIONS}
    for row in rows:
        name, answers, scopes = (line.strip() for line in row.strip().split("\n"))
        one = by_name[name]
        status = {key: int(text) for key, _, text in (a.partition("=") for a in answers.split())}
        if one.permission == PUBLIC:
            continue
        for nobody in ("anonymous", *DEAD, "agent"):
            assert status[nobody] == 401, (name, nobody)
        assert status["page"] not in (401, 403), name
        assert (status["forged"] == 403) == (one.method not in SAFE_METHODS), name
        permission = PERMISSIONS[one.permission]
        for role in (*LADDER, *SIDE_ROLES):
            may = one.permission in ROLES[role] and permission.reach is not Reach.HUB
            if not may:
                assert status[role] == 403, (name, role)
        if permission.reach is Reach.HUB:
            assert status["elsewhere"] == 403, name
        if permission.reach is not Reach.SELF:
            assert status["nobody"] == 403, name
        if name in SESSIONS_ONLY:
            continue
        assert status["hub-owner"] not in (401, 403), name
        opened = SCOPES if scopes == "scopes: all" else scopes.removeprefix("scopes: ").split()
        expected = [scope for scope in SCOPES if scope_covers(scope, one.permission)]
        assert opened == expected, name
