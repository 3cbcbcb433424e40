"""The states of an order at the hub: only forward, and one end (SPEC section 8).

Pure: the hub's store makes a transition real by compare-and-set, and asks here whether it may.
`cancelRequested` and `unconfirmed` are flags beside the state, not states.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from protocol.messages.intents import IntentState, ResultStatus

_S = IntentState

TERMINAL: Final[frozenset[IntentState]] = frozenset(
    {
        _S.SUCCEEDED,
        _S.FAILED,
        _S.REFUSED,
        _S.CANCELLED,
        _S.TIMED_OUT,
        _S.INTERRUPTED,
        _S.EXPIRED,
    }
)
"""States that nothing follows."""


TRANSITIONS: Final[Mapping[IntentState, frozenset[IntentState]]] = MappingProxyType(
    {
        # Steps may be skipped: a fast result stands for `accepted` and `running`.
        _S.QUEUED: frozenset({_S.DISPATCHED, _S.ACCEPTED, _S.RUNNING}) | TERMINAL,
        _S.DISPATCHED: frozenset({_S.ACCEPTED, _S.RUNNING}) | TERMINAL,
        # `expired` after acceptance only with `unconfirmed`: the agent never came back to tell.
        _S.ACCEPTED: frozenset({_S.RUNNING}) | TERMINAL,
        _S.RUNNING: TERMINAL,
        **{state: frozenset[IntentState]() for state in TERMINAL},
    }
)
"""What may follow each state."""


def decide_transition(current: IntentState, new: IntentState) -> bool:
    """Whether an order in `current` may become `new`; staying is no transition."""
    return new in TRANSITIONS[current]


def state_of(status: ResultStatus) -> IntentState:
    """Return the terminal state that a result of `status` ends its order in."""
    return IntentState(status.value)


def can_expire_by_time(current: IntentState) -> bool:
    """Whether an order may become `expired` without waiting for `unconfirmed`.

    True for `queued`; true for `dispatched` only once the agent is back and does not list the
    order in `holds.intents`, which the caller must know.
    """
    return current in (_S.QUEUED, _S.DISPATCHED)
