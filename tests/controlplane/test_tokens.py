"""Short-lived tokens: who gets one, what it says, and that it can be checked without the hub."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

import protocol
from controlplane import clock, token_keys
from controlplane.token_keys import PUBLISHED_BEFORE, renew_token_key, rotate_token_key
from controlplane.tokens.rotation import rotate_token_key as rotate_in_folder
from protocol.messages import ErrorMessage, TokenGrant, TokenRequest
from protocol.timestamps import parse_timestamp
from tests.controlplane.hubs import Client, ServedHub, serve

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")

TOKENS = "/api/v1/tokens"
SERVICE = "https://ci.example"
OTHER = "https://store.example"


async def jwks(served: ServedHub) -> dict[str, Any]:
    answer = await served.client.as_key(None).get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    return dict(answer.json)


async def claims_of(served: ServedHub, token: str, audience: str = SERVICE) -> Mapping[str, Any]:
    """Check a token as a service would, with the published keys alone."""
    decoded = jwt.decode(token, KeySet.import_key_set(await jwks(served)), algorithms=["EdDSA"])  # type: ignore[arg-type]
    claims = decoded.claims
    registry = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": served.hub.identity.hub_did},
        aud={"essential": True, "value": audience},
        exp={"essential": True},
    )
    registry.validate(claims)
    assert claims["exp"] - claims["iat"] == 60
    return claims


async def allow(served: ServedHub, *audiences: str, realm: str = "default") -> None:
    answer = await served.client.send(
        "PATCH", f"/api/v1/realms/{realm}", {"audiences": list(audiences)}
    )
    assert answer.json["audiences"] == list(audiences), answer.data


async def machine(served: ServedHub, **body: Any) -> Client:
    made = await (await served.owner()).post("/api/v1/api-keys", {"name": "machine", **body})
    assert made.status == 201, made.data
    return served.client.as_key(made.json["key"])


async def test_a_person_shows_a_service_who_they_are_with_published_keys_alone(
    served: ServedHub,
) -> None:
    await allow(served, SERVICE)
    person = await served.person("ada", "member", "default")
    made = await person.post(TOKENS, {"audience": SERVICE})
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    claims = await claims_of(served, made.json["token"])
    me = (await person.get("/api/v1/me")).json
    assert claims["sub"] == me["subject"] == made.json["subject"]
    assert (claims["realm"], claims["jti"]) == ("default", made.json["id"])
    assert "scope" not in claims
    assert "act" not in claims
    again = await person.post(TOKENS, {"audience": SERVICE})
    assert again.json["id"] != made.json["id"]
    leaves = (await served.client.get("/api/v1/audit")).json["items"]
    assert [one["subject"] for one in leaves if one["kind"] == "token.issued"][-2:] in (
        [made.json["id"], again.json["id"]],
        [again.json["id"], made.json["id"]],
    )


async def test_a_key_is_named_beside_its_person_and_a_machine_by_itself(served: ServedHub) -> None:
    await allow(served, SERVICE)
    own = await served.client.post(TOKENS, {"audience": SERVICE})
    claims = await claims_of(served, own.json["token"])
    assert claims["sub"].startswith("user:")
    assert claims["act"]["sub"].startswith("key:")
    robot = await machine(served, roles=["operator"])
    claims = await claims_of(
        served, (await robot.post(TOKENS, {"audience": SERVICE})).json["token"]
    )
    assert claims["sub"].startswith("key:")


async def test_a_token_never_says_more_than_its_bearer_may(served: ServedHub) -> None:
    await served.client.post("/api/v1/realms", {"id": "lab"})
    await allow(served, SERVICE)
    await allow(served, SERVICE, realm="lab")
    ada = await served.person("ada", "operator", "default")

    async def ask(client: Client, **body: Any) -> tuple[int, str | None]:
        answer = await client.post(TOKENS, {"audience": SERVICE, **body})
        return answer.status, answer.code

    made = await ada.post(TOKENS, {"audience": SERVICE, "scopes": ["files.write", "files.read"]})
    assert (await claims_of(served, made.json["token"]))["scope"] == "files.write files.read"
    assert await ask(ada, scopes=["policies.write"]) == (403, "forbidden")
    assert await ask(ada, scopes=["users.write"]) == (403, "forbidden")
    assert await ask(ada, scopes=["nonsense"]) == (422, "invalid_field")
    assert await ask(ada, realm="lab") == (403, "forbidden")
    assert await ask(ada, realm="no-such-realm") == (403, "forbidden")
    owner = await served.owner()
    assert (await owner.post(TOKENS, {"audience": SERVICE, "realm": "lab"})).status == 201
    # A key that is narrowed is narrowed here as well.
    narrow = await machine(served, scopes=["agents"])
    assert await ask(narrow) == (403, "forbidden")
    narrow = await machine(served, scopes=["tokens", "agents"], realm="lab")
    assert await ask(narrow, realm="default") == (403, "forbidden")
    assert await ask(narrow, scopes=["files.read"]) == (403, "forbidden")
    assert (await narrow.post(TOKENS, {"audience": SERVICE})).json["realm"] == "lab"
    assert (await served.client.as_key(None).post(TOKENS, {"audience": SERVICE})).status == 401


@pytest.mark.parametrize("audience", ["", "a b", "x" * 256, "caf\u00e9", "a\nb", None, 1, ["x"]])
async def test_a_name_no_service_has_is_422(served: ServedHub, audience: Any) -> None:
    answer = await served.client.post(TOKENS, {"audience": audience})
    assert (answer.status, answer.code) == (422, "invalid_field")


async def test_only_services_of_the_realm_or_of_the_hub_get_tokens(tmp_path: Path) -> None:
    async with serve(tmp_path / "hub", token_audiences=(OTHER,)) as served:
        refused = await served.client.post(TOKENS, {"audience": SERVICE})
        assert (refused.status, refused.code) == (403, "forbidden")
        made = await served.client.post(TOKENS, {"audience": OTHER})
        await claims_of(served, made.json["token"], OTHER)
        await allow(served, SERVICE)
        made = await served.client.post(TOKENS, {"audience": SERVICE})
        with pytest.raises(Exception, match="aud"):
            await claims_of(served, made.json["token"], OTHER)
        await allow(served)
        assert (await served.client.post(TOKENS, {"audience": SERVICE})).status == 403


async def test_so_many_tokens_in_five_minutes_and_no_more(tmp_path: Path) -> None:
    async with serve(tmp_path / "hub", token_audiences=(SERVICE,), tokens_per_caller=3) as served:
        answers = [await served.client.post(TOKENS, {"audience": SERVICE}) for _ in range(4)]
        assert [one.status for one in answers] == [201, 201, 201, 429]
        assert int(answers[-1].headers["retry-after"]) > 0
        other = await machine(served, roles=["operator"])
        assert (await other.post(TOKENS, {"audience": SERVICE})).status == 201


async def test_a_token_is_no_credential_of_the_hub(served: ServedHub) -> None:
    await allow(served, SERVICE)
    token = (await served.client.post(TOKENS, {"audience": SERVICE})).json["token"]
    assert (await served.client.as_key(token).get("/api/v1/me")).status == 401


async def test_an_agent_shows_a_service_which_order_it_works_on_and_for_whom(
    served: ServedHub,
) -> None:
    await allow(served, SERVICE)
    agent = await served.enrol()
    order = {"target": {"agent": agent.did}, "action": "echo"}
    made = (await served.client.post("/api/v1/intents", order)).json["intents"][0]
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say(TokenRequest(intent_id=made["id"], audience=SERVICE))
    grant = await agent.receive(TokenGrant)
    claims = await claims_of(served, grant.token)
    assert claims["sub"] == agent.did
    assert (claims["intent"], claims["action"]) == (made["id"], "echo")
    assert claims["ordered_by"] == (await served.client.get("/api/v1/me")).json["subject"]
    assert abs(grant.expires.timestamp() - claims["exp"]) < 1

    async def refused(intent_id: str, audience: str = SERVICE) -> str:
        await agent.say(TokenRequest(intent_id=intent_id, audience=audience))
        return (await agent.receive(ErrorMessage)).code

    assert await refused(made["id"], OTHER) == "not_granted"
    assert await refused(clock.new_id()) == "unknown_intent"
    other = await served.enrol("other")
    await other.say(TokenRequest(intent_id=made["id"], audience=SERVICE))
    assert (await other.receive(ErrorMessage)).code == "unknown_intent"
    await agent.say_document(agent.result(intent, output="x"))
    await agent.result_acks(1)
    assert await refused(made["id"]) == "unknown_intent"


async def test_no_token_for_the_order_of_somebody_who_is_gone(served: ServedHub) -> None:
    await allow(served, SERVICE)
    agent = await served.enrol()
    ada = await served.person("ada", "operator", "default")
    order = {"target": {"agent": agent.did}, "action": "echo"}
    answer = await ada.post("/api/v1/intents", order)
    assert answer.status == 202, answer.data
    made = answer.json["intents"][0]
    await agent.accept(await agent.document())
    changed = await served.client.send("PATCH", "/api/v1/users/ada", {"state": "disabled"})
    assert changed.status == 200, changed.data
    await agent.say(TokenRequest(intent_id=made["id"], audience=SERVICE))
    assert (await agent.receive(ErrorMessage)).code == "person_not_granted"


VECTORS = json.loads((Path(protocol.__file__).parent / "vectors/tokens.json").read_text("utf-8"))


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_what_a_published_token_proves_a_jwt_library_says_too(case: dict[str, Any]) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=int(parse_timestamp(VECTORS["now"]).timestamp()),
        iss={"essential": True, "value": VECTORS["issuer"]},
        aud={"essential": True, "value": VECTORS["audience"]},
        exp={"essential": True},
    )
    keys = KeySet.import_key_set(VECTORS["jwks"])

    def check() -> Mapping[str, Any]:
        claims = jwt.decode(case["token"], keys, algorithms=["EdDSA"]).claims
        registry.validate(claims)
        return claims

    if case["claims"] is None:
        with pytest.raises((JoseError, ValueError)):
            check()
    else:
        assert check() == case["claims"]


async def test_the_hub_makes_tokens_of_the_published_form(served: ServedHub) -> None:
    await allow(served, SERVICE)
    key = KeySet.import_key_set(VECTORS["jwks"]).keys[0].as_dict(private=False)
    (ours,) = (await jwks(served))["keys"]
    assert ours.keys() == key.keys()
    agent = await served.enrol()
    ada = await served.person("ada", "operator", "default")
    order = {"target": {"agent": agent.did}, "action": "echo"}
    made = (await ada.post("/api/v1/intents", order)).json["intents"][0]
    await agent.accept(await agent.document())
    await agent.say(TokenRequest(intent_id=made["id"], audience=SERVICE))
    token = (await agent.receive(TokenGrant)).token
    published = VECTORS["cases"][0]
    assert (await claims_of(served, token)).keys() == published["claims"].keys()
    assert header_of(token).keys() == header_of(published["token"]).keys()


async def kids(served: ServedHub) -> list[str]:
    return [one["kid"] for one in (await jwks(served))["keys"]]


def header_of(token: str) -> dict[str, Any]:
    head = token.split(".")[0]
    return dict(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))))


def header_kid(token: str) -> str:
    return str(header_of(token)["kid"])


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_while_its_tokens_live(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await allow(served, SERVICE)
    hub = served.hub
    (first,) = await kids(served)
    made = await rotate_in_folder(served.settings)
    await hub.token_keys.refresh()
    assert await kids(served) == [first, made.id]
    token = (await served.client.post(TOKENS, {"audience": SERVICE})).json["token"]
    assert header_kid(token) == first

    now = clock.now()
    claims = {"sub": "x"}
    later = now + PUBLISHED_BEFORE + timedelta(seconds=5)
    assert header_kid(hub.token_keys.sign(claims, later)) == made.id
    for moment, expected in (
        (later, {first, made.id}),
        (later + timedelta(seconds=60), {first, made.id}),
        (later + token_keys.KEPT_AFTER, {made.id}),
    ):
        assert {one["kid"] for one in hub.token_keys.published(moment)["keys"]} == expected
    # Nothing private is published, and nothing private lies open in the database.
    assert all("d" not in one for one in (await jwks(served))["keys"])


async def test_a_key_that_was_seen_is_replaced_at_once(served: ServedHub) -> None:
    await allow(served, SERVICE)
    (first,) = await kids(served)
    made = await rotate_in_folder(served.settings, at_once=True)
    await served.hub.token_keys.refresh()
    assert await kids(served) == [made.id]
    assert made.id != first
    token = (await served.client.post(TOKENS, {"audience": SERVICE})).json["token"]
    assert header_kid(token) == made.id


async def test_keys_change_by_themselves_when_they_are_old_and_old_ones_go(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = served.hub
    month = timedelta(days=30)
    (first,) = await kids(served)
    await renew_token_key(hub.database, hub.secrets, lifetime=month)
    assert await kids(served) == [first]
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + month)
    await renew_token_key(hub.database, hub.secrets, lifetime=month)
    await hub.token_keys.refresh()
    both = await kids(served)
    assert both[0] == first
    assert len(both) == 2
    await renew_token_key(hub.database, hub.secrets, lifetime=month)
    await hub.token_keys.refresh()
    assert await kids(served) == both
    monkeypatch.setattr(clock, "now", lambda: real() + month + timedelta(hours=1))
    await renew_token_key(hub.database, hub.secrets, lifetime=month)
    await hub.token_keys.refresh()
    assert await kids(served) == both[1:]
    monkeypatch.undo()
    assert (await rotate_token_key(hub.database, hub.secrets, by="test")).id not in both
