"""Tokens for other services: `tokens.json`, and transcripts of agents that ask for one.

A service needs only the first: the hub's published keys, and what each token proves, if anything.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from tests.protocol.material import AGENT, NOW, OTHER, an_id
from tests.protocol.vectors_handshakes import ack, frame, good, hello, pending, refused, register

ISSUER, AUDIENCE = "https://hub.example", "https://ci.example"
KEYS = {"key-1": SigningKey.from_seed(b"\x07" * 32), "key-2": SigningKey.from_seed(b"\x08" * 32)}
MOMENT = int(NOW.timestamp())
ORDER = an_id(90)
OF_AGENT: dict[str, Any] = {
    "iss": ISSUER,
    "sub": AGENT.public_key.did,
    "name": "worker-1",
    "intent": ORDER,
    "action": "http.get",
    "ordered_by": f"user:{an_id(31)}",
    "on_behalf_of": f"user:{an_id(32)}",
    "aud": AUDIENCE,
    "realm": "default",
    "iat": MOMENT - 5,
    "exp": MOMENT + 55,
    "jti": an_id(91),
}
OF_PERSON: dict[str, Any] = {
    "iss": ISSUER,
    "sub": f"user:{an_id(31)}",
    "name": "ada",
    "scope": "files.write files.read",
    "act": {"sub": f"key:{an_id(33)}"},
    "aud": AUDIENCE,
    "realm": "default",
    "iat": MOMENT,
    "exp": MOMENT + 60,
    "jti": an_id(92),
}


def token(
    claims: Any = OF_AGENT, *, kid: str = "key-1", signer: SigningKey | None = None, **header: Any
) -> str:
    """Return a token over `claims`; `header` changes fields of its header."""
    head = {"alg": "EdDSA", "kid": kid, "typ": "JWT"} | header
    signed = f"{_encode(_json(head))}.{_encode(_json(claims))}"
    key = KEYS[kid] if signer is None else signer
    return f"{signed}.{_encode(key.sign(signed.encode()))}"


def token_vectors() -> dict[str, Any]:
    """Return the content of `tokens.json`."""
    head, body, signature = token().split(".")
    none = _encode(_json({"alg": "none", "kid": "key-1"}))
    shared = _encode(_json({"alg": "HS256", "kid": "key-1"}))
    public = KEYS["key-1"].public_key.raw
    mac = hmac.new(public, f"{shared}.{body}".encode(), hashlib.sha256).digest()
    longer = _encode(_json(OF_AGENT | {"exp": MOMENT + 3_600}))
    proved = [
        ("an agent, for an order", OF_AGENT, token()),
        ("a person, by an API key, with scopes", OF_PERSON, token(OF_PERSON)),
        ("the next key", OF_AGENT, token(kid="key-2")),
        ("a claim nobody knows yet", OF_AGENT | {"later": 1}, token(OF_AGENT | {"later": 1})),
        ("a second before its end", *_both(OF_AGENT | {"iat": MOMENT - 59, "exp": MOMENT + 1})),
    ]
    nothing = [
        ("at its end", token(OF_AGENT | {"iat": MOMENT - 60, "exp": MOMENT})),
        ("without an end", token(_without("exp"))),
        ("an end that is text", token(OF_AGENT | {"exp": str(MOMENT + 55)})),
        ("for another service", token(OF_AGENT | {"aud": "https://store.example"})),
        ("for a service whose name begins alike", token(OF_AGENT | {"aud": AUDIENCE + "/"})),
        ("for no service", token(_without("aud"))),
        ("by another hub", token(OF_AGENT | {"iss": "https://evil.example"})),
        ("by nobody", token(_without("iss"))),
        ("signed by another key", token(signer=OTHER)),
        ("signed by the other published key", token(signer=KEYS["key-2"])),
        ("a key that is not published", token(kid="key-9", signer=OTHER)),
        ("lengthened after it was signed", f"{head}.{longer}.{signature}"),
        ("with the signature of another", f"{head}.{body}.{token(OF_PERSON).split('.')[2]}"),
        ("without a signature", f"{head}.{body}."),
        ("in two parts", f"{head}.{body}"),
        ("in four parts", f"{head}.{body}.{signature}.{signature}"),
        ("algorithm none", f"{none}.{body}."),
        ("algorithm none, signed all the same", token(alg="none")),
        ("the public key taken for a shared secret", f"{shared}.{body}.{_encode(mac)}"),
        ("claims that are no object", token([OF_AGENT])),
        ("nothing", ""),
    ]
    return {
        "now": format_timestamp(NOW),
        "issuer": ISSUER,
        "audience": AUDIENCE,
        "jwks": {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": _encode(key.public_key.raw),
                    "kid": kid,
                    "use": "sig",
                    "alg": "EdDSA",
                }
                for kid, key in KEYS.items()
            ]
        },
        "cases": [
            *({"name": name, "token": text, "claims": claims} for name, claims, text in proved),
            *({"name": name, "token": text, "claims": None} for name, text in nothing),
        ],
    }


def token_handshakes() -> list[dict[str, Any]]:
    """Return the cases of `handshakes.json` in which an agent asks for a token."""
    up = (hello(), register())
    asked = frame("agent", "token_request", {"intentId": ORDER, "audience": AUDIENCE}, 2)
    given: dict[str, Any] = {
        "intentId": ORDER,
        "audience": AUDIENCE,
        "token": token(),
        "expires": format_timestamp(NOW + timedelta(seconds=55)),
    }
    spaced = {"intentId": ORDER, "audience": "https://ci.example /x"}
    no = {"code": "not_granted", "message": "no", "inReplyTo": an_id(0x202)}

    def grant(sequence: int = 3, **changes: Any) -> Any:
        return frame("hub", "token_grant", given | changes, sequence)

    return [
        good("a token asked for and granted", "agent", "online", *up, ack(), asked, grant()),
        good(
            "a token asked for and refused",
            "agent",
            "online",
            *up,
            ack(),
            asked,
            frame("hub", "error", no, 3),
        ),
        refused(
            "a token that is no JWT",
            "agent",
            "online",
            "bad_payload",
            *up,
            ack(),
            asked,
            grant(token="a token"),
        ),
        refused("pending: a token", "agent", "pending", "forbidden_type", *up, pending(), grant()),
        good("a token is asked for", "hub", "online", *up, ack(), asked),
        refused(
            "a token for a service with a space in its name",
            "hub",
            "online",
            "bad_payload",
            *up,
            ack(),
            frame("agent", "token_request", spaced, 2),
        ),
        refused(
            "pending: a token is asked for",
            "hub",
            "pending",
            "forbidden_type",
            *up,
            pending(),
            asked,
        ),
    ]


def _both(claims: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return claims, token(claims)


def _without(name: str) -> dict[str, Any]:
    return {key: value for key, value in OF_AGENT.items() if key != name}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
