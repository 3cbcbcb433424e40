"""Unmistakable secrets go in through every door and are found nowhere in plain: not in the
database, its log or its dump, in no log at debug level, no refused answer, no event, no frame."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from controlplane.wrapping_keys import load_raw_keys
from tests.interaction.relay import Relay
from tests.interaction.rest import Rest
from tests.interaction.system import System

SERVICE = "https://service.example"
SEALED, PARAMS = "an order's sealed param", "an order's open param"
S3_PREFIX = "s3://canary-bucket/x"


@dataclass
class Canaries:
    """Every secret that was put in, by the door it came through."""

    known: dict[str, list[bytes]] = field(default_factory=dict)

    def add(self, door: str, secret: str | bytes) -> None:
        """Remember a secret, also as the bytes behind its text, and both as base64 and hex."""
        raw = secret.encode() if isinstance(secret, str) else secret
        forms = {raw}
        for prefix in ("writ_", "writs_", "writ-join:", "whsec_"):
            if isinstance(secret, str) and secret.startswith(prefix):
                forms.add(secret.removeprefix(prefix).encode())
        for one in tuple(forms):
            forms |= {base64.b64encode(one).rstrip(b"="), one.hex().encode()}
            forms.add(base64.urlsafe_b64encode(one).rstrip(b"="))
        assert min(map(len, forms)) >= 12, f"{door}: too short to be unmistakable"
        self.known[door] = sorted(forms)

    def found_in(self, place: bytes, *, allowed: frozenset[str] = frozenset()) -> list[str]:
        """The doors whose secrets stand in `place`."""
        return [
            door
            for door, forms in self.known.items()
            if door not in allowed and any(form in place for form in forms)
        ]


@contextmanager
def events_of(rest: Rest) -> Iterator[bytearray]:
    """Everything that is told to whoever watches, as it comes."""
    connection = http.client.HTTPConnection(urlsplit(rest.url).netloc, timeout=120)
    connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {rest.api_key}"})
    response = connection.getresponse()
    assert response.status == 200
    kept = bytearray()

    def read() -> None:
        try:
            while data := response.read1(65_536):
                kept.extend(data)
        except (OSError, ValueError, AttributeError):
            return  # closed by the test

    threading.Thread(target=read, daemon=True).start()
    try:
        yield kept
    finally:
        connection.close()


def canary() -> str:
    return f"canary-{secrets.token_hex(16)}"


async def dump(database_url: str) -> bytes:
    """Every value of every table, as Postgres itself keeps it."""
    engine = create_async_engine(database_url)
    listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    parts: list[bytes] = []
    async with engine.connect() as connection:
        for (table,) in (await connection.execute(text(listed))).all():
            rows = await connection.execute(text(f'SELECT * FROM "{table}"'))
            values = (value for row in rows for value in row)
            parts += (one if isinstance(one, bytes) else str(one).encode() for one in values)
    await engine.dispose()
    return b"\x00".join(parts)


def put_in_everywhere(system: System, canaries: Canaries, answers: list[bytes]) -> None:
    """Bring a secret through every door; what is refused is added to `answers`."""
    owner, admin = system.owner, system.rest

    def refused(answer: Any) -> None:
        assert answer.status >= 400, answer
        answers.append(json.dumps([answer.value, answer.headers]).encode())

    def once(path: str, body: dict[str, Any]) -> Any:
        """Create with an idempotency key, twice: the second answer has no secret."""
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        made = owner.send("POST", path, body, headers=headers)
        assert made.status == 201, made
        answers.append(json.dumps(owner.send("POST", path, body, headers=headers).value).encode())
        return made.value

    canaries.add("session of the owner", str(owner.api_key))
    canaries.add("first API key", str(admin.api_key))
    # Passwords: the right one, a wrong one, one that is too long to be taken.
    password, wrong = canary(), canary()
    canaries.add("password", password)
    canaries.add("wrong password", wrong)
    link = once("/invitations", {"role": "operator", "realm": "default"})["link"]
    token = link.partition("#")[2]
    canaries.add("invitation", token)
    nobody = Rest(system.hub.url)
    accept = {"token": token, "name": "ada", "password": password, "bearer": True}
    canaries.add("session", nobody.post("/invitations/accept", accept)["token"])
    refused(nobody.send("POST", "/invitations/accept", accept))
    login = {"name": "ada", "password": password, "bearer": True}
    canaries.add("second session", nobody.post("/login", login)["token"])
    cookie = nobody.send("POST", "/login", {**login, "bearer": False}).headers["set-cookie"]
    canaries.add("session cookie", cookie.partition("=")[2].partition(";")[0])
    refused(nobody.send("POST", "/login", {**login, "password": wrong}))
    refused(nobody.send("POST", "/login", {**login, "bearer": wrong}))
    refused(nobody.send("POST", "/login", {**login, "more": wrong}))
    # API keys: a good one, a wrong one, one in the wrong place.
    key = once("/api-keys", {"name": "robot", "roles": ["operator"]})["key"]
    canaries.add("API key", key)
    bad_key = f"writ_{secrets.token_hex(24)}"
    canaries.add("wrong API key", bad_key)
    refused(Rest(system.hub.url, bad_key).send("GET", "/me"))
    refused(admin.send("GET", f"/agents/{bad_key}"))
    refused(admin.send("GET", f"/agents?cursor={bad_key}"))
    # S3 credentials, tried and refused.
    s3_secret = canary()
    canaries.add("S3 secret", s3_secret)
    credentials = {"accessKeyId": "writ", "secretAccessKey": s3_secret}
    place = {"url": S3_PREFIX, "endpoint": "http://127.0.0.1:1", "credentials": credentials}
    tested = owner.send("POST", "/settings/storage/test", place)
    answers.append(json.dumps(tested.value).encode())
    refused(owner.send("PATCH", "/settings/storage", place))
    refused(owner.send("PATCH", "/settings/storage", {**place, "credentials": {"x": s3_secret}}))
    # OpenID: the provider is away, so the hub says so, and not the client's secret.
    refused(nobody.send("GET", "/login/oidc/canary"))
    # Webhooks, device logins, file uploads, tokens for services.
    word = canary()
    canaries.add("address of a webhook", word)
    body = {"url": f"https://127.0.0.1:1/{word}?key={word}", "events": ["agent.*"]}
    hook = once("/webhooks", body)
    canaries.add("webhook secret", hook["secret"])
    path = f"/webhooks/{hook['id']}"
    answers.append(json.dumps(owner.post(f"{path}/test")).encode())
    owner.send("PATCH", path, {"url": f"https://127.0.0.1:1/other/{word}"})
    refused(owner.send("PATCH", path, {"url": f"http://192.0.2.1/{word}"}))
    refused(owner.send("POST", "/webhooks", {**body, "url": f"https://{word}.example/ {word}"}))
    looks = owner.post("/api-keys", {"name": "looks", "scopes": ["webhooks.read"]})["key"]
    canaries.add("API key that may only look", looks)
    looking = Rest(system.hub.url, looks)
    shown = [looking.get(one) for one in (path, "/webhooks", f"{path}/deliveries")]
    answers.append(json.dumps(shown).encode())
    device = nobody.post("/login/device")
    canaries.add("device code", device["deviceCode"])
    body = {"name": "x", "bytes": 3, "sha256": "0" * 64}
    ticket = once("/files", body)["upload"]["url"].rpartition("/")[2]
    canaries.add("upload ticket", ticket)
    system.writ("realms", "audiences", "default", SERVICE)
    jwt = owner.post("/tokens", {"audience": SERVICE})["token"]
    canaries.add("token for a service", jwt)
    canaries.add("its signature", jwt.rpartition(".")[2])
    refused(Rest(system.hub.url, jwt).send("GET", "/me"))
    # Private keys, and those that wrap others.
    for path in sorted((system.hub.folder / "keys").glob("*.pem")):
        canaries.add(path.name, _seed(path))
    (wrapping_key,) = load_raw_keys(system.hub.folder / "keys" / "secrets.key")
    canaries.add("wrapping key", wrapping_key)


def _seed(path: Path) -> bytes:
    """The 32 bytes of a private key: the end of its PKCS#8 form."""
    lines = [one for one in path.read_text().splitlines() if not one.startswith("-----")]
    return base64.b64decode("".join(lines))[-32:]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_secret_is_found_in_plain_wherever_it_was_put_in(
    kind: str, request: pytest.FixtureRequest, make_system: Callable[..., System]
) -> None:
    canaries, answers = Canaries(), []
    client_secret = canary()
    canaries.add("OIDC client secret", client_secret)
    oidc = [
        {
            "name": "canary",
            "issuer": "http://127.0.0.1:1",
            "client_id": "writ",
            "client_secret": client_secret,
        }
    ]
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    system = make_system(
        database_url=url,
        WRIT_OIDC=json.dumps(oidc),
        WRIT_LOG_LEVEL="debug",
        WRIT_WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
    )
    with Relay(system.hub.url) as relay, events_of(system.rest) as events:
        made = system.owner.post("/join-tokens", {"autoApprove": True, "capabilities": ["*"]})
        content = json.loads(base64.urlsafe_b64decode(_padded(made["token"].partition(":")[2])))
        canaries.add("join token", made["token"])
        canaries.add(
            "secret of the join token", base64.urlsafe_b64decode(_padded(content["secret"]))
        )
        content["hub"] = f"{relay.url}/ws/agent"
        by_relay = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
        agent = system.new_agent("worker", token=f"writ-join:{by_relay}")
        agent.start()
        agent.state("online")
        canaries.add("agent key", _seed(next(agent.folder.rglob("*.pem"))))
        put_in_everywhere(system, canaries, answers)
        sealed = canary()
        canaries.add(SEALED, sealed)
        key = system.hub.made["operatorKeyFile"]
        words = ("run", agent.did, "echo", "-p", f"say={sealed}", "--sign", key, "--seal")
        assert system.writ(*words)["result"]["output"] == {"say": sealed}
        # The search itself: what is not sealed is found in all three.
        plain = canary()
        assert system.run(agent, "echo", say=plain)["state"] == "succeeded"
        agent.stop()
        frames, told = relay.texts(), bytes(events)
    system.hub.stop()
    kept = b"\n".join(
        path.read_bytes()
        for path in system.hub.folder.rglob("*")
        if path.is_file() and path.parent.name != "keys"
    )
    if url is not None:
        kept += asyncio.run(dump(url))
    logs = system.hub.log.read_bytes() + agent.log.read_bytes()
    assert plain.encode() in kept
    assert plain.encode() in frames
    assert b"intent." in told
    assert b" info " in logs
    assert len(canaries.known) >= 25
    places = {
        "database and files": kept,
        "logs": logs,
        "refused and repeated answers": b"\n".join(answers),
        "events": told,
        "frames": frames,
    }
    found = {name: doors for name, place in places.items() if (doors := canaries.found_in(place))}
    assert found == {}
    assert plain.encode() not in logs


def test_a_canary_that_stands_there_is_found() -> None:
    canaries = Canaries()
    canaries.add("door", "writ_" + "x" * 40)
    for place in (b"..." + b"x" * 40, base64.b64encode(b"x" * 40), (b"x" * 40).hex().encode()):
        assert canaries.found_in(place) == ["door"]
    assert canaries.found_in(b"x" * 39) == []


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)
