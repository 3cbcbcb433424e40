"""Checkpoints are C2SP signed notes that Go's reference implementation would take."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit_tree import EMPTY_ROOT, MAX_TREE_SIZE, leaf_hash
from protocol.checkpoint import Checkpoint, parse_checkpoint, seal_checkpoint, verify_checkpoint
from protocol.errors import ProofError
from protocol.keys import PublicKey, SigningKey
from protocol.signed_note import note_key_id, parse_note, seal_note, verify_note
from tests.protocol.material import OTHER, ROOT

# The key pair and note of the Go reference implementation (golang.org/x/mod/sumdb/note).
GO_NAME = "PeterNeumann"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_LINE = (
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_KEY = PublicKey(base64.b64decode(GO_VERIFIER.split("+", 2)[2])[1:])

LOG = "hub.example/log"
HASH = leaf_hash(b"a leaf")
SEALED = seal_checkpoint(LOG, 7, HASH, ROOT)


def test_the_go_reference_note_is_made_byte_for_byte() -> None:
    signer = SigningKey.from_seed(base64.b64decode(GO_SIGNER.split("+", 4)[4])[1:])
    assert signer.public_key == GO_KEY
    assert note_key_id(GO_NAME, GO_KEY).hex() == "c74f20a3"
    assert seal_note(GO_TEXT, name=GO_NAME, signer=signer) == f"{GO_TEXT}\n{GO_LINE}"


def test_the_go_reference_note_verifies_also_among_other_signatures() -> None:
    assert verify_note(f"{GO_TEXT}\n{GO_LINE}", name=GO_NAME, key=GO_KEY) == GO_TEXT
    foreign = seal_note(GO_TEXT, name="witness.example", signer=OTHER).splitlines()[-1] + "\n"
    assert verify_note(f"{GO_TEXT}\n{foreign}{GO_LINE}", name=GO_NAME, key=GO_KEY) == GO_TEXT


def test_a_note_by_another_key_or_name_is_refused() -> None:
    note = f"{GO_TEXT}\n{GO_LINE}"
    for name, key in ((GO_NAME, ROOT.public_key), ("Somebody", GO_KEY)):
        with pytest.raises(ProofError):
            verify_note(note, name=name, key=key)
    with pytest.raises(ProofError):
        verify_note(note.replace("answer", "ANSWER"), name=GO_NAME, key=GO_KEY)


def test_one_bad_signature_of_a_known_key_spoils_the_note() -> None:
    other_text = seal_note("other text\n", name=LOG, signer=ROOT).splitlines()[-1]
    with pytest.raises(ProofError):
        verify_checkpoint(f"{SEALED}{other_text}\n", ROOT.public_key)


def test_a_text_may_hold_empty_lines() -> None:
    text = "one\n\nthree\n\n"
    assert parse_note(seal_note(text, name=LOG, signer=ROOT)).text == text


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n\n",
        GO_TEXT,
        GO_TEXT + "\n",
        GO_TEXT + GO_LINE,
        f"\n\n{GO_LINE}",
        f"{GO_TEXT}\n{GO_LINE}"[:-1],
        f"{GO_TEXT}\n{GO_LINE}\n",
        f"{GO_TEXT}\n{GO_LINE}x\n",
        f"{GO_TEXT}\n{GO_LINE}".replace("\u2014", "-"),
        f"{GO_TEXT}\n{GO_LINE}".replace("PeterNeumann ", "Peter+Neumann "),
        f"{GO_TEXT}\n{GO_LINE}".replace("JnAM=", "JnAN="),
        f"{GO_TEXT}\n{GO_LINE}".replace("x08go", "!08go"),
        f"{GO_TEXT}\n\u2014 PeterNeumann AAAA\n",
        f"{GO_TEXT}\r\n\n{GO_LINE}",
        f"{GO_TEXT}\0\n\n{GO_LINE}",
        f"{GO_TEXT}\n" + GO_LINE * 100,
        "x" * 70_000 + f"\n\n{GO_LINE}",
    ],
)
def test_what_is_no_signed_note_is_refused(note: str) -> None:
    with pytest.raises(ProofError):
        parse_note(note)


@pytest.mark.parametrize(
    ("text", "name"),
    [("no newline", LOG), ("tab\t\n", LOG), ("x\n", "a b"), ("x\n", "a+b"), ("x\n", "")],
)
def test_what_could_not_be_read_back_is_not_sealed(text: str, name: str) -> None:
    with pytest.raises(ValueError, match="signed note"):
        seal_note(text, name=name, signer=ROOT)


def test_a_checkpoint_comes_back_and_is_signed_by_its_log() -> None:
    expected = Checkpoint(LOG, 7, HASH)
    assert parse_checkpoint(SEALED) == expected
    assert verify_checkpoint(SEALED, ROOT.public_key) == expected
    with pytest.raises(ProofError):
        verify_checkpoint(SEALED, OTHER.public_key)


def test_an_empty_log_has_a_checkpoint_too() -> None:
    sealed = seal_checkpoint(LOG, 0, EMPTY_ROOT, ROOT)
    assert verify_checkpoint(sealed, ROOT.public_key) == Checkpoint(LOG, 0, EMPTY_ROOT)


def test_extension_lines_are_carried_and_ignored() -> None:
    body = f"{LOG}\n7\n{base64.b64encode(HASH).decode()}\nextension\n"
    note = seal_note(body, name=LOG, signer=ROOT)
    assert verify_checkpoint(note, ROOT.public_key) == Checkpoint(LOG, 7, HASH)


def test_a_checkpoint_signed_under_another_name_is_refused() -> None:
    body = f"{LOG}\n7\n{base64.b64encode(HASH).decode()}\n"
    with pytest.raises(ProofError):
        verify_checkpoint(seal_note(body, name="other.example", signer=ROOT), ROOT.public_key)


ROOT_TEXT = base64.b64encode(HASH).decode()


@pytest.mark.parametrize(
    "body",
    [
        f"{LOG}\n",
        f"{LOG}\n7\n",
        f"\n7\n{ROOT_TEXT}\n",
        f"{LOG}\n07\n{ROOT_TEXT}\n",
        f"{LOG}\n-7\n{ROOT_TEXT}\n",
        f"{LOG}\n\u0667\n{ROOT_TEXT}\n",
        f"{LOG}\n{MAX_TREE_SIZE + 1}\n{ROOT_TEXT}\n",
        f"{LOG}\n{'9' * 5_000}\n{ROOT_TEXT}\n",
        f"{LOG}\n7\n{ROOT_TEXT[:-1]}\n",
        f"{LOG}\n7\nAAAA\n",
        f"{LOG}\n0\n{ROOT_TEXT}\n",
        f"{LOG}\n7\n{ROOT_TEXT}\n\nextension\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(body: str) -> None:
    with pytest.raises(ProofError):
        verify_checkpoint(seal_note(body, name=LOG, signer=ROOT), ROOT.public_key)


@pytest.mark.parametrize(
    ("origin", "size", "root"),
    [
        ("a b", 7, HASH),
        ("", 7, HASH),
        (LOG, -1, HASH),
        (LOG, MAX_TREE_SIZE + 1, HASH),
        (LOG, 7, b"short"),
    ],
)
def test_an_impossible_checkpoint_is_not_sealed(origin: str, size: int, root: bytes) -> None:
    with pytest.raises(ValueError, match=r"signed note|no such tree"):
        seal_checkpoint(origin, size, root, ROOT)


@given(st.integers(0, len(SEALED) - 1), st.characters())
def test_any_changed_character_of_a_checkpoint_is_refused(at: int, char: str) -> None:
    if char == SEALED[at]:
        return
    with pytest.raises(ProofError):
        verify_checkpoint(SEALED[:at] + char + SEALED[at + 1 :], ROOT.public_key)


@given(st.text(max_size=200))
def test_reading_raises_nothing_but_its_own_error(text: str) -> None:
    with pytest.raises(ProofError):
        parse_checkpoint(text)
