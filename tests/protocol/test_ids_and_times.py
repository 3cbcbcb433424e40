"""Ids and times have one spelling each; error codes are known by name."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from protocol import errors, ids
from protocol.errors import BadEnvelopeError, Error
from protocol.ids import format_uuid7, is_action, is_action_pattern, is_agent_name, parse_id
from protocol.timestamps import Timestamp, format_timestamp, parse_timestamp

moments = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
since_1970 = st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))


@given(moments)
def test_a_time_comes_back_from_its_wire_form(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert len(text) == 24
    assert parse_timestamp(text) == moment
    elsewhere = moment
    if 1 < moment.year < 9999:
        elsewhere = moment.astimezone(timezone(timedelta(hours=5)))
    assert format_timestamp(elsewhere) == text


def test_a_model_field_takes_the_wire_form_and_aware_times_only() -> None:
    field = TypeAdapter(Timestamp)
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    assert field.validate_python("2026-03-01T00:00:00.000Z") == moment
    assert field.validate_python(moment.astimezone(timezone(timedelta(hours=1)))) == moment
    assert field.dump_python(moment) == "2026-03-01T00:00:00.000Z"
    for bad in ("2026-03-01", 7, None, datetime(2026, 3, 1)):
        with pytest.raises(ValidationError):
            field.validate_python(bad)


@given(since_1970, st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_seven_and_carries_its_time(
    moment: datetime, noise: bytes
) -> None:
    text = format_uuid7(moment, noise)
    assert parse_id(text) == text
    found = uuid.UUID(text)
    assert (found.version, found.variant) == (7, uuid.RFC_4122)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert found.int >> 80 == since // timedelta(milliseconds=1)


def test_ids_of_later_milliseconds_sort_later() -> None:
    moment = datetime(2026, 3, 1, tzinfo=UTC)
    later = moment + timedelta(milliseconds=1)
    assert format_uuid7(moment, b"\xff" * 10) < format_uuid7(later, b"\0" * 10)


def test_an_id_takes_ten_random_bytes() -> None:
    with pytest.raises(ValueError, match="ten"):
        format_uuid7(datetime(2026, 3, 1, tzinfo=UTC), b"\0" * 9)


@pytest.mark.parametrize("text", [None, 7, "", "x", "0195534C-7000-7000-8000-000000000001"])
def test_what_is_no_id_is_refused(text: Any) -> None:
    with pytest.raises(BadEnvelopeError):
        parse_id(text)


def test_names_and_actions_have_their_grammar() -> None:
    assert all(map(is_action, ["files.read", "a", "a_1.b2.c"]))
    assert not any(map(is_action, ["", "A", "a.", ".a", "a..b", "1a", "a.*", "*", "a\n", "é"]))
    assert not is_action("a" * 201)
    assert all(map(is_action_pattern, ["*", "files.*", "files.read", "a.b.*"]))
    assert not any(map(is_action_pattern, ["", "**", ".*", "f*", "*.a", "a.*.*", "a.*\n"]))
    assert all(map(is_agent_name, ["a", "web-1", "a.b_c", "0", "a" * 63]))
    assert not any(map(is_agent_name, ["", "-a", "A", "a" * 64, "a b", "a\n"]))
    assert ids.ACTION_PATTERN.startswith("^")


def test_every_wire_code_finds_its_class() -> None:
    for cls in errors.subclasses():
        found = errors.by_code(cls.code)
        assert found.code == cls.code
        assert issubclass(found, Error)
    assert errors.by_code("bad_json") is errors.BadJsonError
    assert errors.by_code("nobody_knows_this") is Error


def test_a_message_is_never_empty() -> None:
    assert errors.BadJsonError().message == "bad_json"
    assert errors.BadJsonError("why").message == "why"
    assert errors.PolicyDeniedError(rule="r1").message == "denied by r1"
    assert errors.PolicyDeniedError().rule is None
