"""One value, one spelling: RFC 8785, by the reference and by every shortcut around it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.canonical import canonical_json
from protocol.errors import BadJsonError
from protocol.strict_json import check_json_profile, parse_strict_json
from tests.protocol.material import published
from tests.protocol.test_strict_json import values_in_profile

JCS_NAMES = ["arrays", "french", "structures", "unicode", "values", "weird"]

any_text = st.text(max_size=12)
any_float = st.floats(allow_nan=False, allow_infinity=False)
any_value = st.recursive(
    st.none() | st.booleans() | st.integers() | any_float | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=20,
)
plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ascii_keys = st.text(st.characters(codec="ascii"), max_size=6)
safe_integers = st.integers(-(2**53) + 1, 2**53 - 1)
simple_floats = any_float.filter(lambda number: abs(number) < 1e17)


def nest(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(ascii_keys, inner, max_size=5),
        max_leaves=25,
    )


for_any_encoder = nest(st.none() | st.booleans() | safe_integers | plain_text)
with_floats = nest(st.none() | st.booleans() | safe_integers | plain_text | simple_floats)


@pytest.mark.parametrize("name", JCS_NAMES)
def test_the_published_jcs_vectors_hold_byte_for_byte(name: str) -> None:
    value = json.loads(published(f"jcs/input/{name}.json").read_text("utf-8"))
    assert canonical_json(value) == published(f"jcs/output/{name}.json").read_bytes()


@given(for_any_encoder)
def test_every_encoder_of_the_fast_path_agrees_with_the_reference(value: Any) -> None:
    assert canonical._spelling((value,)) is canonical._Spelling.ANY_SORTED
    expected = rfc8785.dumps(value)
    assert canonical_json(value) == expected
    assert canonical._encode_with_stdlib(value) == expected
    if canonical.orjson is not None:
        assert canonical._encode_with_orjson(value) == expected


@given(with_floats)
def test_floats_take_a_shortcut_only_where_it_agrees_with_the_reference(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)
    if canonical._spelling((value,)) is not canonical._Spelling.REFERENCE:
        assert canonical._encode_with_stdlib(value) == rfc8785.dumps(value)


@given(any_value)
def test_any_value_has_the_form_of_the_reference_or_none(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (ValueError, UnicodeError):
        with pytest.raises(BadJsonError):
            canonical_json(value)
    else:
        assert canonical_json(value) == expected


@given(values_in_profile)
def test_the_canonical_form_is_a_fixed_point(value: Any) -> None:
    form = canonical_json(value)
    assert canonical_json(parse_strict_json(form)) == form


@pytest.mark.parametrize(
    ("number", "form"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.25, "-0.25"),
        (1e-4, "0.0001"),
        (9.999e-05, "0.00009999"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (2251799813685249.5, "2251799813685249.5"),
        (1e21, "1e+21"),
        (999999999999999900000.0, "999999999999999900000"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_numbers_are_written_as_ecmascript_does(number: float, form: str) -> None:
    assert canonical_json(number) == form.encode()
    assert canonical_json({"n": [number]}) == f'{{"n":[{form}]}}'.encode()


def test_keys_sort_by_utf16_units_and_not_by_code_points() -> None:
    astral, private = "\U0001f600", "\ue000"
    assert canonical_json({private: 1, astral: 2}) == f'{{"{astral}":2,"{private}":1}}'.encode()


def endless() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [
        2**53,
        -(2**53),
        [2**70],
        float("nan"),
        float("inf"),
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        {"a": b"bytes"},
        object(),
        endless(),
    ],
)
def test_what_has_no_canonical_form_is_bad_json(value: Any) -> None:
    with pytest.raises(BadJsonError):
        canonical_json(value)


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("value", [Text("a"), [Text("a")], {"a": Text("b")}, (1, 2), True, None, 5])
def test_subclasses_and_tuples_take_the_form_of_the_reference(value: Any) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)


def test_a_key_of_a_subclass_and_deep_nesting_have_the_same_form_with_every_encoder() -> None:
    assert canonical_json({Text("b"): 1, "a": 2}) == b'{"a":2,"b":1}'
    deep: Any = 0
    for _ in range(300):
        deep = [deep]
    assert canonical_json(deep) == b"[" * 300 + b"0" + b"]" * 300


def test_without_orjson_the_form_is_the_same() -> None:
    program = (
        "import sys; sys.modules['orjson'] = None\n"
        "from protocol import canonical\n"
        "assert canonical.orjson is None\n"
        "print(canonical.canonical_json({'b': [1, 0.5, 'x'], 'a': None}).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == '{"a":null,"b":[1,0.5,"x"]}'


@given(for_any_encoder)
def test_canonical_bytes_are_read_as_they_are_and_mean_what_the_strict_parser_says(
    value: Any,
) -> None:
    data = canonical_json(value)
    found = canonical.read_canonical(data)
    if found is not None:
        assert found == parse_strict_json(data)
        assert canonical_json(found) == data
    elif canonical.orjson is not None and isinstance(value, dict | list) and b"\\u" not in data:
        pytest.fail("plain canonical bytes took the long way")


@given(st.binary(max_size=40) | values_in_profile.map(lambda v: json.dumps(v).encode()))
def test_what_is_read_as_canonical_is_what_the_strict_parser_takes(data: bytes) -> None:
    found = canonical.read_canonical(data)
    if found is not None:
        assert rfc8785.dumps(found) == data
        assert parse_strict_json(data) == found


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":9007199254740992}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b"[" * 40 + b"]" * 40,
        '{"\u00e9":1}'.encode(),
        b"\xff",
        b"",
        b"1",
    ],
)
def test_bytes_with_a_second_spelling_or_outside_the_profile_take_the_long_way(
    data: bytes,
) -> None:
    assert canonical.read_canonical(data) is None


@given(any_value)
def test_a_value_in_the_profile_has_its_form_in_one_walk_and_any_other_has_none(value: Any) -> None:
    try:
        check_json_profile(value)
    except BadJsonError:
        with pytest.raises(BadJsonError):
            canonical.canonical_profile_json(value)
    else:
        assert canonical.canonical_profile_json(value) == canonical_json(value)
