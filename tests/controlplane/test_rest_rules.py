"""The rules every REST answer keeps (SURFACE, "REST rules")."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from controlplane.access.permissions import PERMISSIONS
from controlplane.api.errors import ANSWERS
from controlplane.api.operation import PUBLIC, Operation
from controlplane.api.routes import OPERATIONS
from tests.controlplane.hubs import ServedHub

PUBLIC_PATHS = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/.well-known/writ.json",
    "/.well-known/jwks.json",
    "/openapi.json",
    "/docs",
    "/docs/page.js",
    "/docs/page.css",
    "/api/v1/login",
    "/api/v1/login/device",
    "/api/v1/login/link",
    "/api/v1/login/methods",
    "/api/v1/login/oidc/{name}",
    "/api/v1/login/oidc/{name}/callback",
    "/api/v1/login/passkey",
    "/api/v1/login/passkey/begin",
    "/api/v1/login/device/token",
    "/api/v1/invitations/accept",
}


def _name(one: Operation) -> str:
    return f"{one.method} {one.path}"


@pytest.mark.parametrize("one", OPERATIONS, ids=_name)
def test_every_operation_names_its_permission_or_is_public_on_purpose(one: Operation) -> None:
    if one.permission == PUBLIC:
        assert one.path in PUBLIC_PATHS
    else:
        assert one.permission in PERMISSIONS


@pytest.mark.parametrize("one", OPERATIONS, ids=_name)
def test_every_operation_documents_its_errors(one: Operation) -> None:
    assert set(one.errors) <= set(ANSWERS)
    assert {"internal", "unavailable"} <= set(one.errors)
    if one.permission != PUBLIC:
        assert {"unauthenticated", "forbidden"} <= set(one.errors)
    if one.body is not None:
        assert {"invalid_field", "bad_request", "body_too_large"} <= set(one.errors)


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Every model that a value of this type may be made of."""
    waiting, seen = [kind], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and issubclass(one, BaseModel) and one not in seen:
            seen.add(one)
            yield one
            waiting += [field.annotation for field in one.model_fields.values()]
        waiting += get_args(one)


SET_BY_THE_HUB = {
    "id", "createdBy", "createdAt", "updatedAt", "revokedAt", "usedAt", "usedBy", "decidedAt",
    "decidedBy", "approvedBy", "requestedBy", "lastSeenAt", "lastUsedAt", "version", "index",
    "passwordHash", "secret", "hash", "owner", "user", "userId", "actor", "isAdmin", "scope",
}  # fmt: skip
CHOSEN = {
    "CreateRealmBody": {"id", "owner"},
    "AddMemberBody": {"user"},
    "CreateApiKeyBody": {"user"},
}
"""What people with the right for it choose; each has tests of who that is."""


@pytest.mark.parametrize("one", [one for one in OPERATIONS if one.body], ids=_name)
def test_no_body_takes_a_field_it_does_not_name_nor_one_that_the_hub_sets(one: Operation) -> None:
    for model in _models(one.body):
        assert model.model_config.get("extra") == "forbid", model
        if model.__module__.startswith("controlplane."):
            names = {field.alias or name for name, field in model.model_fields.items()}
            assert not names & SET_BY_THE_HUB - CHOSEN.get(model.__name__, set()), model


def _concrete(one: Operation) -> str:
    return re.sub(r"\{\w+\*?\}", "0198f000-0000-7000-8000-000000000000", one.path)


async def test_no_operation_answers_a_stranger(served: ServedHub) -> None:
    stranger = served.client.as_key(None)
    for one in OPERATIONS:
        if one.permission == PUBLIC:
            continue
        answer = await stranger.send(one.method, _concrete(one))
        assert (answer.status, answer.code) == (401, "unauthenticated"), _name(one)
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["x-request-id"]


async def test_every_answer_has_a_request_id_and_keeps_a_given_one(served: ServedHub) -> None:
    answer = await served.client.get("/healthz", headers={"X-Request-Id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    odd = await served.client.get("/healthz", headers={"X-Request-Id": "bad id\t!"})
    assert re.fullmatch(r"[0-9a-f-]{36}", odd.headers["x-request-id"])


async def test_what_is_not_there_is_a_problem(served: ServedHub) -> None:
    answer = await served.client.get("/api/v1/nothing")
    assert (answer.status, answer.code) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["requestId"] == answer.headers["x-request-id"]


async def test_another_method_is_a_problem_that_names_the_right_ones(served: ServedHub) -> None:
    answer = await served.client.send("DELETE", "/api/v1/intents")
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": "\\ud800"}', b"[" * 100_000]
)
async def test_a_body_that_is_not_json_is_400(served: ServedHub, raw: bytes) -> None:
    answer = await served.client.send("POST", "/api/v1/intents", raw=raw)
    assert (answer.status, answer.code) == (400, "bad_request")


async def test_a_body_that_does_not_say_it_is_json_is_415(served: ServedHub) -> None:
    answer = await served.client.send(
        "POST", "/api/v1/intents", raw=b"{}", headers={"Content-Type": "text/plain"}
    )
    assert (answer.status, answer.code) == (415, "unsupported_media_type")


async def test_a_wrong_or_unknown_field_is_422_with_its_pointer(served: ServedHub) -> None:
    body = {"target": {"agent": "a"}, "action": "echo", "parms": {}}
    answer = await served.client.post("/api/v1/intents", body)
    assert (answer.status, answer.code) == (422, "invalid_field")
    assert answer.json["errors"][0]["pointer"] == "/parms"
    body = {"target": {"agent": 5}, "action": "echo"}
    answer = await served.client.post("/api/v1/intents", body)
    assert answer.json["errors"][0]["pointer"] == "/target/agent"


async def test_a_huge_body_is_413_whether_it_says_so_or_not(served: ServedHub) -> None:
    size = served.settings.max_body_bytes + 1
    told = await served.client.send(
        "POST", "/api/v1/intents", raw=b"", headers={"Content-Length": str(size)}
    )
    assert (told.status, told.code) == (413, "body_too_large")


async def test_a_cursor_nobody_handed_out_is_400(served: ServedHub) -> None:
    answer = await served.client.get("/api/v1/intents?cursor=xyz")
    assert (answer.status, answer.code) == (400, "bad_cursor")


async def test_a_listing_is_read_to_its_end_by_cursors(served: ServedHub) -> None:
    made = [(await served.client.post("/api/v1/join-tokens")).json["id"] for _ in range(3)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await served.client.get(f"/api/v1/join-tokens?limit=2{cursor}")).json
        seen += [one["id"] for one in page["items"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 3


async def test_the_same_key_and_body_get_the_first_answer_without_its_secret(
    served: ServedHub,
) -> None:
    key = {"Idempotency-Key": "one"}
    first = await served.client.post("/api/v1/join-tokens", {"realm": "default"}, headers=key)
    again = await served.client.post("/api/v1/join-tokens", {"realm": "default"}, headers=key)
    other = await served.client.post("/api/v1/join-tokens", {"autoApprove": True}, headers=key)
    assert first.status == again.status == 201
    assert again.json == {**first.json, "token": None}
    assert (other.status, other.code) == (422, "idempotency_mismatch")
    listed = (await served.client.get("/api/v1/join-tokens")).json["items"]
    assert [one["id"] for one in listed] == [first.json["id"]]


async def test_a_refused_request_leaves_its_key_free(served: ServedHub) -> None:
    key = {"Idempotency-Key": "two"}
    bad = await served.client.post("/api/v1/join-tokens", {"realm": "nowhere"}, headers=key)
    good = await served.client.post("/api/v1/join-tokens", {"realm": "default"}, headers=key)
    assert (bad.status, good.status) == (422, 201)
