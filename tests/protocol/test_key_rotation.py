"""A rotation needs both keys: the old one signs it, the new one agrees (SPEC section 5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from protocol.envelope import seal_document
from protocol.errors import BadPayloadError, BadSignatureError
from protocol.key_rotation import rotation_message, rotation_payload, verify_key_rotation
from protocol.keys import PublicKey
from protocol.messages import KeyRotation, dump_payload
from protocol.verification import Side, Verified, verify_document
from tests.protocol.session_pair import AGENT, HUB, START, STRANGER, make_ids

NEW = STRANGER


def verified(payload: KeyRotation) -> Verified[Any]:
    document = seal_document(
        type="key_rotation",
        id=make_ids()(),
        timestamp=START,
        expires=START + timedelta(days=1),
        audience=HUB.public_key.did,
        payload=dump_payload(payload),
        signer=AGENT,
    )
    return verify_document(
        document, audience=HUB.public_key.did, now=START, replay=None, sender=Side.AGENT
    )


def test_both_keys_agree() -> None:
    payload = rotation_payload(AGENT.public_key, NEW)
    assert verify_key_rotation(verified(payload)) == NEW.public_key


def test_the_new_key_signs_a_context_and_both_keys() -> None:
    old, new = AGENT.public_key, NEW.public_key
    assert rotation_message(old, new) == b"writ.v1/rotate\x00" + old.raw + new.raw


def test_a_proof_for_another_old_key_or_by_another_new_key_is_refused() -> None:
    for payload in (
        rotation_payload(HUB.public_key, NEW),
        rotation_payload(AGENT.public_key, HUB).model_copy(
            update={"new_key": NEW.public_key.multikey}
        ),
    ):
        with pytest.raises(BadSignatureError):
            verify_key_rotation(verified(payload))


def test_the_old_key_and_a_weak_key_are_no_new_key() -> None:
    with pytest.raises(BadPayloadError, match="replace"):
        verify_key_rotation(verified(rotation_payload(AGENT.public_key, AGENT)))
    weak = PublicKey(b"\x01" + bytes(31))
    payload = rotation_payload(AGENT.public_key, NEW).model_copy(update={"new_key": weak.multikey})
    with pytest.raises(BadPayloadError, match="newKey"):
        verify_key_rotation(verified(payload))
