"""A leaf has one spelling, and of what is personal it holds only what a salt can prove."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audit_leaf import (
    MAX_LEAF_BYTES,
    Assurance,
    draft_leaf,
    number_leaf,
    parse_leaf,
    personal_hash,
    verify_personal,
)
from protocol.canonical import canonical_json
from protocol.errors import BadJsonError, ProofError
from protocol.strict_json import parse_strict_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SALT = bytes(range(16))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
VALUE = st.one_of(TEXT, st.none(), st.booleans(), st.integers(-(2**53) + 1, 2**53 - 1))


FIELDS: dict[str, Any] = {
    "at": NOW,
    "kind": "k",
    "actor": "hub",
    "subject": "s",
    "data": {},
    "assurance": Assurance.ENFORCED,
    "realms": ("lab",),
    "personal": {},
    "salt": SALT,
}


def encode(**changes: Any) -> bytes:
    return number_leaf(draft_leaf(**{**FIELDS, **changes}), 7)


@given(st.dictionaries(TEXT, VALUE, max_size=5), TEXT, TEXT)
def test_a_leaf_is_in_the_one_spelling_whatever_it_says(
    data: dict[str, Any], actor: str, subject: str
) -> None:
    leaf = encode(data=data, actor=actor, subject=subject)
    assert leaf == canonical_json(parse_strict_json(leaf))
    content = parse_leaf(leaf)
    assert (content.data, content.actor, content.subject) == (data, actor, subject)
    assert (content.realms, content.assurance) == (("lab",), Assurance.ENFORCED)


@given(VALUE, VALUE)
def test_a_personal_value_is_proved_by_its_salt_and_no_other_is(value: Any, other: Any) -> None:
    content = parse_leaf(encode(personal={"reason": personal_hash(SALT, value)}))
    verify_personal(content, "reason", salt=SALT, value=value)
    refused = [("name", SALT, value), ("reason", bytes(16), value), ("reason", b"short", value)]
    if canonical_json(other) != canonical_json(value):
        refused.append(("reason", SALT, other))
    for field, salt, said in refused:
        with pytest.raises(ProofError):
            verify_personal(content, field, salt=salt, value=said)


def test_a_leaf_from_before_reads_as_unknown_and_of_no_realm() -> None:
    old = canonical_json(
        {"actor": "hub", "at": "2026-01-01T00:00:00.000Z", "data": {}, "index": 0}
        | {"kind": "k", "subject": "s"}
    )
    content = parse_leaf(old)
    assert (content.assurance, content.realms, content.personal) == (Assurance.UNKNOWN, (), {})


@pytest.mark.parametrize(
    "leaf",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b'{"index":0}'),
        encode().replace(b'"enforced"', b'"certain"'),
        encode().replace(b'"data":{}', b'"data":[]'),
        encode().replace(b'"data":{}', b'"data":{},"personal":[]'),
    ],
)
def test_what_is_no_leaf_is_refused(leaf: bytes) -> None:
    with pytest.raises(ProofError):
        parse_leaf(leaf)


def test_a_leaf_that_no_bundle_could_hold_is_not_made() -> None:
    room = MAX_LEAF_BYTES - len(encode())
    assert len(encode(subject="s" * (room + 1))) == MAX_LEAF_BYTES
    with pytest.raises(ValueError, match="65,535"):
        encode(subject="s" * (room + 2))
    longest = draft_leaf(**{**FIELDS, "subject": "s" * (room + 1)})
    with pytest.raises(ValueError, match="65,535"):
        number_leaf(longest, 10)


def test_half_a_surrogate_pair_makes_no_leaf() -> None:
    with pytest.raises(BadJsonError):
        encode(subject="\ud800")


def test_the_index_has_its_place_whatever_else_looks_like_one() -> None:
    like = {"a": 1, "index": 0, "kind": "no index"}
    text = ',"index":0,"kind":"x"'
    changes: dict[str, Any] = {
        "data": {"nested": like, "text": text, **like},
        "subject": text,
        "kind": text,
        "realms": (text,),
        "personal": {"index": bytes(32), "kind": bytes(32)},
    }
    leaf = encode(**changes)
    said = parse_leaf(leaf)
    assert leaf == canonical_json(parse_strict_json(leaf))
    assert (said.index, said.data, said.subject) == (7, changes["data"], text)
