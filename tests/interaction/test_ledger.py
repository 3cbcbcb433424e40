"""The ledger holds: ids are unique, tests exist, nothing of SPEC is forgotten, the page is new."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from protocol.limits import CloseCode
from protocol.messages.registry import MESSAGES
from tests.interaction.ledger import LEDGER
from tests.interaction.ledger.row import Row
from tests.interaction.ledger.table import CHECKOUT, PAGE, render

TESTS = CHECKOUT / "tests"
SPEC = (CHECKOUT / "protocol" / "SPEC.md").read_text()
CLOSE_CODES = sorted(one for one in vars(CloseCode).values() if isinstance(one, int))
PROMISES = " ".join(one.promise for one in LEDGER)


@cache
def find_tests(path: Path) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the test functions of a file that pytest collects, by name."""
    module = ast.parse(path.read_text())
    return {
        one.name: one
        for one in module.body
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
    }


def test_ids_are_unique_and_readable() -> None:
    counted = Counter(one.id for one in LEDGER)
    assert [id_ for id_, count in counted.items() if count > 1] == []
    for id_ in counted:
        assert re.fullmatch(r"[a-z]+\.[a-z0-9-]+", id_), id_


@pytest.mark.parametrize("row", LEDGER, ids=lambda row: row.id)
def test_every_row_names_tests_that_exist_or_a_gap(row: Row) -> None:
    assert row.tests or row.gap
    assert len(row.promise) > 10
    assert len(set(row.tests)) == len(row.tests)
    for test in row.tests:
        path, _, name = test.partition("::")
        assert Path(path).name.startswith("test_"), test
        found = find_tests(TESTS / path).get(name)
        assert found is not None, f"{row.id} names {test}, which does not exist"
        marks = [ast.unparse(one) for one in found.decorator_list]
        assert not any("mark.skip" in one or "xfail" in one for one in marks), test


def test_no_section_of_the_protocol_is_forgotten() -> None:
    # 1 are the words, 10 to 14 lists, examples and choices about what 2 to 9 promise.
    sections = set(re.findall(r"^## (\d+)\.", SPEC, re.MULTILINE))
    assert {str(number) for number in range(1, 15)} == sections
    assert {one.section for one in LEDGER} == {*map(str, range(2, 10)), "scripts"}


@pytest.mark.parametrize("message", sorted(MESSAGES))
def test_every_message_is_promised_something(message: str) -> None:
    assert f"`{message}`" in PROMISES


@pytest.mark.parametrize("code", CLOSE_CODES)
def test_every_close_code_is_promised(code: int) -> None:
    assert len(CLOSE_CODES) >= 10
    assert str(code) in PROMISES


def test_every_code_on_the_wire_is_promised() -> None:
    table = SPEC.split("### Error codes on the wire")[1].split("### Codes that stay inside")[0]
    codes = set(re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE))
    assert len(codes) > 40
    assert sorted(code for code in codes if f"`{code}`" not in PROMISES) == []


def test_the_page_is_what_the_ledger_says_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(LEDGER), (
        "out of date: python -m tests.interaction.ledger.table"
    )
