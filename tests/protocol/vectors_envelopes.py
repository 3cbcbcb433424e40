"""More envelopes for `envelopes.json`: forms, encodings, keys and times at the edge."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from protocol.base64_text import encode_base64
from protocol.envelope import Envelope, seal_document
from protocol.keys import PublicKey
from tests.protocol.material import (
    AGENT,
    CANCEL,
    HEARTBEAT,
    HUB,
    INTENT,
    NOW,
    ROOT,
    SESSION,
    a_control_frame,
    a_document,
    an_id,
)

SKEW, TICK = timedelta(seconds=60), timedelta(milliseconds=1)
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
WEAK_KEYS = {
    "the neutral point": b"\x01" + bytes(31),
    "a point of order 2": b"\xec" + b"\xff" * 30 + b"\x7f",
    "a point of order 4": bytes(32),
    "a point of order 8": bytes.fromhex(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
    ),
    "the neutral point, spelt with p + 1": b"\xee" + b"\xff" * 30 + b"\x7f",
}


def _good(name: str, envelope: Envelope, text: str | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "text": envelope.wire.decode() if text is None else text,
        "code": None,
        "signedBytesHex": envelope.signed_bytes.hex(),
        "digest": envelope.digest,
    }


def good_envelopes() -> list[dict[str, Any]]:
    """Return envelopes that every implementation must take."""
    numbers = {"values": [1e-7, 0.1, -0.0, 5e-324, 1e15, 123456789.125, 9007199254740991]}
    strings = {"\u20ac": "€", "\r": "\r\n\t\b\f", "\ud7ff": "\u007f\u2028", "😀": '"\\/', "": ""}
    deep: Any = 0
    for _ in range(30):
        deep = [deep]
    widest = INTENT | {"params": {"items": [0] * 9_950}}
    delegation = {
        "subject": "user:0195a5b2-7c3e-4a10-8000-000000000001",
        "capabilities": [{"action": "*", "realms": []}],
        "conditions": ["true"],
        "notBefore": "2026-03-01T12:00:00.000Z",
        "maxDepth": 0,
        "parent": None,
    }
    document = a_document()
    escaped = document.wire.decode().replace("intent", r"\u0069ntent", 1)
    beats = {"tokenUsage": {"a": None, "b": [True, False]}, "load": 1e9}
    return [
        _good("numbers", a_document(INTENT | {"params": numbers})),
        _good("strings and keys", a_document(INTENT | {"params": strings})),
        _good("an embedded depth", a_document(INTENT | {"params": {"deep": deep[0][0]}})),
        _good("many values", a_document(widest)),
        _good("escapes in the type", document, escaped),
        _good("expires at the next moment", a_document(expires=NOW + TICK)),
        _good("signed a minute ahead", a_document(timestamp=NOW + SKEW)),
        _good("long ago", a_document(timestamp=NOW - timedelta(days=4000))),
        _good("a leap day", a_document(timestamp=NOW.replace(year=2024, month=2, day=29))),
        _good("a cancel", a_document(CANCEL, type="intent_cancel")),
        _good("signed by the root", a_document(signer=ROOT)),
        _good("a delegation to everyone", a_document(delegation, type="delegation", audience="*")),
        _good(
            "all optional fields",
            a_document(
                INTENT
                | {
                    "onBehalfOf": ROOT.public_key.did,
                    "notBefore": "2026-03-01T12:00:00.000Z",
                    "batchId": an_id(7),
                    "proof": [an_id(8), an_id(9)],
                    "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                    "sealed": {},
                }
            ),
        ),
        _good("a frame as old as it may be", a_control_frame(timestamp=NOW - SKEW)),
        _good("a frame as new as it may be", a_control_frame(timestamp=NOW + SKEW)),
        _good("unknown fields in a frame", a_control_frame(HEARTBEAT | beats | {"later": [1]})),
    ]


def bad_envelopes() -> list[dict[str, Any]]:
    """Return envelopes that every implementation must refuse, with the code."""
    return [
        *_bad_json(),
        *_bad_shapes(),
        *_bad_signatures(),
        *_bad_times_and_receivers(),
        *_bad_payloads(),
    ]


def _case(name: str, code: str, text: str) -> dict[str, Any]:
    return {"name": name, "text": text, "code": code}


def _bad_json() -> list[dict[str, Any]]:
    text = a_document().wire.decode()
    cases = {
        "a duplicate key": text.replace("{", '{"type":"intent",', 1),
        "a duplicate key deep down": text.replace('"params":{', '"params":{"limit":10,', 1),
        "cut short": text[:-1],
        "two envelopes": text + text,
        "a number too large": text.replace('"limit":10', '"limit":9007199254740992'),
        "a lone surrogate": text.replace("files.read", r"\ud800"),
        "U+0000": text.replace("files.read", r"\u0000"),
        "too deep": text.replace('"limit":10', '"limit":' + "[" * 30 + "]" * 30),
        "too many values": text.replace('"limit":10', '"limit":[' + "0," * 9_999 + "0]"),
    }
    return [_case(f"JSON: {name}", "bad_json", text) for name, text in cases.items()]


def _bad_shapes() -> list[dict[str, Any]]:
    document, frame = json.loads(a_document().wire), json.loads(a_control_frame().wire)
    signature = document["signature"]
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # The last character before the padding carries four bits that must be zero.
    unused = signature[:-3] + digits[digits.index(signature[-3]) | 1] + "=="
    key = document["publicKey"]
    changes: dict[str, dict[str, Any]] = {
        "payload is an array": document | {"payload": []},
        "payload is null": document | {"payload": None},
        "type in capitals": document | {"type": "Intent"},
        "type with a dot": document | {"type": "intent.x"},
        "id of version 4": document | {"id": document["id"].replace("-7000-8", "-4000-8")},
        "id of another variant": document | {"id": document["id"].replace("-8000-", "-c000-")},
        "timestamp with an offset": document | {"timestamp": "2026-03-01T12:00:00.123+00:00"},
        "timestamp with microseconds": document | {"timestamp": "2026-03-01T12:00:00.123456Z"},
        "a day that does not exist": document | {"timestamp": "2026-02-29T12:00:00.123Z"},
        "a leap second": document | {"timestamp": "2026-06-30T23:59:60.000Z"},
        "hour 24": document | {"timestamp": "2026-03-01T24:00:00.000Z"},
        "expires is null": document | {"expires": None},
        "audience is a name": document | {"audience": "worker-1"},
        "unused bits in the signature": document | {"signature": unused},
        "URL-safe base64": document | {"signature": "-_" + signature[2:]},
        "white space in the signature": document | {"signature": signature[:-1] + "\n"},
        "signature too short": document | {"signature": encode_base64(bytes(63))},
        "key of another kind": document | {"publicKey": "z6Ls" + key[4:]},
        "key with another letter": document | {"publicKey": key[:-1] + "0"},
        "a zero before the key": document | {"publicKey": "z1" + key[1:]},
        "a frame without sequence": {k: v for k, v in frame.items() if k != "sequence"},
        "sequence 0": frame | {"sequence": 0},
        "sequence as a string": frame | {"sequence": "2"},
        "sequence as true": frame | {"sequence": True},
        "session is no id": frame | {"session": "1"},
        "a heartbeat as a document": frame_as_document(frame),
        "an intent as a control frame": {k: v for k, v in document.items() if k != "expires"}
        | {"session": SESSION, "sequence": 2},
    }
    cases = [_case(f"form: {n}", "bad_envelope", json.dumps(v)) for n, v in changes.items()]
    fraction = json.dumps(frame).replace('"sequence": 2', '"sequence": 2.0')
    return [*cases, _case("form: sequence 2.0", "bad_envelope", fraction)]


def frame_as_document(frame: dict[str, Any]) -> dict[str, Any]:
    """Return a known control type with the fields of a document."""
    rest = {name: value for name, value in frame.items() if name not in ("session", "sequence")}
    return rest | {"expires": frame["timestamp"]}


class _Weak:
    """Signs whatever it is given as a weak key can: R neutral, S zero."""

    def __init__(self, raw: bytes) -> None:
        self.public_key = PublicKey(raw)

    def sign(self, message: bytes) -> bytes:
        return b"\x01" + bytes(63)


def _bad_signatures() -> list[dict[str, Any]]:
    document = json.loads(a_document().wire)
    raw = a_document().signature
    higher = raw[:32] + (int.from_bytes(raw[32:], "little") + GROUP_ORDER).to_bytes(32, "little")
    changed: dict[str, Callable[[], dict[str, Any]]] = {
        "S plus the order of the group": lambda: document | {"signature": encode_base64(higher)},
        "all zero": lambda: document | {"signature": encode_base64(bytes(64))},
        "another key": lambda: document | {"publicKey": ROOT.public_key.multikey},
        "another receiver": lambda: document | {"audience": HUB.public_key.did},
        "another expiry": lambda: document | {"expires": "2027-03-01T12:00:00.000Z"},
        "another type": lambda: document | {"type": "intent_cancel"},
    }
    cases = [
        _case(f"signature: {name}", "bad_signature", json.dumps(make()))
        for name, make in changed.items()
    ]
    for name, weak in WEAK_KEYS.items():
        forged = seal_document(
            type="intent",
            id=an_id(3),
            timestamp=NOW,
            expires=NOW + timedelta(hours=1),
            audience=AGENT.public_key.did,
            payload=INTENT,
            signer=_Weak(weak),
        )
        cases.append(_case(f"signature: by {name}", "bad_signature", forged.wire.decode()))
    return cases


def _bad_times_and_receivers() -> list[dict[str, Any]]:
    other = HUB.public_key.did
    cases = [
        ("expired this moment", a_document(expires=NOW), "expired"),
        ("a minute and a moment ahead", a_document(timestamp=NOW + SKEW + TICK), "future"),
        (
            "expired and for somebody else",
            a_document(audience=other, expires=NOW),
            "wrong_audience",
        ),
        ("an order to everyone", a_document(audience="*"), "wrong_audience"),
        ("a heartbeat to everyone", a_control_frame(audience="*"), "wrong_audience"),
        (
            "another key, and stale",
            a_control_frame(signer=HUB, timestamp=NOW - 2 * SKEW),
            "wrong_key",
        ),
        ("stale, and a gap", a_control_frame(sequence=9, timestamp=NOW - 2 * SKEW), "stale"),
        ("a result from the hub", a_document({}, type="result"), "forbidden_type"),
        ("an unknown frame", a_control_frame(type="no_such_type"), "unknown_type"),
        ("a pong from the agent", a_control_frame({}, type="pong"), "forbidden_type"),
    ]
    return [_case(f"order: {name}", code, item.wire.decode()) for name, item, code in cases]


def _bad_payloads() -> list[dict[str, Any]]:
    changes: dict[str, dict[str, Any]] = {
        "no action": {k: v for k, v in INTENT.items() if k != "action"},
        "an action in capitals": INTENT | {"action": "Files.read"},
        "params is an array": INTENT | {"params": []},
        "timeout 0": INTENT | {"timeoutSeconds": 0},
        "timeout as 60.5": INTENT | {"timeoutSeconds": 60.5},
        "timeout as true": INTENT | {"timeoutSeconds": True},
        "null for an optional field": INTENT | {"onBehalfOf": None},
        "notBefore without milliseconds": INTENT | {"notBefore": "2026-03-01T12:00:00Z"},
        "17 ids in the proof": INTENT | {"proof": [an_id(n) for n in range(17)]},
        "a realm with a space": INTENT | {"realm": "my realm"},
    }
    cases = [
        _case(f"payload: {name}", "bad_payload", a_document(value).wire.decode())
        for name, value in changes.items()
    ]
    whole = a_document().wire.decode().replace('"timeoutSeconds":60', '"timeoutSeconds":60.0')
    cases.append(_case("payload: timeout as 60.0", "bad_payload", whole))
    fraction = a_control_frame(HEARTBEAT | {"uptimeSeconds": 0.5}).wire.decode()
    return [*cases, _case("payload: half a second of uptime", "bad_payload", fraction)]
