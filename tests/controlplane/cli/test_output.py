"""Data on stdout, chatter on stderr, and nothing an agent says can steer a terminal."""

from __future__ import annotations

import json

import pytest

from controlplane.cli.output import Printer, cell, display_width, fit, shrink
from controlplane.cli.plain_text import clean
from controlplane.cli.session import Session
from controlplane.cli.work import _print_intent


def test_control_characters_of_others_are_shown_inert() -> None:
    assert clean("a\x1b[31mred\x07") == "a\ufffd[31mred\ufffd"
    assert cell({"name": "\x1b]0;title\x07"}, "name") == "\ufffd]0;title\ufffd"


def test_bidirectional_overrides_are_shown_inert() -> None:
    assert "\u202e" not in clean("safe\u202eexe.txt")


def test_a_cell_takes_wide_characters_for_two() -> None:
    assert display_width("日本") == 4
    assert display_width(fit("日本語テキスト", 7)) == 7


def test_the_widest_columns_give_way_first() -> None:
    assert shrink([10, 50, 8], 60) == [10, 38, 8]
    assert shrink([4, 4], 80) == [4, 4]


def test_a_listing_for_programs_is_the_answer_of_the_hub(
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = {"items": [{"id": "1", "name": "a"}], "nextCursor": None}
    Printer("json").listing(page, [("NAME", "name")], empty="none")
    captured = capsys.readouterr()
    assert json.loads(captured.out) == page
    assert captured.err == ""


def test_an_empty_listing_tells_a_person_what_to_do_next(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Printer("table").listing(
        {"items": [], "nextCursor": None}, [("NAME", "name")], empty="none yet"
    )
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "none yet" in captured.err


def test_a_piped_table_is_neither_cut_nor_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["x" * 200, "y"]]
    Printer("table").table(["A", "B"], rows)
    assert capsys.readouterr().out.splitlines()[1] == "x" * 200 + "  y"


def test_an_order_is_told_in_colour_and_its_words_are_inert(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    session = Session(url=None, profile=None, form="table")
    _print_intent(session, {"id": "1", "state": "succeeded", "action": "a\x1b[2Jb", "agent": "x"})
    told = capsys.readouterr().err
    assert "\x1b[2J" not in told
    assert "a\ufffd[2Jb" in told
    assert "\ufffd[32m" not in told
