"""A witness's cosignature is C2SP `tlog-cosignature` v1, over what it saw and when."""

from __future__ import annotations

import base64
import hashlib

import pytest

from protocol.audit_tree import leaf_hash
from protocol.checkpoint import seal_checkpoint, verify_checkpoint
from protocol.cosignature import (
    WitnessKey,
    cosign,
    format_witness_key,
    parse_witness_key,
    verify_cosignature,
)
from protocol.errors import BadEnvelopeError, ProofError
from tests.protocol.material import OTHER, ROOT

NAME = "witness.example/w1"
NOTE = seal_checkpoint("hub.example/log", 7, leaf_hash(b"a leaf"), ROOT)
LINE = cosign(NOTE, name=NAME, signer=OTHER, unix_seconds=1_679_315_147)
KEY = WitnessKey(OTHER.public_key, NAME)


def test_the_line_is_the_one_the_specification_spells() -> None:
    blob = base64.b64decode(LINE.removeprefix(f"\u2014 {NAME} "))
    key_id = hashlib.sha256(NAME.encode() + b"\n\x04" + OTHER.public_key.raw).digest()[:4]
    assert blob[:4] == key_id
    assert int.from_bytes(blob[4:12], "big") == 1_679_315_147
    body = NOTE.partition("\n\n")[0] + "\n"
    OTHER.public_key.verify(blob[12:], f"cosignature/v1\ntime 1679315147\n{body}".encode())


def test_a_cosigned_checkpoint_is_still_the_logs_and_tells_when_it_was_seen() -> None:
    assert verify_cosignature(NOTE + LINE, KEY) == 1_679_315_147
    assert verify_cosignature(NOTE + LINE, WitnessKey(OTHER.public_key)) == 1_679_315_147
    assert verify_checkpoint(NOTE + LINE, ROOT.public_key).size == 7
    later = cosign(NOTE, name=NAME, signer=OTHER, unix_seconds=1_679_315_148)
    assert verify_cosignature(NOTE + LINE + later, KEY) == 1_679_315_148


def test_the_log_itself_is_no_witness_nor_is_another_key_or_name() -> None:
    for witness in (
        WitnessKey(ROOT.public_key),
        WitnessKey(ROOT.public_key, NAME),
        WitnessKey(OTHER.public_key, "witness.example/w2"),
    ):
        with pytest.raises(ProofError):
            verify_cosignature(NOTE + LINE, witness)
    with pytest.raises(ProofError):
        verify_cosignature(NOTE, KEY)


@pytest.mark.parametrize("change", ["time", "text", "signature", "length"])
def test_a_cosignature_over_something_else_is_refused(change: str) -> None:
    blob = bytearray(base64.b64decode(LINE.removeprefix(f"\u2014 {NAME} ")))
    note = NOTE
    if change == "time":
        blob[11] ^= 1
    elif change == "signature":
        blob[-1] ^= 1
    elif change == "length":
        blob.append(0)
    else:
        note = seal_checkpoint("hub.example/log", 8, leaf_hash(b"a leaf"), ROOT)
    line = f"\u2014 {NAME} {base64.b64encode(bytes(blob)).decode()}\n"
    with pytest.raises(ProofError):
        verify_cosignature(note + line, KEY)


def test_a_witness_key_comes_back_from_its_text() -> None:
    text = format_witness_key(NAME, OTHER.public_key)
    assert parse_witness_key(text) == KEY
    assert parse_witness_key(OTHER.public_key.did) == WitnessKey(OTHER.public_key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "did:key:z6Mk",
        "a+b",
        "a+00000000+" + base64.b64encode(b"\x04" + OTHER.public_key.raw).decode(),
        format_witness_key(NAME, OTHER.public_key)[:-4],
        format_witness_key(NAME, OTHER.public_key).replace("BP", "AP", 1) + "=",
    ],
)
def test_what_is_no_witness_key_is_refused(text: str) -> None:
    with pytest.raises(BadEnvelopeError):
        parse_witness_key(text)


def test_what_could_not_be_read_back_is_not_cosigned() -> None:
    for name, when in (("a b", 1), ("a+b", 1), ("", 1), (NAME, 0), (NAME, 2**53)):
        with pytest.raises(ValueError, match=r"name|time"):
            cosign(NOTE, name=name, signer=OTHER, unix_seconds=when)
    with pytest.raises(ProofError):
        cosign("no note", name=NAME, signer=OTHER, unix_seconds=1)
