"""What an agent says of its use is taken as it is meant, and whatever else it says is nothing."""

from __future__ import annotations

from typing import Any

import pytest

from controlplane.spending import permille_of, read_nearest_limit
from protocol.limits_window import LimitUse


def heartbeat(nearest: Any) -> dict[str, Any]:
    return {"tokenUsage": {"nearest": nearest}}


def test_the_limit_an_agent_names_is_read() -> None:
    said = {"limit": "tokensPerDay", "used": 90, "most": 100}
    near = read_nearest_limit(heartbeat(said))
    assert near == LimitUse("tokensPerDay", 90, 100)
    assert permille_of(near) == 900
    assert permille_of(LimitUse("centsPerDay", 0, 0)) == 1_000
    assert permille_of(LimitUse("centsPerDay", 1e12, 1e-9)) == 1_000_000


@pytest.mark.parametrize(
    "said",
    [
        None,
        "much",
        {"limit": "tokensPerDay"},
        {"limit": "tokensPerDay", "used": -1, "most": 100},
        {"limit": "tokensPerDay", "used": True, "most": 100},
        {"limit": "tokensPerDay", "used": "9", "most": 100},
        {"limit": "tokensPerDay", "used": float("nan"), "most": 100},
        {"limit": "tokensPerDay", "used": 10**300, "most": 100},
        {"limit": "<img>", "used": 9, "most": 10},
        {"limit": ["tokensPerDay"], "used": 9, "most": 10},
    ],
)
def test_what_has_another_form_is_no_limit(said: Any) -> None:
    assert read_nearest_limit(heartbeat(said)) is None


@pytest.mark.parametrize("said", [{}, {"tokenUsage": None}, {"tokenUsage": []}])
def test_who_says_nothing_is_near_nothing(said: dict[str, Any]) -> None:
    assert read_nearest_limit(said) is None
