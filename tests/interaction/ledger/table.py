"""The ledger as a page for readers: `python -m tests.interaction.ledger.table` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.interaction.ledger import LEDGER
from tests.interaction.ledger.row import Row

CHECKOUT: Final = Path(__file__).resolve().parents[3]
PAGE: Final = CHECKOUT / "docs" / "reference" / "promises.md"
_TITLES: Final = {
    "2": "Identity",
    "3": "Envelope and checks",
    "4": "Connection and control frames",
    "5": "Enrolment",
    "6": "Documents",
    "7": "Authority",
    "8": "Delivery",
    "9": "The record",
    "scripts": "For scripts",
}
_HEAD: Final = """# Promises, and the tests that show them

Every promise of the [protocol](../../protocol/SPEC.md) and of what scripts rely on, with the tests
that fail when it is broken. Where no test shows it yet, the gap says why. This page is made from
`tests/interaction/ledger/` by `python -m tests.interaction.ledger.table`; a test fails when it is
out of date, names a test that does not exist, or forgets a section, a message or a close code.
"""


def render(rows: Sequence[Row]) -> str:
    """Return the page: one table a section, in the order of the rows."""
    parts = [_HEAD]
    shown = sum(1 for one in rows if one.tests and not one.gap)
    partly = sum(1 for one in rows if one.tests and one.gap)
    open_ = len(rows) - shown - partly
    parts.append(f"{len(rows)} promises: {shown} shown, {partly} shown in part, {open_} open.\n")
    for section in dict.fromkeys(one.section for one in rows):
        title = _TITLES[section]
        name = title if section == "scripts" else f"SPEC {section}: {title}"
        parts.append(f"## {name}\n\n| id | promise | shown by |\n|---|---|---|")
        parts += [_line(one) for one in rows if one.section == section]
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _line(one: Row) -> str:
    shown = [_link(test) for test in one.tests]
    if one.gap:
        shown.append(f"*gap:* {_cell(one.gap)}")
    return f"| `{one.id}` | {_cell(one.promise)} | {'<br>'.join(shown)} |"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../../tests/{path})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(render(LEDGER), encoding="utf-8")
