"""Sealed params and outputs: who can open them, and what they are bound to."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from nacl import bindings

from protocol.base64_text import decode_base64, encode_base64
from protocol.envelope import Envelope, seal_document
from protocol.errors import BadParamsError, BadSignatureError, KeyFileError
from protocol.ids import format_uuid7
from protocol.key_files import encode_private_key_pem
from protocol.keys import SigningKey
from protocol.sealing import (
    EncryptionKey,
    certify_encryption_key,
    encode_encryption_key,
    open_output,
    open_params,
    parse_encryption_key,
    reply_key_of,
    seal_output,
    seal_params,
    verify_encryption_key,
)
from protocol.verification import Verified, verify_document_offline

OPERATOR = SigningKey.from_seed(b"\x01" * 32)
AGENT = SigningKey.from_seed(b"\x02" * 32)
BOX = EncryptionKey(b"\x03" * 32)
REPLY = EncryptionKey(b"\x04" * 32)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = format_uuid7(NOW, b"\x05" * 10)
PARAMS = {"path": "secret", "n": [1, 2.5, None]}


def sealed(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "intent_id": ID,
        "action": "files.read",
        "audience": AGENT.public_key.did,
        "signer": OPERATOR.public_key.did,
        "agent_key": BOX.public,
        "reply_key": REPLY.public,
        "ephemeral_seed": b"\x06" * 32,
        **changes,
    }
    return seal_params(fields.pop("params", PARAMS), **fields)


def order(box: dict[str, Any], *, signer: SigningKey = OPERATOR, **changes: Any) -> Envelope:
    payload = {
        "action": changes.pop("action", "files.read"),
        "params": changes.pop("params", {}),
        "realm": "default",
        "timeoutSeconds": 60,
        "sealed": box,
    }
    return seal_document(
        type="intent",
        id=changes.pop("id", ID),
        timestamp=NOW,
        expires=NOW + timedelta(hours=1),
        audience=changes.pop("audience", AGENT.public_key.did),
        payload=payload,
        signer=signer,
    )


def verified(envelope: Envelope) -> Verified[Any]:
    return verify_document_offline(envelope, at=None)


def test_what_was_sealed_for_an_order_opens_in_it() -> None:
    opened = open_params(verified(order(sealed())), BOX)
    assert opened.payload.params == PARAMS
    assert opened.payload.sealed is None
    assert opened.envelope.payload["params"] == {}


def test_the_box_is_libsodiums_sealed_box() -> None:
    """Another implementation of `crypto_box_seal` reads ours, and ours reads another's."""
    box = decode_base64(sealed()["box"])
    assert b"secret" in bindings.crypto_box_seal_open(box, BOX.public, BOX.private)
    assert b"secret" not in box
    reply = {"sealed": {"key": encode_base64(REPLY.public)}}
    text = b'{"intentId":"%s","output":7}' % ID.encode()
    reply["sealed"]["box"] = encode_base64(bindings.crypto_box_seal(text, REPLY.public))
    assert open_output(reply, intent_id=ID, key=REPLY) == {"output": 7}


@pytest.mark.parametrize(
    "changes",
    [
        {"intent_id": format_uuid7(NOW, b"\x07" * 10)},
        {"action": "files.write"},
        {"audience": OPERATOR.public_key.did},
        {"signer": AGENT.public_key.did},
    ],
    ids=["id", "action", "audience", "signer"],
)
def test_a_box_made_for_another_order_does_not_open(changes: dict[str, Any]) -> None:
    with pytest.raises(BadParamsError, match="another order"):
        open_params(verified(order(sealed(**changes))), BOX)


def test_a_hub_cannot_have_the_answer_sealed_to_itself() -> None:
    box = sealed() | {"reply": encode_base64(EncryptionKey(b"\x08" * 32).public)}
    with pytest.raises(BadParamsError, match="another order"):
        open_params(verified(order(box)), BOX)


@pytest.mark.parametrize(
    "spoil",
    [
        {"key": encode_base64(REPLY.public)},
        {"box": encode_base64(b"x" * 100)},
        {"box": "?"},
        {"box": 7},
        {"reply": "AAAA"},
        {"more": 1},
    ],
)
def test_a_spoilt_box_does_not_open(spoil: dict[str, Any]) -> None:
    with pytest.raises(BadParamsError):
        open_params(verified(order(sealed() | spoil)), BOX)


def test_params_stand_sealed_or_open_never_both() -> None:
    with pytest.raises(BadParamsError):
        open_params(verified(order(sealed(), params={"path": "x"})), BOX)


def test_another_agents_key_opens_nothing() -> None:
    box = sealed() | {"key": encode_base64(REPLY.public)}
    with pytest.raises(BadParamsError, match="does not open"):
        open_params(verified(order(box)), REPLY)


def test_an_output_opens_for_its_reader_and_its_order_only() -> None:
    seed = os.urandom(32)
    output = seal_output({"output": "x"}, intent_id=ID, reply_key=REPLY.public, ephemeral_seed=seed)
    assert open_output(output, intent_id=ID, key=REPLY) == {"output": "x"}
    with pytest.raises(BadParamsError):
        open_output(output, intent_id=ID, key=BOX)
    with pytest.raises(BadParamsError, match="another order"):
        open_output(output, intent_id=format_uuid7(NOW, b"\x09" * 10), key=REPLY)
    with pytest.raises(BadParamsError, match="not a sealed"):
        open_output({"n": 1}, intent_id=ID, key=REPLY)


def test_the_reply_key_is_read_off_the_signed_order() -> None:
    assert reply_key_of(order(sealed())) == REPLY.public


def test_an_encryption_key_counts_with_its_owners_signature_only() -> None:
    announced: dict[str, Any] = dict(certify_encryption_key(BOX.public, AGENT))
    assert verify_encryption_key(announced, AGENT.public_key) == BOX.public
    with pytest.raises(BadSignatureError):
        verify_encryption_key(announced, OPERATOR.public_key)
    with pytest.raises(BadSignatureError):
        verify_encryption_key(announced | {"key": encode_base64(REPLY.public)}, AGENT.public_key)
    for nothing in (None, {}, {"key": 1, "proof": 2}, "text"):
        with pytest.raises(BadParamsError):
            verify_encryption_key(nothing, AGENT.public_key)


def test_a_key_that_encrypts_nothing_is_refused() -> None:
    with pytest.raises(BadParamsError):
        sealed(agent_key=bytes(32))


def test_encryption_keys_are_kept_as_pem_and_never_taken_for_signing_keys() -> None:
    assert parse_encryption_key(encode_encryption_key(BOX)) == BOX
    assert "03" * 8 not in repr(BOX)
    assert b"\x03" * 32 not in repr(BOX).encode()
    for other in (encode_private_key_pem(AGENT), b"", b"\xff", b"-----BEGIN PRIVATE KEY-----"):
        with pytest.raises(KeyFileError):
            parse_encryption_key(other)
