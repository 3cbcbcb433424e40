"""Every payload has one form; anything else is a coded refusal that names the field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.canonical import canonical_json
from protocol.errors import BadPayloadError, Error, UnknownTypeError
from protocol.messages import (
    MESSAGES,
    Intent,
    PolicyLimits,
    Result,
    dump_payload,
    parse_payload,
    type_of,
)
from tests.protocol.session_pair import register_ack

ID = "0190a000-0000-7000-8000-000000000001"
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
MULTIKEY = DID.removeprefix("did:key:")
DIGEST = "A" * 43 + "="
TIME = "2026-01-01T00:00:00.000Z"
HEX = "0" * 64

SAMPLES: dict[str, dict[str, Any]] = {
    "hello": {
        "challenge": DIGEST,
        "root": DID,
        "delegation": {},
        "limits": {
            "maxFrameBytes": 1048576,
            "maxFrameBytesBeforeRegistration": 65536,
            "heartbeatSeconds": 30,
            "clockSkewSeconds": 60,
        },
        "versions": ["v1"],
    },
    "register": {
        "challenge": DIGEST,
        "name": "worker-1",
        "version": "1",
        "capabilities": ["files"],
        "actions": [
            {
                "name": "files.read",
                "capability": "files",
                "description": "",
                "paramsSchema": {},
                "idempotent": True,
            }
        ],
        "labels": {"site": "north"},
        "host": {},
        "join": {"tokenId": ID, "proof": DIGEST},
        "holds": {
            "policyVersion": 0,
            "revocationEpoch": None,
            "delegations": [],
            "checkpoint": None,
            "intents": [ID],
        },
    },
    "registration_pending": {"registrationId": ID, "fingerprint": "0123-4567-89AB-CDEF"},
    "registration_rejected": {"reason": ""},
    "register_ack": {
        "agentId": DID,
        "name": "worker-1",
        "delegations": [{}],
        "revocations": None,
        "policy": {},
        "log": None,
        "checkpoint": None,
    },
    "heartbeat": {
        "uptimeSeconds": 1,
        "load": 0.25,
        "memoryBytes": 1,
        "running": [ID],
        "tokenUsage": {},
    },
    "pong": {"time": TIME, "checkpoint": "note", "revocationEpoch": 1},
    "intent_ack": {"intents": [{"intentId": ID, "state": "accepted"}]},
    "intent_progress": {"intentId": ID, "index": 0, "kind": "status", "data": None},
    "result_ack": {"results": [{"intentId": ID, "resultId": ID}]},
    "document_ack": {
        "documents": [{"id": ID, "digest": DIGEST, "state": "refused", "code": "old_epoch"}]
    },
    "tool_approval_request": {
        "requestId": ID,
        "intentId": ID,
        "tool": "files.write",
        "arguments": {},
        "callDigest": DIGEST,
        "rule": "writes",
        "people": 2,
        "expires": TIME,
    },
    "delegation_update": {"added": [{}], "removed": [ID]},
    "channel_message_send": {
        "channelId": ID,
        "messageId": ID,
        "threadId": ID,
        "author": "user:" + ID,
        "content": "hello",
        "attachments": [{"name": "a", "bytes": 1, "sha256": HEX, "mediaType": "text/plain"}],
    },
    "peer_intent": {"intent": {}, "delegations": [{}]},
    "peer_result": {"result": {}},
    "upload_request": {"intentId": ID, "bytes": 1, "sha256": HEX},
    "upload_grant": {"url": "https://h/x", "headers": {"a": "b"}, "expires": TIME},
    "token_request": {"intentId": ID, "audience": "https://service.example"},
    "token_grant": {
        "intentId": ID,
        "audience": "https://service.example",
        "token": "e30.e30.AA",
        "expires": TIME,
    },
    "checkpoint_request": {"from": 1, "to": 2},
    "checkpoint_proof": {"from": 1, "to": 2, "proof": [DIGEST]},
    "drain": {"retryAfterSeconds": 3},
    "error": {"code": "bad_payload", "message": "", "inReplyTo": ID},
    "intent": {
        "action": "files.read",
        "params": {"path": None},
        "realm": "default",
        "timeoutSeconds": 60,
        "onBehalfOf": "user:" + ID,
        "notBefore": TIME,
        "batchId": ID,
        "proof": [ID],
        "traceparent": "00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        "sealed": {},
    },
    "result": {
        "intentId": ID,
        "intentDigest": DIGEST,
        "status": "failed",
        "outputFile": {"bytes": 1, "sha256": HEX},
        "error": {"code": "outside_workspace", "message": ""},
        "startedAt": TIME,
        "finishedAt": TIME,
        "usage": {},
        "decision": {"policyVersion": 1, "rule": "writes"},
        "sandbox": {},
        "approvals": [ID],
        "progressCount": 0,
    },
    "intent_cancel": {"intentId": ID, "reason": "", "proof": []},
    "policy_update": {
        "policyId": ID,
        "version": 1,
        "realms": ["default"],
        "default": "deny",
        "rules": [
            {
                "id": "writes",
                "effect": "allow",
                "actions": ["files.*", "*", "echo"],
                "when": "true",
                "approval": {
                    "people": 1,
                    "from": ["*", "admin", DID],
                    "withinSeconds": 60,
                    "operatorSigned": False,
                },
                "sandbox": "strict",
                "domains": ["*.example.com", "127.0.0.1:8080", "*"],
            }
        ],
        "limits": {"ordersPerHour": 0, "concurrent": 1},
        "proof": [ID],
    },
    "delegation": {
        "subject": DID,
        "capabilities": [{"action": "*", "realms": [], "agents": [DID]}],
        "conditions": ["true"],
        "notBefore": TIME,
        "maxDepth": 0,
        "parent": None,
        "budget": {"tokensPerDay": 5},
    },
    "tool_approval_response": {
        "requestId": ID,
        "callDigest": DIGEST,
        "approved": False,
        "reason": "no",
        "approver": DID,
    },
    "revocations": {"epoch": 1, "keys": [DID], "delegations": [ID]},
    "quarantine": {"epoch": 1, "active": True, "reason": ""},
    "llm_config": {"version": 1, "config": {}},
    "skills_config": {"version": 1, "config": {}},
    "key_rotation": {"newKey": MULTIKEY, "proof": "A" * 85 + "A=="},
}
"""One payload per type with as many fields as can stand together."""

DOCUMENTS = [name for name, kind in MESSAGES.items() if kind.kind == "document"]
CONTROLS = [name for name, kind in MESSAGES.items() if kind.kind == "control"]


def test_there_is_a_sample_of_every_type() -> None:
    assert SAMPLES.keys() == MESSAGES.keys()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_payload_comes_back_as_it_went_out(name: str) -> None:
    model = parse_payload(name, SAMPLES[name])
    assert type_of(model) == name
    assert canonical_json(dump_payload(model)) == canonical_json(SAMPLES[name])


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_are_frozen(name: str) -> None:
    model = parse_payload(name, SAMPLES[name])
    field = next(iter(type(model).model_fields))
    with pytest.raises(ValueError, match="frozen"):
        setattr(model, field, None)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_with_an_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(BadPayloadError, match="surprise"):
        parse_payload(name, {**SAMPLES[name], "surprise": 1})


@pytest.mark.parametrize("name", CONTROLS)
def test_a_control_frame_with_an_unknown_field_is_read_without_it(name: str) -> None:
    model = parse_payload(name, {**SAMPLES[name], "surprise": 1})
    assert model == parse_payload(name, SAMPLES[name])


@pytest.mark.parametrize("name", MESSAGES)
def test_python_names_are_not_wire_names(name: str) -> None:
    model = parse_payload(name, SAMPLES[name])
    renamed = {
        field: SAMPLES[name][info.alias]
        for field, info in type(model).model_fields.items()
        if info.alias in SAMPLES[name] and info.alias != field
    }
    if renamed:
        with pytest.raises(BadPayloadError):
            parse_payload(name, renamed)


def paths(value: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a JSON value."""
    found = [prefix] if prefix else []
    if isinstance(value, dict):
        for key, child in value.items():
            found += paths(child, (*prefix, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            found += paths(child, (*prefix, index))
    return found


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    copy = json.loads(json.dumps(value))
    place = copy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = new
    return copy


def refusal_of(name: str, payload: Any) -> Error | None:
    try:
        parse_payload(name, payload)
    except Error as exc:
        return exc
    return None


ODD: list[Any] = [
    None, True, -1, 1.5, 2**53, 1e300, "", "\n", "\ud800", "x" * 100_000, [], [[]], {}, {"": {}},
    [None], float("nan"), b"x", {1: 2}, (), object,
]  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_odd_values_anywhere_are_a_coded_refusal_or_fit(name: str) -> None:
    for path in paths(SAMPLES[name]):
        for odd in ODD:
            payload = replaced(SAMPLES[name], path, None)
            place = payload
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = odd
            refusal = refusal_of(name, payload)
            assert refusal is None or isinstance(refusal, BadPayloadError)
            assert refusal is None or len(refusal.message) <= 500
            assert refusal is None or "x" * 200 not in refusal.message


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from([*MESSAGES, "nonsense", ""]),
    payload=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    ),
)
def test_no_payload_brings_anything_but_a_coded_error(name: str, payload: Any) -> None:
    refusal = refusal_of(name, payload)
    assert refusal is None or refusal.code in ("unknown_type", "bad_payload")


def test_an_unknown_type_has_its_own_code() -> None:
    with pytest.raises(UnknownTypeError):
        parse_payload("nonsense", {})


@pytest.mark.parametrize("value", [True, 60.0, "60", 0, 604_801, None])
def test_a_count_is_a_json_integer_within_its_bound(value: Any) -> None:
    with pytest.raises(BadPayloadError, match="timeoutSeconds"):
        parse_payload("intent", {**SAMPLES["intent"], "timeoutSeconds": value})


def test_null_is_not_absent_in_a_document_but_is_in_a_control_frame() -> None:
    with pytest.raises(BadPayloadError, match="notBefore"):
        parse_payload("intent", {**SAMPLES["intent"], "notBefore": None})
    model = parse_payload("error", {**SAMPLES["error"], "inReplyTo": None})
    assert "inReplyTo" not in dump_payload(model)


def test_a_field_that_says_or_null_is_always_there() -> None:
    dumped = dump_payload(register_ack())
    assert dumped["policy"] is None
    without = {key: value for key, value in dumped.items() if key != "policy"}
    with pytest.raises(BadPayloadError, match="policy"):
        parse_payload("register_ack", without)


def test_absent_fields_are_left_out_and_nulls_inside_objects_kept() -> None:
    intent = Intent(action="echo", params={"a": None}, realm="default", timeout_seconds=1)
    assert dump_payload(intent) == {
        "action": "echo",
        "params": {"a": None},
        "realm": "default",
        "timeoutSeconds": 1,
    }
    assert dump_payload(PolicyLimits(concurrent=2)) == {"concurrent": 2}


def test_a_result_has_one_output_at_most_and_says_why_it_failed() -> None:
    both = {**SAMPLES["result"], "output": 1}
    with pytest.raises(BadPayloadError, match="either"):
        parse_payload("result", both)
    silent = {key: value for key, value in SAMPLES["result"].items() if key != "error"}
    with pytest.raises(BadPayloadError, match="need an error"):
        parse_payload("result", silent)
    model = parse_payload("result", {**silent, "status": "cancelled"})
    assert isinstance(model, Result)
    assert model.finished_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_rules_of_one_policy_have_different_ids() -> None:
    rule = {"id": "a", "effect": "deny", "actions": ["*"]}
    with pytest.raises(BadPayloadError, match="differ"):
        parse_payload("policy_update", {**SAMPLES["policy_update"], "rules": [rule, rule]})


@pytest.mark.parametrize(
    "action", ["writ.*.x", "*.*", "**", "Files", "a..b", "a.", ".a", "a-b", ""]
)
def test_action_patterns_have_one_spelling(action: str) -> None:
    capability = {"action": action}
    with pytest.raises(BadPayloadError, match="action"):
        parse_payload("delegation", {**SAMPLES["delegation"], "capabilities": [capability]})


def test_a_message_has_the_id_of_the_side_that_sends_it() -> None:
    base = {k: v for k, v in SAMPLES["channel_message_send"].items() if k != "messageId"}
    with pytest.raises(BadPayloadError):
        parse_payload("channel_message_send", base)
    with pytest.raises(BadPayloadError):
        parse_payload("channel_message_send", {**base, "messageId": ID, "clientId": ID})
    parse_payload("channel_message_send", {**base, "clientId": ID})
