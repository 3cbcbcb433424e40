"""Reports of progress fit a frame's bound, whatever an executor says."""

from __future__ import annotations

from typing import Any

import pytest

from agentd.progress import cut_progress
from protocol.canonical import canonical_json
from protocol.errors import BadJsonError
from protocol.limits import MAX_PROGRESS_BYTES


@pytest.mark.parametrize("data", ["started", {"step": 1}, None, "x" * (MAX_PROGRESS_BYTES - 2)])
def test_what_fits_is_shown_as_it_is(data: Any) -> None:
    assert cut_progress(data) == data


@pytest.mark.parametrize(
    "data",
    [
        "x" * (MAX_PROGRESS_BYTES - 1),
        "\x00" * MAX_PROGRESS_BYTES,
        "\u20ac" * MAX_PROGRESS_BYTES,
        "\U0001f600" * MAX_PROGRESS_BYTES,
        {"lines": ["a line"] * 5_000},
    ],
)
def test_what_does_not_is_cut_and_says_so(data: Any) -> None:
    shown = cut_progress(data)
    assert isinstance(shown, str)
    assert shown.endswith(" [cut]")
    assert MAX_PROGRESS_BYTES // 2 < len(canonical_json(shown)) <= MAX_PROGRESS_BYTES
    if isinstance(data, str):
        assert data.startswith(shown.removesuffix(" [cut]"))


def test_what_is_no_json_is_no_report() -> None:
    with pytest.raises(BadJsonError):
        cut_progress(float("nan"))
