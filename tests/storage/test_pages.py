"""Cursors are opaque, and anything else in their place is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.database import Database
from storage.errors import BadCursorError
from storage.pages import bound_limit, encode_cursor, parse_cursor
from tests.storage.samples import agent

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=50)


@given(TEXT, st.integers(-(2**63), 2**63 - 1))
def test_a_cursor_comes_back_as_the_key_it_stands_for(name: str, number: int) -> None:
    assert parse_cursor(encode_cursor([name, number]), (str, int)) == (name, number)


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_a_bad_cursor(cursor: str) -> None:
    try:
        (key,) = parse_cursor(cursor, (str,))
    except BadCursorError:
        return
    assert isinstance(key, str)


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "é",
        "a",
        encode_cursor([1]),
        encode_cursor([True]),
        encode_cursor(["a", "b"]),
        encode_cursor(["nul \x00"]),
        encode_cursor(["half \ud800"]),
        encode_cursor([None]),  # type: ignore[list-item]
        "W" * 2_000,
    ],
)
async def test_a_bad_cursor_is_refused_by_a_listing(database: Database, cursor: str) -> None:
    with pytest.raises(BadCursorError):
        await database.read(lambda uow: uow.agents.list(cursor=cursor))


@pytest.mark.parametrize(("asked", "given"), [(-5, 1), (0, 1), (7, 7), (200, 200), (10**9, 200)])
def test_limits_are_bounded(asked: int, given: int) -> None:
    assert bound_limit(asked) == given


async def test_pages_hold_every_record_once_in_order(database: Database) -> None:
    records = [agent() for _ in range(23)]
    await database.write(lambda uow: [uow.agents.add(record) for record in records])
    seen, cursor, pages = [], None, 0
    while True:
        page = await database.read(lambda uow, c=cursor: uow.agents.list(limit=5, cursor=c))
        seen += page.items
        pages += 1
        cursor = page.next_cursor
        if cursor is None:
            break
    assert pages == 5
    assert seen == sorted(records, key=lambda record: record.name)
