"""Text is inside the profile of SPEC section 3, or `BadJsonError`: nothing else comes out."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.errors import BadJsonError
from protocol.strict_json import check_json_profile, parse_strict_json

SAFE = limits.MAX_SAFE_INTEGER
MEBIBYTE = 1024 * 1024

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values_in_profile = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-SAFE, SAFE)
    | st.floats(-SAFE, SAFE, allow_nan=False)
    | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


@given(values_in_profile, st.booleans(), st.sampled_from([None, 2]))
def test_every_value_inside_the_profile_comes_back_whatever_its_spelling(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parse_strict_json(text) == value
    assert parse_strict_json(text.encode()) == value
    check_json_profile(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("-0.0", 0.0),
        (f"[{SAFE}, {-SAFE}]", [SAFE, -SAFE]),
        (f"{SAFE}.0", float(SAFE)),
        ("1e2", 100.0),
        ("1E-400", 0.0),
        (' \t\r\n{"a" : [ ] }\n', {"a": []}),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\u0041"', "A"),
        (r'"\\u0000"', r"\u0000"),
        ('""', ""),
        ('"\x7f"', "\x7f"),
        ('"' + "[" * 100 + '"', "[" * 100),
        ("0." + "1" * 100_000, 1 / 9),
    ],
)
def test_odd_text_inside_the_profile_is_taken(text: str, value: Any) -> None:
    assert parse_strict_json(text) == value


@pytest.mark.parametrize(
    "data",
    [
        "",
        " ",
        "{",
        "[1,]",
        "{'a':1}",
        "01",
        "+1",
        "1.",
        ".5",
        "0x1",
        "\u0661",
        "tru",
        "null null",
        '{"a":1,"a":1}',
        '{"a":{"b":[{"c":1,"c":2}]}}',
        r'{"a":1,"\u0061":2}',
        "NaN",
        "Infinity",
        "-Infinity",
        "[NaN]",
        str(SAFE + 1),
        str(-SAFE - 1),
        f"{SAFE + 1}.0",
        "1e400",
        "-1e400",
        "1e16",
        "1" * 5_000,
        "1" + "0" * 400 + ".5",
        r'"\ud800"',
        r'"\udc00\ud800"',
        r'{"\ud800":1}',
        r'[["\udfff"]]',
        r'"\u0000"',
        r'{"a\u0000":1}',
        '"\0"',
        '"a\nb"',
        '"\ud800"',
        "\ufeff{}",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        b"{}".decode().encode("utf-16"),
        "[" * 50 + "]" * 50 + "]" * 50,
        '"' + "[" * 40 + r"\"",
        "[" * 33 + '"' + r"\"" * 10,
        "[" * 10 + '"' * 3 + "[]," * 30,
    ],
)
def test_anything_outside_the_profile_is_bad_json(data: bytes | str) -> None:
    with pytest.raises(BadJsonError):
        parse_strict_json(data)


def nested(depth: int) -> str:
    return "[" * depth + "0" + "]" * depth


def test_thirty_two_containers_pass_and_one_more_does_not() -> None:
    value = parse_strict_json(nested(32))
    check_json_profile(value)
    wide = ",".join([nested(31)] * 3)
    assert parse_strict_json(f"[{wide}]") == [json.loads(nested(31))] * 3
    for text in (nested(33), '{"a":' * 33 + "0" + "}" * 33, f"[{wide},{nested(32)}]"):
        with pytest.raises(BadJsonError):
            parse_strict_json(text)
        with pytest.raises(BadJsonError):
            check_json_profile(json.loads(text))


def test_params_may_be_held_to_a_smaller_depth() -> None:
    check_json_profile(json.loads(nested(24)), max_depth=24)
    with pytest.raises(BadJsonError):
        check_json_profile(json.loads(nested(25)), max_depth=24)


@pytest.mark.parametrize(
    "make",
    [
        lambda count: "[" + ",".join(["0"] * (count - 1)) + "]",
        lambda count: "[" + ",".join(["[]"] * (count - 1)) + "]",
        lambda count: "{" + ",".join(f'"{n},[":0' for n in range(count - 1)) + "}",
        lambda count: "[[" + ",".join(['"a,b"'] * (count - 2)) + "]]",
    ],
)
def test_ten_thousand_values_pass_and_one_more_does_not(make: Any) -> None:
    value = parse_strict_json(make(limits.MAX_JSON_VALUES))
    check_json_profile(value)
    text = make(limits.MAX_JSON_VALUES + 1)
    with pytest.raises(BadJsonError):
        parse_strict_json(text)
    with pytest.raises(BadJsonError):
        check_json_profile(json.loads(text))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MEBIBYTE,
        b'{"a":' * (MEBIBYTE // 5),
        b"[" + b"[]," * (MEBIBYTE // 3) + b"[]]",
        b"[" + b"0," * (MEBIBYTE // 2) + b"0]",
        b"[" + b'"",' * (MEBIBYTE // 3) + b'""]',
        b'"' * MEBIBYTE,
        b"[" * 40 + b'"' * MEBIBYTE,
        b"[" * 20 + b'"x"' * (MEBIBYTE // 3) + b"[" * 20,
        b"[[]" * 11 + b'"' + b'\\"' * (MEBIBYTE // 2) + b"[" * 40,
        b"1" * MEBIBYTE,
        b"1." + b"1" * MEBIBYTE + b"e",
        b"1e" + b"9" * MEBIBYTE,
        b" " * MEBIBYTE,
        b"-" * MEBIBYTE,
        b"{" + b'"a":0,' * (MEBIBYTE // 6) + b'"a":0}',
        b"]" * MEBIBYTE + b"[" * 40,
        b"[" * 31 + b"[]" * (MEBIBYTE // 2),
        b'["' + b"\\ud800" * (MEBIBYTE // 6) + b'"]',
    ],
)
def test_a_hostile_mebibyte_costs_little(data: bytes) -> None:
    started = time.thread_time()
    with pytest.raises(BadJsonError):
        parse_strict_json(data)
    # Linear work takes some 20 ms; quadratic work would take minutes.
    assert time.thread_time() - started < 1.0


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_parsing_raises_nothing_but_its_own_error(data: bytes | str) -> None:
    assert_in_profile_or_refused(data)


@given(st.text('[]{},:"\\u0019.eE+-aNtrlfs \ud800\0', max_size=40))
def test_json_like_text_raises_nothing_but_its_own_error(text: str) -> None:
    assert_in_profile_or_refused(text)


def assert_in_profile_or_refused(data: bytes | str) -> None:
    try:
        value = parse_strict_json(data)
    except BadJsonError:
        return
    check_json_profile(value)


@pytest.mark.parametrize(
    "value",
    [
        SAFE + 1,
        float(SAFE + 1),
        float("nan"),
        float("inf"),
        "\0",
        "\ud800",
        {"\ud800": 1},
        {1: 1},
        (1, 2),
        b"bytes",
        {1, 2},
        object(),
        [[object()]],
    ],
)
def test_a_python_value_without_text_in_the_profile_is_bad_json(value: object) -> None:
    with pytest.raises(BadJsonError):
        check_json_profile(value)


def test_a_value_that_contains_itself_is_bad_json() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadJsonError):
        check_json_profile(loop)
