"""Transcripts for `handshakes.json`: what each end of a connection must make of them.

A transcript is judged by one side. Its own frames are what it has said so far; the other side's
are what it receives, and only the last of those may fail.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from protocol.base64_text import encode_base64
from protocol.envelope import Envelope, seal_control, seal_document
from protocol.timestamps import format_timestamp
from tests.protocol.material import (
    AGENT,
    HEARTBEAT,
    HUB,
    INTENT,
    NOW,
    OTHER,
    ROOT,
    SESSION,
    an_id,
)

HOUR, SKEW, TICK = timedelta(hours=1), timedelta(seconds=60), timedelta(milliseconds=1)
CHALLENGE = encode_base64(bytes(range(32)))
LIMITS = {
    "maxFrameBytes": 1_048_576,
    "maxFrameBytesBeforeRegistration": 65_536,
    "heartbeatSeconds": 30,
    "clockSkewSeconds": 60,
}
REGISTER: dict[str, Any] = {
    "challenge": CHALLENGE,
    "name": "worker-1",
    "version": "0.1.0",
    "capabilities": ["files"],
    "actions": [],
    "labels": {"site": "north"},
    "host": {},
    "holds": {
        "policyVersion": None,
        "revocationEpoch": 0,
        "delegations": [],
        "checkpoint": None,
        "intents": [],
    },
}
ACK: dict[str, Any] = {
    "agentId": AGENT.public_key.did,
    "name": "worker-1",
    "delegations": [],
    "revocations": None,
    "policy": None,
    "log": None,
    "checkpoint": None,
}
PENDING = {"registrationId": an_id(77), "fingerprint": "0123-4567-89AB-CDEF"}
PONG = {"time": format_timestamp(NOW), "checkpoint": None, "revocationEpoch": None}


def delegation(**changes: Any) -> Envelope:
    """Return root -> hub with `writ.route`, fields of envelope or payload changed."""
    sealed: dict[str, Any] = {
        "timestamp": NOW - HOUR,
        "expires": NOW + HOUR,
        "audience": "*",
        "signer": ROOT,
        "type": "delegation",
    }
    payload: dict[str, Any] = {
        "subject": HUB.public_key.did,
        "capabilities": [{"action": "*"}, {"action": "writ.route"}],
        "conditions": [],
        "notBefore": format_timestamp(NOW - HOUR),
        "maxDepth": 3,
        "parent": None,
    }
    for name, value in changes.items():
        (sealed if name in sealed else payload)[name] = value
    return seal_document(id=an_id(50), payload=payload, **sealed)


def frame(side: str, type: str, payload: dict[str, Any], sequence: int, **changes: Any) -> Any:
    """Return one control frame of a transcript; ids tell the sides and numbers apart."""
    by_hub = side == "hub"
    fields: dict[str, Any] = {
        "type": type,
        "id": an_id((0x100 if by_hub else 0x200) + sequence),
        "timestamp": NOW,
        "audience": (AGENT if by_hub else HUB).public_key.did,
        "session": SESSION,
        "sequence": sequence,
        "payload": payload,
        "signer": HUB if by_hub else AGENT,
    }
    return {"from": side, "text": seal_control(**(fields | changes)).wire.decode()}


def document(side: str, type: str, payload: dict[str, Any], **changes: Any) -> Any:
    """Return one document of a transcript."""
    by_hub = side == "hub"
    fields: dict[str, Any] = {
        "type": type,
        "id": an_id(90),
        "timestamp": NOW,
        "expires": NOW + HOUR,
        "audience": (AGENT if by_hub else HUB).public_key.did,
        "payload": payload,
        "signer": HUB if by_hub else AGENT,
    }
    return {"from": side, "text": seal_document(**(fields | changes)).wire.decode()}


def hello(delegated: Envelope | dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return `hello` with another delegation, payload fields or envelope fields."""
    given = delegation() if delegated is None else delegated
    payload = {
        "challenge": CHALLENGE,
        "root": ROOT.public_key.did,
        "delegation": given.as_value() if isinstance(given, Envelope) else given,
        "limits": LIMITS,
        "versions": ["v1"],
    }
    sealed: dict[str, Any] = {"audience": "*"}
    for name, value in changes.items():
        (payload if name in {*payload, "unknown"} else sealed)[name] = value
    return frame("hub", sealed.pop("type", "hello"), payload, sealed.pop("sequence", 1), **sealed)


def register(payload: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return `register` with payload fields and envelope fields changed."""
    kind, sequence = changes.pop("type", "register"), changes.pop("sequence", 1)
    return frame("agent", kind, REGISTER | (payload or {}), sequence, **changes)


def ack(sequence: int = 2, **changes: Any) -> Any:
    """Return `register_ack`."""
    return frame("hub", "register_ack", ACK | changes, sequence)


def pending() -> Any:
    """Return `registration_pending`."""
    return frame("hub", "registration_pending", PENDING, 2)


def beat(sequence: int = 2, payload: dict[str, Any] | None = None, **changes: Any) -> Any:
    """Return a heartbeat."""
    return frame("agent", "heartbeat", HEARTBEAT | (payload or {}), sequence, **changes)


def pong(sequence: int = 3, **changes: Any) -> Any:
    """Return a pong."""
    return frame("hub", "pong", PONG, sequence, **changes)


def changed(item: Any, old: str, new: str) -> Any:
    """Return the frame with its text changed after it was signed."""
    assert old in item["text"]
    return item | {"text": item["text"].replace(old, new, 1)}


def text(side: str, value: str, **more: Any) -> Any:
    """Return any text as a frame."""
    return {"from": side, "text": value, **more}


def good(name: str, judge: str, state: str, *frames: Any, **settings: Any) -> dict[str, Any]:
    """Every frame passes, and the judge is in `state`."""
    return _case(name, judge, state, frames, settings, None, None, None)


def dropped(name: str, judge: str, close: int, *frames: Any, **settings: Any) -> dict[str, Any]:
    """The judge closes and says nothing."""
    return _case(name, judge, "closed", frames, settings, None, None, close)


def stranger(name: str, judge: str, cause: str, *frames: Any, **settings: Any) -> dict[str, Any]:
    """The last frame ends it before registration: one answer for all, 4401."""
    return _case(name, judge, "closed", frames, settings, cause, "auth_failed", 4401)


def ended(name: str, judge: str, code: str, *frames: Any, **settings: Any) -> dict[str, Any]:
    """The last frame ends it after registration: the precise code, 4400."""
    return _case(name, judge, "closed", frames, settings, code, code, 4400)


def refused(name: str, judge: str, state: str, code: str, *frames: Any) -> dict[str, Any]:
    """The last frame is answered by an `error`, and the connection lives."""
    return _case(name, judge, state, frames, {}, code, code, None)


def _case(
    name: str,
    judge: str,
    state: str,
    frames: tuple[Any, ...],
    settings: dict[str, Any],
    cause: str | None,
    told: str | None,
    close: int | None,
) -> dict[str, Any]:
    believes: dict[str, Any] = {
        "root": ROOT.public_key.did,
        "trustFirstHub": False,
        "seenSessions": [],
        "revokedKeys": [],
        "revokedDelegations": [],
    }
    verdict = {"state": state, "code": cause, "told": told, "close": close}
    return {"name": name, "judge": judge, "agent": believes | settings, "frames": list(frames)} | {
        "expect": verdict
    }


def _agent_good() -> list[dict[str, Any]]:
    mine = delegation(capabilities=[{"action": "writ.route", "agents": [AGENT.public_key.did]}])
    up = (hello(), register())
    return [
        good("hello", "agent", "registering", hello()),
        good("hello with an unknown field", "agent", "registering", hello(unknown=1)),
        good("hello as old as it may be", "agent", "registering", hello(timestamp=NOW - SKEW)),
        good("hello as new as it may be", "agent", "registering", hello(timestamp=NOW + SKEW)),
        good("hello of a hub for this agent", "agent", "registering", hello(mine)),
        good(
            "hello whose delegation is addressed to this agent",
            "agent",
            "registering",
            hello(delegation(audience=AGENT.public_key.did)),
        ),
        good(
            "a delegation that starts now",
            "agent",
            "registering",
            hello(delegation(notBefore=format_timestamp(NOW), expires=NOW + TICK)),
        ),
        good("several versions", "agent", "registering", hello(versions=["v0", "v1"])),
        good("trust on first use", "agent", "registering", hello(), root=None, trustFirstHub=True),
        good("register_ack", "agent", "online", *up, ack()),
        good("a large register_ack", "agent", "online", *up, ack() | {"padToBytes": 1_048_576}),
        good("pending", "agent", "pending", *up, pending()),
        good("pending, then a pong", "agent", "pending", *up, pending(), beat(), pong()),
        good("pending, then let in", "agent", "online", *up, pending(), ack(3)),
        good("a pong online", "agent", "online", *up, ack(), beat(), pong()),
        good("an order online", "agent", "online", *up, ack(), document("hub", "intent", INTENT)),
        good(
            "drained while registering",
            "agent",
            "registering",
            *up,
            frame("hub", "drain", {"retryAfterSeconds": 1}, 2),
        ),
    ]


def _agent_hello() -> list[dict[str, Any]]:
    """Every `hello` that must not be believed."""
    flipped = delegation().as_value() | {
        "signature": delegation(maxDepth=2).as_value()["signature"]
    }
    did = OTHER.public_key.did
    frames: list[tuple[str, str, Any]] = [
        ("changed after signing", "bad_signature", changed(hello(), "v1", "v2")),
        ("to one agent", "wrong_audience", hello(audience=did)),
        ("too old", "stale", hello(timestamp=NOW - SKEW - TICK)),
        ("too new", "future", hello(timestamp=NOW + SKEW + TICK)),
        ("sequence 2", "bad_sequence", hello(sequence=2)),
        ("no limits", "bad_payload", hello(limits={})),
        ("a short challenge", "bad_payload", hello(challenge="AAAA")),
        ("another version", "auth_failed", hello(versions=["v2"])),
        ("another root", "auth_failed", hello(root=did)),
        ("no delegation", "auth_failed", hello({})),
        ("a delegation by another than the root", "auth_failed", hello(delegation(signer=OTHER))),
        ("a delegation with another's signature", "auth_failed", hello(flipped)),
        ("a delegation to another key", "auth_failed", hello(delegation(subject=did))),
        (
            "a delegation for other work",
            "auth_failed",
            hello(delegation(capabilities=[{"action": "*"}])),
        ),
        (
            "a pattern of writ actions",
            "auth_failed",
            hello(delegation(capabilities=[{"action": "writ.*"}])),
        ),
        (
            "a delegation for no agent",
            "auth_failed",
            hello(delegation(capabilities=[{"action": "writ.route", "agents": []}])),
        ),
        ("a delegation to another agent", "auth_failed", hello(delegation(audience=did))),
        ("a delegation with a condition", "auth_failed", hello(delegation(conditions=["true"]))),
        ("a delegation with a parent", "auth_failed", hello(delegation(parent=CHALLENGE))),
        ("a delegation that ended", "auth_failed", hello(delegation(expires=NOW))),
        (
            "a delegation not yet valid",
            "auth_failed",
            hello(delegation(notBefore=format_timestamp(NOW + TICK))),
        ),
        (
            "a delegation signed in the future",
            "auth_failed",
            hello(delegation(timestamp=NOW + SKEW + TICK)),
        ),
        (
            "another document for a delegation",
            "auth_failed",
            hello(delegation(type="no_such_type")),
        ),
        (
            "the root for a hub",
            "auth_failed",
            hello(delegation(subject=ROOT.public_key.did), signer=ROOT),
        ),
        ("another type first", "auth_failed", frame("hub", "pong", PONG, 1)),
    ]
    cases = [stranger(f"hello: {name}", "agent", cause, item) for name, cause, item in frames]
    own = delegation()
    # Without a session to answer in, the agent closes and says nothing.
    speechless: list[tuple[str, str, Any]] = [
        ("no JSON", "bad_json", text("hub", "{")),
        ("a duplicate key", "bad_json", changed(hello(), "{", '{"type":"hello",')),
        ("no envelope", "bad_envelope", text("hub", '{"type":"hello"}')),
    ]
    return [
        *cases,
        *(
            _case(f"hello: {name}", "agent", "closed", (item,), {}, cause, None, 4401)
            for name, cause, item in speechless
        ),
        stranger("a session seen before", "agent", "auth_failed", hello(), seenSessions=[SESSION]),
        stranger("no root pinned", "agent", "auth_failed", hello(), root=None),
        stranger(
            "a revoked hub", "agent", "auth_failed", hello(), revokedKeys=[HUB.public_key.did]
        ),
        stranger(
            "its delegation revoked", "agent", "auth_failed", hello(), revokedDelegations=[own.id]
        ),
        dropped("hello over 65,536 bytes", "agent", 1009, hello() | {"padToBytes": 65_537}),
        dropped("a binary hello", "agent", 1003, hello() | {"binary": True}),
    ]


def _agent_later() -> list[dict[str, Any]]:
    up = (hello(), register())
    did = OTHER.public_key.did
    online = (*up, ack())
    return [
        stranger("register_ack before register", "agent", "forbidden_type", hello(), ack()),
        stranger("register_ack for another agent", "agent", "bad_payload", *up, ack(agentId=did)),
        stranger(
            "register_ack by another key",
            "agent",
            "wrong_key",
            *up,
            frame("hub", "register_ack", ACK, 2, signer=OTHER),
        ),
        stranger(
            "an order before register_ack",
            "agent",
            "forbidden_type",
            *up,
            document("hub", "intent", INTENT),
        ),
        ended("online: another key", "agent", "wrong_key", *online, pong(signer=OTHER)),
        ended("online: a number used", "agent", "replay", *online, pong(2)),
        ended("online: a gap", "agent", "bad_sequence", *online, pong(4)),
        ended("online: another session", "agent", "wrong_session", *online, pong(session=an_id(5))),
        ended("online: to everyone", "agent", "wrong_audience", *online, pong(audience="*")),
        ended(
            "online: a second hello",
            "agent",
            "forbidden_type",
            *online,
            hello(sequence=3, audience=AGENT.public_key.did),
        ),
        refused(
            "online: a second register_ack", "agent", "online", "forbidden_type", *online, ack(3)
        ),
        refused(
            "online: an unknown type",
            "agent",
            "online",
            "unknown_type",
            *online,
            frame("hub", "no_such_type", {}, 3),
        ),
        refused(
            "online: the agent's type",
            "agent",
            "online",
            "forbidden_type",
            *online,
            frame("hub", "heartbeat", HEARTBEAT, 3),
        ),
        refused(
            "pending: an order",
            "agent",
            "pending",
            "forbidden_type",
            *up,
            pending(),
            document("hub", "intent", INTENT),
        ),
        refused(
            "pending: a forged order",
            "agent",
            "pending",
            "bad_signature",
            *up,
            pending(),
            changed(document("hub", "intent", INTENT), "files.read", "files.dead"),
        ),
        dropped(
            "online: over 1,048,576 bytes",
            "agent",
            1009,
            *online,
            pong() | {"padToBytes": 1_048_577},
        ),
        dropped(
            "registering: a large drain",
            "agent",
            1009,
            *up,
            frame("hub", "drain", {"retryAfterSeconds": 1}, 2) | {"padToBytes": 65_537},
        ),
    ]


def _hub_good() -> list[dict[str, Any]]:
    join = {"tokenId": an_id(8), "proof": CHALLENGE}
    up = (hello(), register())
    result = {
        "intentId": an_id(90),
        "intentDigest": CHALLENGE,
        "status": "succeeded",
        "finishedAt": format_timestamp(NOW),
        "usage": {},
        "decision": {"policyVersion": 1, "rule": "all"},
        "sandbox": {},
        "approvals": [],
        "progressCount": 0,
    }
    failure = {"code": "bad_payload", "message": "no"}
    return [
        good("register", "hub", "registering", *up),
        good("register with a token", "hub", "registering", hello(), register({"join": join})),
        good(
            "register with null for a token",
            "hub",
            "registering",
            hello(),
            register({"join": None}),
        ),
        good(
            "register with an unknown field", "hub", "registering", hello(), register({"later": 1})
        ),
        good(
            "register as old as it may be",
            "hub",
            "registering",
            hello(),
            register(timestamp=NOW - SKEW),
        ),
        good(
            "register as new as it may be",
            "hub",
            "registering",
            hello(),
            register(timestamp=NOW + SKEW),
        ),
        good("let in", "hub", "online", *up, ack(), beat()),
        good("a heartbeat while pending", "hub", "pending", *up, pending(), beat()),
        good(
            "two heartbeats and a pong", "hub", "pending", *up, pending(), beat(), pong(), beat(3)
        ),
        good(
            "an error online is taken",
            "hub",
            "online",
            *up,
            ack(),
            frame("agent", "error", failure, 2),
        ),
        good("a result online", "hub", "online", *up, ack(), document("agent", "result", result)),
    ]


def _hub_bad() -> list[dict[str, Any]]:
    did = OTHER.public_key.did
    other = encode_base64(bytes(32))
    frames: list[tuple[str, str, Any]] = [
        ("no JSON", "bad_json", text("agent", "")),
        ("an array", "bad_envelope", text("agent", "[]")),
        ("changed after signing", "bad_signature", changed(register(), "worker-1", "worker-2")),
        ("to another hub", "wrong_audience", register(audience=did)),
        ("to everyone", "wrong_audience", register(audience="*")),
        ("too old", "stale", register(timestamp=NOW - SKEW - TICK)),
        ("too new", "future", register(timestamp=NOW + SKEW + TICK)),
        ("another session", "wrong_session", register(session=an_id(5))),
        ("sequence 2", "bad_sequence", register(sequence=2)),
        ("another challenge", "auth_failed", register({"challenge": other})),
        ("a name in capitals", "bad_payload", register({"name": "Worker"})),
        ("a fraction where a count belongs", "bad_payload", changed_count()),
        ("a heartbeat instead", "auth_failed", beat(1)),
        ("an unknown type instead", "auth_failed", register(type="no_such_type")),
        ("a document instead", "forbidden_type", document("agent", "result", {})),
    ]
    up = (hello(), register())
    online, waits = (*up, ack()), (*up, pending())
    no = {"code": "auth_failed", "message": "authentication failed"}
    return [
        *(
            stranger(f"register: {name}", "hub", cause, hello(), item)
            for name, cause, item in frames
        ),
        dropped(
            "the agent refused the hub",
            "hub",
            4401,
            hello(),
            frame("agent", "error", no, 1, audience="*"),
        )
        | {"expect": {"state": "closed", "code": "auth_failed", "told": None, "close": 4401}},
        dropped(
            "register over 65,536 bytes", "hub", 1009, hello(), register() | {"padToBytes": 65_537}
        ),
        stranger(
            "a second register before the answer",
            "hub",
            "forbidden_type",
            *up,
            register(sequence=2),
        ),
        ended("a second register online", "hub", "forbidden_type", *online, register(sequence=2)),
        ended("online: another key", "hub", "wrong_key", *online, beat(signer=OTHER)),
        ended(
            "online: changed after signing",
            "hub",
            "bad_signature",
            *online,
            changed(beat(), "1024", "1025"),
        ),
        ended("online: a number used", "hub", "replay", *online, beat(1)),
        ended("online: a gap", "hub", "bad_sequence", *online, beat(3)),
        ended("pending: too old", "hub", "stale", *waits, beat(timestamp=NOW - SKEW - TICK)),
        ended("pending: no JSON", "hub", "bad_json", *waits, text("agent", "{")),
        refused(
            "pending: work",
            "hub",
            "pending",
            "forbidden_type",
            *waits,
            frame("agent", "intent_ack", {"intents": []}, 2),
        ),
        refused(
            "online: a bad field",
            "hub",
            "online",
            "bad_payload",
            *online,
            beat(payload={"load": "high"}),
        ),
        refused(
            "online: the hub's type",
            "hub",
            "online",
            "forbidden_type",
            *online,
            frame("agent", "pong", PONG, 2),
        ),
        dropped("online: a binary frame", "hub", 1003, *online, beat() | {"binary": True}),
    ]


def changed_count() -> Any:
    """Return a register whose `holds.revocationEpoch` is 0.5."""
    return register({"holds": REGISTER["holds"] | {"revocationEpoch": 0.5}})


def handshake_vectors(now: datetime = NOW) -> dict[str, Any]:
    """Return the content of `handshakes.json`."""
    families = (_agent_good, _agent_hello, _agent_later, _hub_good, _hub_bad)
    return {
        "now": format_timestamp(now),
        "agent": AGENT.public_key.did,
        "hub": HUB.public_key.did,
        "clockSkewSeconds": 60,
        "cases": [case for family in families for case in family()],
    }
