"""An order only goes forward, and ends once (SPEC section 8)."""

from __future__ import annotations

import itertools

import pytest

from protocol.lifecycle import (
    TERMINAL,
    TRANSITIONS,
    can_expire_by_time,
    decide_transition,
    state_of,
)
from protocol.messages import IntentState, ResultStatus

ROAD = [
    IntentState.QUEUED,
    IntentState.DISPATCHED,
    IntentState.ACCEPTED,
    IntentState.RUNNING,
]


def test_every_state_has_its_successors() -> None:
    assert set(TRANSITIONS) == set(IntentState)


@pytest.mark.parametrize(("earlier", "later"), list(itertools.combinations(ROAD, 2)))
def test_steps_may_be_skipped_but_never_taken_back(
    earlier: IntentState, later: IntentState
) -> None:
    assert decide_transition(earlier, later)
    assert not decide_transition(later, earlier)


@pytest.mark.parametrize("end", sorted(TERMINAL))
def test_an_end_is_reached_from_everywhere_and_left_for_nothing(end: IntentState) -> None:
    assert all(decide_transition(state, end) for state in ROAD)
    assert not any(decide_transition(end, state) for state in IntentState)


@pytest.mark.parametrize("state", list(IntentState))
def test_staying_is_no_transition(state: IntentState) -> None:
    assert not decide_transition(state, state)


def test_every_result_ends_its_order_and_none_makes_it_expire() -> None:
    ends = {state_of(status) for status in ResultStatus}
    assert ends == TERMINAL - {IntentState.EXPIRED}


def test_only_what_no_agent_has_accepted_expires_by_time() -> None:
    assert [state for state in IntentState if can_expire_by_time(state)] == ROAD[:2]
