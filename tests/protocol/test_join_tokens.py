"""A join token is read in one spelling, and its secret proves without travelling."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import AuthFailedError, JoinTokenError
from protocol.join_tokens import (
    JoinToken,
    encode_join_token,
    join_key,
    join_proof,
    parse_join_token,
    verify_join_proof,
)
from protocol.messages import Join, dump_payload
from tests.protocol.session_pair import ROOT, make_ids, register_payload

SECRET = bytes(range(100, 132))
TOKEN = JoinToken("wss://hub.example/ws/agent", ROOT.public_key, make_ids()(), SECRET)


def spelled(**changes: Any) -> str:
    """A token text with fields replaced, or left out where None."""
    value: dict[str, Any] = {
        "hub": TOKEN.hub,
        "root": TOKEN.root.did,
        "id": TOKEN.id,
        "secret": base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode(),
    }
    value = {key: item for key, item in (value | changes).items() if item is not None}
    return "writ-join:" + base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_token_comes_back_as_it_went_out() -> None:
    assert parse_join_token(encode_join_token(TOKEN)) == TOKEN
    assert parse_join_token(f"  {spelled()}\n") == TOKEN


def test_the_secret_is_not_printed() -> None:
    assert repr(SECRET) not in repr(TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "writ-join:",
        "writ-join:!!!",
        spelled().removeprefix("writ-join:"),
        spelled() + "=",
        spelled(extra=1),
        spelled(hub="https://hub.example"),
        spelled(hub="wss://"),
        spelled(hub="wss://h:99999/"),
        spelled(hub=5),
        spelled(root="did:key:z6Mk"),
        spelled(id="1"),
        spelled(secret="AAAA"),
        spelled(secret=None),
        "writ-join:" + "A" * 5_000,
    ],
)
def test_anything_else_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(JoinTokenError) as caught:
        parse_join_token(text)
    assert len(caught.value.message) < 100


@given(st.text())
def test_no_text_brings_another_error(text: str) -> None:
    for candidate in (text, "writ-join:" + text):
        with pytest.raises(JoinTokenError):
            parse_join_token(candidate)


def proved_payload() -> dict[str, Any]:
    bare = register_payload("A" * 43 + "=", join=Join(token_id=TOKEN.id, proof="A" * 43 + "="))
    payload = dump_payload(bare)
    payload["join"]["proof"] = join_proof(join_key(SECRET), payload)
    return payload


def test_the_proof_is_an_hmac_of_the_payload_without_itself() -> None:
    payload = proved_payload()
    bare = {**payload, "join": {"tokenId": TOKEN.id}}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()
    k = hashlib.sha256(SECRET).digest()
    expected = base64.b64encode(hmac.new(k, text, "sha256").digest()).decode()
    assert payload["join"]["proof"] == expected
    verify_join_proof(k, payload)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.update(name="other"),
        lambda p: p.update(unknown=1),
        lambda p: p["join"].update(tokenId=make_ids(9)()),
        lambda p: p["join"].update(proof="B" * 43 + "="),
        lambda p: p["join"].update(proof=7),
        lambda p: p.pop("join"),
        lambda p: p.update(join=[]),
    ],
)
def test_a_changed_register_is_not_proved(change: Any) -> None:
    payload = proved_payload()
    change(payload)
    with pytest.raises(AuthFailedError):
        verify_join_proof(join_key(SECRET), payload)


def test_another_secret_proves_nothing() -> None:
    with pytest.raises(AuthFailedError):
        verify_join_proof(join_key(b"x" * 32), proved_payload())
