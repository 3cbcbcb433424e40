"""What must not stand in a log is hidden by its name and by its shape, and the rest stays."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.redaction import HIDDEN, is_secret_name, redact, redact_text

CANARY = "c4n4ry" * 8


@pytest.mark.parametrize(
    "text",
    [
        f"writ_{CANARY}x",
        f"writs_{CANARY}",
        f"writ-join:{CANARY}",
        f"whsec_{CANARY}=",
        f"eyJhbGciOiJFZERTQSJ9.{CANARY}.{CANARY}",
        f"Authorization: Bearer {CANARY}",
        f"authorization: basic {CANARY}",
        "PUT /uploads/" + "c4a4" * 20,
        f"https://hub.example/invite#{CANARY}",
        f"postgresql+asyncpg://writ:{CANARY}@db/writ",
        f"https://s3/x?a=b&X-Amz-Signature={CANARY}&c=d",
        f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----",
        f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{CANARY}",
    ],
)
def test_a_secret_is_known_by_its_shape_wherever_it_stands(text: str) -> None:
    for around in ("{}", "before {} after", '{{"x": "{}"}}', "'{}'", "a\n{}\nb"):
        shown = redact_text(around.format(text))
        assert HIDDEN in shown
        assert "c4n4ry" not in shown
        assert "c4a4c4a4" not in shown


def test_a_secret_is_known_by_its_name_at_any_depth() -> None:
    value = {"a": [{"clientSecret": "x", "Set-Cookie": "y", "n": 1}], "apiKey": "z", "ok": "kept"}
    assert redact(value) == {
        "a": [{"clientSecret": HIDDEN, "Set-Cookie": HIDDEN, "n": 1}],
        "apiKey": HIDDEN,
        "ok": "kept",
    }
    assert is_secret_name("key_passphrase")
    assert not is_secret_name("agent")


def test_what_people_need_stays_readable() -> None:
    for text in (
        "agent did:key:z6MkfLNRxaxZFs2jTiFUGbFmUdqpzskdrVxot5yJoqevEkeH is online",
        "0198f000-0000-7000-8000-000000000000",
        "GET /api/v1/intents?limit=5&cursor=abc",
        "https://user@host/x",
        "writ_short",
    ):
        assert redact_text(text) == text


def test_neither_depth_nor_length_costs_much() -> None:
    deep: object = "x"
    for _ in range(5_000):
        deep = [deep]
    started = time.monotonic()
    redact(deep)
    redact({"text": "://" * 100_000, "more": "eyJ" * 100_000, "list": ["a"] * 1_000_000})
    redact_text("-----BEGIN PRIVATE KEY-----" * 2_000)
    assert time.monotonic() - started < 5.0


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_every_value_can_be_shown_and_shown_again(value: object) -> None:
    once = redact(value)
    assert redact(once) == once
