"""Prints results: data on stdout in the form asked for, chatter on stderr, never the two mixed."""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence, Set
from datetime import UTC, datetime
from typing import Any

import click

from controlplane.cli.failures import USAGE, CliError
from controlplane.cli.plain_text import clean

Column = tuple[str, str | Callable[[dict[str, Any]], object]]
"""A heading, and the field (dotted path) or function that fills it."""


class Printer:
    """Writes in one form: `table` for people, `json` or `yaml` for programs."""

    def __init__(self, form: str) -> None:
        self.form = form

    @property
    def for_people(self) -> bool:
        """Whether a person reads this."""
        return self.form == "table"

    def data(self, value: Any) -> None:
        """Print one value as it is, in the machine form; pretty JSON for people."""
        if self.form == "yaml":
            yaml = load_yaml()
            click.echo(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), nl=False)
        elif self.form == "json":
            click.echo(json.dumps(value, ensure_ascii=False))
        else:
            click.echo(clean(json.dumps(value, ensure_ascii=False, indent=2), keep="\n"))

    def line(self, value: Any) -> None:
        """Print one JSON object on one line at once: for streams."""
        click.echo(json.dumps(value, ensure_ascii=False))
        sys.stdout.flush()

    def listing(self, page: dict[str, Any], columns: Sequence[Column], *, empty: str) -> None:
        """Print `{"items", "nextCursor"}`: a table for people, the same object for programs."""
        if not self.for_people:
            self.data(page)
            return
        items = page["items"]
        if not items:
            self.say(empty)
            return
        self.table([name for name, _ in columns], [[cell(i, c) for _, c in columns] for i in items])
        if page.get("nextCursor"):
            self.say("... there are more: raise --limit")

    def record(self, value: dict[str, Any], columns: Sequence[Column]) -> None:
        """Print one object: a field a line for people, the whole object for programs."""
        if not self.for_people:
            self.data(value)
            return
        width = max(len(name) for name, _ in columns)
        for name, source in columns:
            click.echo(f"{click.style(name.ljust(width), dim=True)}  {cell(value, source)}")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table that fits the terminal; piped, nothing is cut and no colour is used."""
        on_terminal = sys.stdout.isatty()
        lines = [list(headings), *[list(row) for row in rows]]
        if on_terminal:
            now = datetime.now(UTC)
            lines = [lines[0], *([shorten(text, now) for text in line] for line in lines[1:])]
        widths = [max(display_width(line[n]) for line in lines) for n in range(len(headings))]
        if on_terminal:
            total = shutil.get_terminal_size((80, 24)).columns
            fixed = {n for n, heading in enumerate(headings) if heading in NEVER_CUT}
            shown = choose_columns(widths, total, fixed)
            lines = [[line[n] for n in shown] for line in lines]
            kept = {place for place, n in enumerate(shown) if n in fixed}
            widths = shrink([widths[n] for n in shown], total, kept)
        for number, line in enumerate(lines):
            cells = [fit(text, width) for text, width in zip(line, widths, strict=True)]
            text = "  ".join(cells).rstrip()
            click.echo(click.style(text, bold=True) if number == 0 and on_terminal else text)

    def say(self, text: str) -> None:
        """Tell a person something beside the data; silent for programs."""
        if self.for_people:
            click.echo(clean(text, keep="\n\t"), err=True)


def cell(item: dict[str, Any], source: str | Callable[[dict[str, Any]], object]) -> str:
    """Return the text of one field; lists joined, nothing as `-`, never a control character."""
    value: object = source(item) if callable(source) else item
    if isinstance(source, str):
        for name in source.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return clean(", ".join(str(one) for one in value))
    if isinstance(value, dict):
        return clean(", ".join(f"{name}={one}" for name, one in value.items()))
    return clean(str(value))


GAP = 2
NARROWEST = 6
READABLE = 10


NEVER_CUT = frozenset({"ID", "FINGERPRINT"})
"""Headings of what people copy or compare: half of it is worth nothing."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def shorten(text: str, now: datetime) -> str:
    """Return what a person needs of a cell: times as distances, DIDs as their two ends."""
    if _TIME.fullmatch(text):
        seconds = int((now - datetime.fromisoformat(text)).total_seconds())
        size, unit = next((u for u in _UNITS if abs(seconds) >= u[0]), _UNITS[-1])
        distance = f"{abs(seconds) // size} {unit}"
        return f"{distance} ago" if seconds >= 0 else f"in {distance}"
    if text.startswith("did:key:") and len(text) > 40:
        return f"{text[:14]}\N{HORIZONTAL ELLIPSIS}{text[-6:]}"
    return text


def choose_columns(widths: Sequence[int], total: int, fixed: Set[int]) -> list[int]:
    """Return the columns that fit in `total` at all; those furthest right are left out first."""
    least = [width if n in fixed else min(width, READABLE) for n, width in enumerate(widths)]
    shown = list(range(len(widths)))
    while sum(least[n] for n in shown) + GAP * (len(shown) - 1) > total:
        loose = [n for n in shown[1:] if n not in fixed]
        if not loose:
            break
        shown.remove(loose[-1])
    return shown


def shrink(widths: Sequence[int], total: int, fixed: Set[int] = frozenset()) -> list[int]:
    """Return widths whose sum and gaps fit in `total`; the widest columns give way first."""
    fitted = list(widths)
    while sum(fitted) + GAP * (len(fitted) - 1) > total:
        loose = [n for n, width in enumerate(fitted) if n not in fixed and width > NARROWEST]
        if not loose:
            break
        fitted[max(loose, key=lambda n: (fitted[n], -n))] -= 1
    return fitted


def fit(text: str, width: int) -> str:
    """Return `text` cut with an ellipsis, or padded, to exactly `width` terminal cells."""
    if display_width(text) > width:
        while text and display_width(text) > width - 1:
            text = text[:-1]
        text += "\N{HORIZONTAL ELLIPSIS}"
    return text + " " * (width - display_width(text))


def display_width(text: str) -> int:
    """Return the terminal cells that `text` takes: wide East Asian characters two, marks none."""
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def load_yaml() -> Any:
    """Return the YAML module; it is not part of the base install.

    Raises:
        CliError: it is not installed.
    """
    try:
        import yaml
    except ImportError as exc:
        raise CliError("YAML needs: pip install 'writd[cli]'", exit_code=USAGE) from exc
    return yaml
