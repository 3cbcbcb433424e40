"""The published vectors say what the code does, and the code does what they say."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from protocol.audit_tree import leaf_hash, verify_consistency, verify_inclusion
from protocol.canonical import canonical_json
from protocol.checkpoint import verify_checkpoint
from protocol.envelope import parse_envelope
from protocol.errors import BadJsonError, Error
from protocol.keys import PublicKey, SigningKey, fingerprint
from protocol.strict_json import parse_strict_json
from protocol.timestamps import parse_timestamp
from protocol.verification import Side, verify_control, verify_document
from tests.protocol.write_vectors import FOLDER, vectors


def published(name: str) -> Any:
    return json.loads((FOLDER / name).read_text("utf-8"))


def test_the_files_are_what_the_code_writes_today() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == set(vectors())
    for name, text in vectors().items():
        assert (FOLDER / name).read_text("utf-8") == text, f"{name} is out of date"


def test_keys_and_fingerprints() -> None:
    found = published("keys.json")
    for case in found["keys"]:
        key = SigningKey.from_seed(bytes.fromhex(case["seedHex"])).public_key
        assert (key.raw.hex(), key.multikey) == (case["publicKeyHex"], case["multikey"])
        assert PublicKey.parse_did(case["did"]) == key
    for case in found["fingerprints"]:
        root, agent = (PublicKey.parse_multikey(case[name]) for name in ("root", "agent"))
        assert fingerprint(root, agent) == case["fingerprint"]


@pytest.mark.parametrize("case", published("json_profile.json"), ids=lambda case: case["name"])
def test_the_json_profile(case: dict[str, Any]) -> None:
    data = bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode()
    if "canonical" in case:
        assert canonical_json(parse_strict_json(data)).decode() == case["canonical"]
    else:
        with pytest.raises(BadJsonError):
            parse_strict_json(data)


ENVELOPES = published("envelopes.json")


@pytest.mark.parametrize("case", ENVELOPES["cases"], ids=lambda case: case["name"])
def test_envelopes(case: dict[str, Any]) -> None:
    if case["code"] is not None:
        with pytest.raises(Error) as caught:
            receive(case["text"])
        assert caught.value.code == case["code"]
        return
    receive(case["text"])
    envelope = parse_envelope(case["text"])
    assert envelope.signed_bytes.hex() == case["signedBytesHex"]
    assert envelope.digest == case["digest"]


def receive(text: str) -> None:
    now, control = parse_timestamp(ENVELOPES["now"]), ENVELOPES["control"]
    envelope = parse_envelope(text)
    if envelope.is_document:
        verify_document(
            envelope, audience=ENVELOPES["agent"], now=now, replay=None, sender=Side.HUB
        )
        return
    verify_control(
        envelope,
        peer=PublicKey.parse_multikey(control["peer"]),
        audience=ENVELOPES["hub"],
        now=now,
        clock_skew_seconds=60,
        session=control["session"],
        next_sequence=control["nextSequence"],
        sender=Side.AGENT,
    )


def test_there_are_enough_of_both_kinds() -> None:
    good = bad = 0
    for name in ("envelopes.json", "chains.json", "handshakes.json"):
        for case in published(name)["cases"]:
            verdict = case.get("expect", case)
            is_bad = verdict["code"] is not None or verdict.get("close") is not None
            good, bad = good + (not is_bad), bad + is_bad
    assert good >= 40
    assert bad >= 80


def test_the_record() -> None:
    found = published("audit.json")
    leaves = [bytes.fromhex(leaf) for leaf in found["leavesHex"]]
    roots = [bytes.fromhex(root) for root in found["rootsHex"]]
    assert roots[0] == hashlib.sha256().digest()
    for case in found["inclusion"]:
        verify_inclusion(
            leaf_hash(leaves[case["index"]]),
            index=case["index"],
            size=case["size"],
            proof=[bytes.fromhex(item) for item in case["proofHex"]],
            root=roots[case["size"]],
        )
    for case in found["consistency"]:
        verify_consistency(
            old_size=case["from"],
            new_size=case["to"],
            old_root=roots[case["from"]],
            new_root=roots[case["to"]],
            proof=[bytes.fromhex(item) for item in case["proofHex"]],
        )
    checkpoint = found["checkpoint"]
    stated = verify_checkpoint(checkpoint["text"], PublicKey.parse_multikey(checkpoint["logKey"]))
    assert (stated.size, stated.root_hash) == (len(leaves), roots[-1])
