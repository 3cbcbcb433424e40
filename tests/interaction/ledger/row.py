"""One promise: where it stands, what it says, and the tests that show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A promise of the protocol or of the surface for scripts.

    `section` is that of `protocol/SPEC.md` (the protocol text has the same numbers), or `scripts`.
    `tests` are node ids below `tests/`. A row without tests names its `gap`; a row with tests may
    name what they leave open.
    """

    id: str
    section: str
    promise: str
    tests: tuple[str, ...] = ()
    gap: str = ""


def row(id_: str, section: str, promise: str, *tests: str, gap: str = "") -> Row:
    """Return a row; `tests` are node ids below `tests/`."""
    return Row(id_, section, promise, tests, gap)
