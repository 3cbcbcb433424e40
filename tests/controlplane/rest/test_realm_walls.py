"""Two realms with everything in them, and no way from one to the other.

Every operation is asked by the owner of one realm about the things of the other. The answer must
be the one for things that are not there at all, to the letter; and nothing that may be read holds
a word of the other realm.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from controlplane.access.permissions import PERMISSIONS, Reach
from controlplane.api.operation import PUBLIC, Operation
from controlplane.api.routes import OPERATIONS
from tests.controlplane.hubs import Answer, Client, serve
from tests.controlplane.rest.population import Population, populate

NOBODY = "0198f000-0000-7000-8000-000000000000"
NOWHERE = "nowhere"
NO_DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
OF = {
    "agents": ("agent", "agent_name"),
    "registrations": ("registration",),
    "join-tokens": ("join_token",),
    "intents": ("intent", "held"),
    "policies": ("policy", "layer"),
    "delegations": ("delegation",),
    "approvals": ("approval",),
    "realms": ("realm",),
    "users": ("lead", "member"),
    "api-keys": ("api_key",),
    "invitations": ("invitation",),
    "files": ("file",),
    "webhooks": ("webhook",),
}
"""Which ids of a population stand in the paths of which resource."""
NOT_OF_A_REALM = {
    "/api/v1/me/sessions/{id}",
    "/api/v1/me/passkeys/{id}",
    "/api/v1/audit/tile/{path*}",
}
"""What belongs to a person, or to the whole hub: nothing of a realm stands in the path."""
BODIES: dict[str, Any] = {
    "PATCH /api/v1/agents/{did}": {"labels": {"a": "b"}},
    "POST /api/v1/agents/{did}/release": {"document": "{}"},
    "POST /api/v1/approvals/{id}/signed": {"document": "{}"},
    "POST /api/v1/registrations/{id}/approve": {"realms": ["oakland"]},
    "POST /api/v1/registrations/{id}/reject": {"reason": ""},
    "PATCH /api/v1/realms/{id}": {"description": "mine"},
    "POST /api/v1/realms/{id}/members": {"user": "oakland-lead", "role": "member"},
    "PUT /api/v1/realms/{id}/members/{user}": {"role": "member"},
    "PATCH /api/v1/users/{id}": {"email": None},
}
ABOUT: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/intents", {"target": {"agent": "AGENT"}, "action": "echo"}),
    (
        "POST",
        "/api/v1/intents",
        {"target": {"agent": "AGENT"}, "action": "echo", "realm": "oakland"},
    ),
    (
        "POST",
        "/api/v1/intents",
        {"target": {"capability": "files"}, "action": "echo", "realm": "REALM"},
    ),
    ("POST", "/api/v1/intents", {"target": {"selector": "site=REALM"}, "action": "echo"}),
    ("POST", "/api/v1/policies", {"agent": "AGENT", "rules": []}),
    ("POST", "/api/v1/policies", {"realm": "REALM", "rules": []}),
    ("POST", "/api/v1/policies/test", {"agent": "AGENT", "rules": [], "action": "echo"}),
    ("POST", "/api/v1/policies/explain", {"agent": "AGENT", "action": "echo"}),
    ("POST", "/api/v1/policies/explain", {"intent": "INTENT"}),
    ("POST", "/api/v1/policies/diff", {"agent": "AGENT", "rules": []}),
    (
        "POST",
        "/api/v1/delegations",
        {"subject": f"user:{NOBODY}", "capabilities": [{"action": "echo", "realms": ["REALM"]}]},
    ),
    (
        "POST",
        "/api/v1/delegations",
        {
            "subject": f"user:{NOBODY}",
            "capabilities": [{"action": "echo", "realms": ["oakland"], "agents": ["AGENT"]}],
        },
    ),
    ("POST", "/api/v1/join-tokens", {"realm": "REALM"}),
    ("POST", "/api/v1/invitations", {"role": "member", "realm": "REALM"}),
    ("POST", "/api/v1/api-keys", {"name": "k", "realm": "REALM"}),
    ("POST", "/api/v1/api-keys", {"name": "k", "roles": ["member"], "realm": "REALM"}),
    ("POST", "/api/v1/realms/oakland/members", {"user": "USER", "role": "member"}),
    ("PUT", "/api/v1/realms/oakland/members/USER", {"role": "member"}),
    ("DELETE", "/api/v1/realms/oakland/members/USER", None),
    ("POST", "/api/v1/agents/quarantine", {"realm": "REALM"}),
    ("PATCH", "/api/v1/agents/oakland-worker", {"realms": ["oakland", "REALM"]}),
    (
        "POST",
        "/api/v1/files",
        {"name": "f", "bytes": 1, "sha256": "0" * 64, "realm": "REALM"},
    ),
    ("GET", "/api/v1/agents?realm=REALM", None),
    ("GET", "/api/v1/intents?realm=REALM", None),
    ("GET", "/api/v1/intents?agent=AGENT", None),
    ("GET", "/api/v1/intents?submittedBy=user:USER", None),
    ("GET", "/api/v1/files?realm=REALM", None),
    ("GET", "/api/v1/files?intent=INTENT", None),
    ("GET", "/api/v1/policies?agent=AGENT", None),
    ("GET", "/api/v1/delegations?subject=user:USER", None),
    ("GET", "/api/v1/agents?q=REALM", None),
]
"""Requests of ours that name things of theirs, or things that are not there."""


@pytest.fixture
async def walled(tmp_path: Path) -> Any:
    async with serve(tmp_path / "hub", webhook_allowed_networks=("127.0.0.0/8",)) as served:
        yield served, await populate(served, "oakland"), await populate(served, "elmwood")


def asked(one: Operation, theirs: Population) -> Iterator[str]:
    """Yield the paths of an operation with each thing of theirs in it."""
    resource = one.path.removeprefix("/api/v1/").partition("/")[0]
    for kind in OF[resource]:
        path = re.sub(r"\{\w+\}", theirs.ids[kind], one.path, count=1)
        yield re.sub(r"\{\w+\}", NOBODY, path.replace("{user}", theirs.ids["member"]))


def without(answer: Answer, *words: str) -> tuple[int, str, str]:
    """Return what an answer says, apart from its own id and the words one asked with."""
    text = answer.data.decode()
    for word in sorted(words, key=len, reverse=True):
        text = text.replace(word, "_")
    text = re.sub(r'"(requestId|batchId)":"[^"]*"', "", text)
    return answer.status, answer.headers.get("content-type", ""), text


async def test_what_is_theirs_is_answered_as_what_is_not(walled: Any) -> None:
    _, ours, theirs = walled
    lead: Client = ours.lead
    for one in OPERATIONS:
        if one.permission == PUBLIC or "{" not in one.path or one.path in NOT_OF_A_REALM:
            continue
        resource = one.path.removeprefix("/api/v1/").partition("/")[0]
        if resource not in OF:
            assert PERMISSIONS[one.permission].reach is not Reach.REALM, one.path
            continue
        body = BODIES.get(f"{one.method} {one.path}", {} if one.body else None)
        for path in asked(one, theirs):
            nothing = re.sub(r"\{\w+\}", NO_DID if "did" in one.path else NOBODY, one.path)
            got = await lead.send(one.method, path, body)
            like = await lead.send(one.method, nothing, body)
            said = without(got, *theirs.words)
            assert said == without(like, NOBODY, NO_DID), (one.method, path)
            assert got.status in (403, 404, 422), (one.method, path, got.status)


async def test_what_names_theirs_is_answered_as_what_names_nothing(walled: Any) -> None:
    _, ours, theirs = walled
    lead: Client = ours.lead
    names = {
        "AGENT": ("agent_name", "no-such-agent"),
        "REALM": ("realm", NOWHERE),
        "INTENT": ("intent", NOBODY),
        "USER": ("lead", NOBODY),
    }
    told = []
    for method, path, body in ABOUT:
        text = json.dumps([path, body])
        real, fake = text, text
        for name, (kind, nothing) in names.items():
            real, fake = real.replace(name, theirs.ids[kind]), fake.replace(name, nothing)
        got = await lead.send(method, *json.loads(real))
        like = await lead.send(method, *json.loads(fake))
        nobodys = [nothing for _, nothing in names.values()]
        said, nothing_said = without(got, *theirs.words), without(like, *nobodys)
        if said != nothing_said:
            told.append((method, path, body, said, nothing_said))
    assert told == []


async def test_nothing_that_may_be_read_holds_a_word_of_the_other_realm(walled: Any) -> None:
    _, *both = walled
    for ours, theirs in (both, both[::-1]):
        for one in OPERATIONS:
            if one.method != "GET" or one.permission == PUBLIC:
                continue
            if one.media_type == "text/event-stream":
                continue
            for path, limit in product(readable(one, ours), ("", "1")):
                await _read_all(ours.lead, one, path, limit, theirs.words)


def readable(one: Operation, ours: Population) -> list[str]:
    """Return the paths by which the owner of a realm reads what is theirs."""
    resource = one.path.removeprefix("/api/v1/").partition("/")[0]
    if "{" not in one.path:
        return [one.path]
    return list(asked(one, ours)) if resource in OF else []


async def _read_all(lead: Client, one: Operation, path: str, limit: str, words: set[str]) -> None:
    paged = one.query is not None and "cursor" in one.query.model_fields
    if limit and not paged:
        return
    cursor = ""
    for _ in range(50):
        query = f"?limit={limit}{cursor}" if limit else ""
        answer = await lead.send("GET", path + query)
        assert answer.status < 500, path
        text = answer.data.decode()
        found = answer.json.get("nextCursor") if paged else None
        if found:
            text += base64.urlsafe_b64decode(found + "==").decode()
            cursor = f"&cursor={found}"
        assert [word for word in words if word in text] == [], (path, text)
        if not limit or not found:
            return
    raise AssertionError(f"{path} never ends")
