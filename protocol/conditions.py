"""Owns conditions: CEL text in, true or false out, or `ConditionError` (SPEC section 6).

Every doubt is an error: no engine, text that cannot be bounded, a missing value, a result that is
not a bool, an engine that panics. What an error means is the caller's: a deny's `when` matches, an
allow's does not, a delegation's condition is false. Knows nothing of chains and policies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from protocol.cel_engine import Program, is_panic, load_engine
from protocol.condition_bounds import Bounds, check_bounds, parse_bounds
from protocol.errors import ConditionError


@dataclass(frozen=True, slots=True)
class ConditionContext:
    """What a condition may know about one order.

    Attributes:
        action: name of the action.
        params: the order's params, inside the JSON profile.
        realm: the order's realm.
        caller_did: the signer of the order.
        on_behalf_of: the person it was ordered for, or None.
        depth: links from the root to the signer; 0 for the root itself.
        now: aware UTC.
        agent_did: this agent.
        agent_name: its name at the hub.
        agent_labels: its labels.
        tokens_today: LLM tokens used in the last 24 hours.
        cents_today: money used in the last 24 hours, in cents.
        orders_this_hour: orders accepted in the last 60 minutes.
        taint: marks of the data this order came from.
    """

    action: str
    params: Mapping[str, object]
    realm: str
    caller_did: str
    now: datetime
    agent_did: str
    agent_name: str = ""
    agent_labels: Mapping[str, str] = field(default_factory=dict)
    on_behalf_of: str | None = None
    depth: int = 0
    tokens_today: int = 0
    cents_today: float = 0
    orders_this_hour: int = 0
    taint: Sequence[str] = ()

    def variables(self) -> dict[str, object]:
        """Return the CEL variables, with the names of SPEC section 6."""
        return {
            "action": self.action,
            "params": self.params,
            "realm": self.realm,
            "caller": {
                "did": self.caller_did,
                "onBehalfOf": self.on_behalf_of,
                "depth": self.depth,
            },
            "now": self.now,
            "agent": {
                "did": self.agent_did,
                "name": self.agent_name,
                "labels": dict(self.agent_labels),
            },
            "budget": {
                "tokensToday": self.tokens_today,
                "centsToday": self.cents_today,
                "ordersThisHour": self.orders_this_hour,
            },
            "taint": list(self.taint),
        }


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition; made by `compile_condition` only."""

    source: str
    bounds: Bounds
    names: frozenset[str]
    program: Program = field(repr=False, compare=False)

    def evaluate(self, variables: Mapping[str, object]) -> bool:
        """Return what the condition says about `variables`.

        Raises:
            ConditionError: a missing value, a type that does not fit, a result that is not a
                bool, or variables too large to be sure that the evaluation ends soon.
        """
        check_bounds(self.bounds, variables)
        # Only what the text names is handed over: converting the rest would cost the most.
        named = {name: variables[name] for name in self.names & variables.keys()}
        try:
            result = self.program.execute(named)
        except BaseException as exc:
            raise _as_condition_error(exc, "cannot be evaluated") from exc
        if not isinstance(result, bool):
            raise ConditionError(f"the condition is {type(result).__name__}, not true or false")
        return result


def compile_condition(source: str) -> Condition:
    """Return the compiled condition; the newest 512 are kept.

    Raises:
        ConditionError: not CEL, too long, a cost that cannot be bounded, or no engine.
    """
    compiled = _compile(source)
    if isinstance(compiled, str):
        raise ConditionError(compiled)
    return compiled


@lru_cache(maxsize=512)
def _compile(source: str) -> Condition | str:
    """The condition, or what is wrong with its text: bad text is not read twice either."""
    engine = load_engine()
    try:
        bounds = parse_bounds(source)
        program = engine.compile(source)
        names = frozenset(program.variables())
    except BaseException as exc:
        error = _as_condition_error(exc, "is not CEL")
        if isinstance(error, ConditionError):
            return error.message
        raise
    return Condition(source, bounds, names, program)


def _as_condition_error(exc: BaseException, what: str) -> BaseException:
    """`ConditionError` for whatever the engine raised; a signal of the process stays itself."""
    if isinstance(exc, ConditionError):
        return exc
    if isinstance(exc, Exception) or is_panic(exc):
        return ConditionError(f"the condition {what}: {str(exc)[:200]}")
    return exc
