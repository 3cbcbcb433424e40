"""Keys have one spelling, libsodium alone verifies, and weak points are refused at enrolment."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.base64_text import decode_base64, encode_base64
from protocol.errors import BadEnvelopeError, BadSignatureError, WeakKeyError
from protocol.keys import PublicKey, SigningKey, fingerprint
from tests.protocol.material import AGENT, ROOT, published_json

raw_keys = st.binary(min_size=32, max_size=32)

# RFC 8032 section 7.1, test 2: seed, public key, message, signature.
RFC_8032 = (
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "72",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
)


def test_signing_is_rfc_8032() -> None:
    seed, public, message, signature = (bytes.fromhex(part) for part in RFC_8032)
    key = SigningKey.from_seed(seed)
    assert key.public_key.raw == public
    assert key.sign(message) == signature
    key.public_key.verify(signature, message)


# The public key of the all-zero seed, as other did:key tools write it.
@pytest.mark.parametrize(
    ("multikey", "raw"),
    [
        (
            "z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp",
            "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29",
        ),
    ],
)
def test_a_multikey_is_base58btc_of_prefix_and_key(multikey: str, raw: str) -> None:
    key = PublicKey(bytes.fromhex(raw))
    assert key.multikey == multikey
    assert key.did == f"did:key:{multikey}"
    assert PublicKey.parse_multikey(multikey) == PublicKey.parse_did(key.did) == key


@given(raw_keys)
def test_every_key_comes_back_from_its_multikey(raw: bytes) -> None:
    key = PublicKey(raw)
    assert key.multikey.startswith("z6Mk")
    assert len(key.multikey) == 48
    assert PublicKey.parse_multikey(key.multikey) == key


@given(raw_keys, st.integers(0, 47), st.characters())
def test_a_changed_multikey_names_another_key_or_none(raw: bytes, at: int, char: str) -> None:
    good = PublicKey(raw).multikey
    changed = good[:at] + char + good[at + 1 :]
    if changed == good:
        return
    try:
        found = PublicKey.parse_multikey(changed)
    except BadEnvelopeError:
        return
    assert found.raw != raw
    assert found.multikey == changed


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        "z",
        "z6Mk",
        "z" + "z" * 47,
        "y" + ROOT.public_key.multikey[1:],
        "1" + ROOT.public_key.multikey[1:],
        ROOT.public_key.multikey + "1",
        "z1" + ROOT.public_key.multikey[1:],
        ROOT.public_key.multikey[:-1] + "0",
        "z6LSbysY2xFMRpGMhb7tFTLMpeuPRaqaWM1yECx2AtzE3KCc",
        " " + ROOT.public_key.multikey[1:],
        "z" * 1_000_000,
    ],
)
def test_what_is_no_ed25519_multikey_is_refused(text: Any) -> None:
    with pytest.raises(BadEnvelopeError):
        PublicKey.parse_multikey(text)
    with pytest.raises(BadEnvelopeError):
        PublicKey.parse_did(text if text is None else f"did:key:{text}")


@pytest.mark.parametrize("text", ["did:web:example.com", ROOT.public_key.multikey, 5, "did:key:"])
def test_what_is_no_did_key_is_refused(text: Any) -> None:
    with pytest.raises(BadEnvelopeError):
        PublicKey.parse_did(text)


@pytest.mark.parametrize("raw", [b"", b"\1" * 31, b"\1" * 33])
def test_a_key_has_thirty_two_bytes(raw: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        PublicKey(raw)
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey.from_seed(raw)


def refused(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except BadSignatureError:
        return True
    return False


def test_every_wycheproof_case_is_judged_as_it_should_be() -> None:
    judged = 0
    for group in published_json("wycheproof_ed25519.json")["testGroups"]:
        key = PublicKey(bytes.fromhex(group["publicKey"]["pk"]))
        for case in group["tests"]:
            signature, message = bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])
            judged += 1
            if case["result"] == "valid":
                key.verify(signature, message)
            else:
                assert refused(key, signature, message), f"accepted case {case['tcId']}"
    assert judged == 151


def test_speccheck_only_case_three_verifies_and_enrolment_refuses_it_too() -> None:
    accepted, enrolled = [], []
    cases = published_json("ed25519_speccheck.json")
    for number, case in enumerate(cases):
        key = PublicKey(bytes.fromhex(case["pub_key"]))
        try:
            key.verify(bytes.fromhex(case["signature"]), bytes.fromhex(case["message"]))
            accepted.append(number)
            key.check_point()
            enrolled.append(number)
        except (BadSignatureError, WeakKeyError):
            continue
    assert len(cases) == 12
    assert accepted == [3]
    assert enrolled == []


@pytest.mark.parametrize(
    "raw",
    [
        bytes(32),
        b"\x01" + bytes(31),
        b"\xec" + b"\xff" * 30 + b"\x7f",
        b"\xed" + b"\xff" * 30 + b"\x7f",
        b"\xff" * 32,
        b"\x02" + bytes(31),
        bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ],
)
def test_small_order_and_misspelt_points_are_weak_keys(raw: bytes) -> None:
    with pytest.raises(WeakKeyError):
        PublicKey(raw).check_point()


@given(st.binary(min_size=32, max_size=32))
def test_an_honest_key_is_never_weak(seed: bytes) -> None:
    SigningKey.from_seed(seed).public_key.check_point()


@pytest.mark.parametrize("signature", [b"", b"\0" * 63, b"\0" * 64, b"\0" * 65])
def test_a_signature_of_another_length_or_none_does_not_hold(signature: bytes) -> None:
    with pytest.raises(BadSignatureError):
        ROOT.public_key.verify(signature, b"message")


def test_a_private_key_is_not_printed_pickled_or_copied() -> None:
    assert ROOT.public_key.multikey in repr(ROOT)
    assert ROOT.seed.hex() not in repr(ROOT)
    assert str(ROOT.seed) not in repr(ROOT)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(ROOT)


def test_a_fingerprint_names_this_agent_under_this_root() -> None:
    found = fingerprint(ROOT.public_key, AGENT.public_key)
    # SHA-256 of "writ.v1/fingerprint", a zero byte and both keys, as openssl and base32 make it.
    assert found == "1YK5-YJAE-BDY1-8ZPR"
    assert found != fingerprint(AGENT.public_key, ROOT.public_key)


@given(raw_keys, raw_keys)
def test_a_fingerprint_is_four_groups_of_crockford_base32(root: bytes, agent: bytes) -> None:
    groups = fingerprint(PublicKey(root), PublicKey(agent)).split("-")
    assert [len(group) for group in groups] == [4, 4, 4, 4]
    assert set("".join(groups)) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")


@given(st.binary(max_size=80))
def test_base64_has_one_spelling(data: bytes) -> None:
    text = encode_base64(data)
    assert decode_base64(text) == data
    assert decode_base64(text, size_bytes=len(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AA=",
        "AB==",
        "AAB=",
        "AA==\n",
        " AA==",
        "AA==AA==",
        "A-_=",
        "AA===",
        "é===",
        7,
        None,
        b"AA==",
    ],
)
def test_any_other_base64_is_refused(text: Any) -> None:
    with pytest.raises(BadEnvelopeError):
        decode_base64(text)


def test_base64_of_another_length_is_refused() -> None:
    with pytest.raises(BadEnvelopeError):
        decode_base64("AA==", size_bytes=2)
