"""SPEC sections 7 and 8, by trying everything that can happen to one order.

The model is small, so nothing is left to chance: every order of events within its bounds. What it
promises is checked in every state; and from every state, once faults stop, the end is in reach.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import partial

import pytest

from tests.model.explore import Explored, Violation, explore
from tests.model.order_world import Kind, Rules, World, is_goal, judge, successors

PLAIN = Kind()
KINDS = {
    "plain": PLAIN,
    "twice each death": Kind(agent_deaths=2, hub_deaths=2, cuts=0),
    "idempotent": Kind(idempotent=True),
    "asks a person": Kind(needs_approval=True, may_expire=False),
    "cancelled": Kind(may_cancel=True, hub_deaths=0),
    "revoked": Kind(may_revoke=True, may_expire=False, hub_deaths=0),
    "asked, cancelled and revoked": Kind(
        needs_approval=True,
        may_cancel=True,
        may_revoke=True,
        may_expire=False,
        hub_deaths=0,
        cuts=0,
    ),
}
FOUND_BY = {
    "start_on_disk_first": (PLAIN, "started twice"),
    "ack_after_disk": (PLAIN, "stuck"),
    "first_end_wins": (PLAIN, "ended twice"),
    "dispatched_before_sent": (PLAIN, "expired, although it was started"),
    "holds_are_listed": (PLAIN, "expired, although it was started"),
    "results_are_resent": (PLAIN, "stuck"),
    "judged_at_start": (KINDS["revoked"], "started after the revocation was seen"),
    "approval_on_disk": (KINDS["asks a person"], "done without its approval"),
    "settled_before_holds": (PLAIN, "expired, although it was started"),
    "interrupted_is_told": (PLAIN, "started twice"),
}
"""What each rule of the product is there for: without it, this promise breaks."""


def run(kind: Kind, rules: Rules) -> Explored:
    return explore(World(), partial(successors, kind, rules), partial(judge, kind), is_goal)


@pytest.mark.parametrize("name", KINDS)
def test_every_promise_holds_in_every_state(name: str) -> None:
    explored = run(KINDS[name], Rules())
    print(f"{name}: {explored.states} states, {explored.steps} steps")
    assert explored.states > 200  # a world that hardly moves would prove nothing


def test_every_rule_is_tried_without() -> None:
    assert set(FOUND_BY) == {one.name for one in fields(Rules)}


@pytest.mark.parametrize("rule", FOUND_BY)
def test_without_any_one_rule_a_promise_breaks(rule: str) -> None:
    kind, broken = FOUND_BY[rule]
    with pytest.raises(Violation) as found:
        run(kind, replace(Rules(), **{rule: False}))
    print(found.value)
    assert found.value.broken.startswith(broken)
