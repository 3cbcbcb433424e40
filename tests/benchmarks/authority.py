"""Prints what one decision of authority costs: `python -m tests.benchmarks.authority`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from protocol import links
from protocol.authority import authorize_intent
from protocol.conditions import ConditionContext
from protocol.limits_window import Usage
from protocol.policy import decide_policy
from tests.protocol.authority_world import (
    AGENT,
    ALICE,
    BOB,
    CAROL,
    NOW,
    ROOT,
    delegate,
    intent,
    policy,
    view,
)

ROUNDS = 2_000


def microseconds(run: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median and 99th percentile of one call, after a warm-up."""
    for _ in range(rounds // 10):
        run()
    times = []
    for _ in range(rounds):
        started = time.perf_counter_ns()
        run()
        times.append((time.perf_counter_ns() - started) / 1_000)
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def main() -> None:
    """Print one line per measurement."""
    first = delegate(ROOT, ALICE, max_depth=2)
    second = delegate(ALICE, BOB, parent=first, max_depth=1)
    third = delegate(BOB, CAROL, parent=second)
    held = view(first, second, third)
    order = intent(CAROL, first, second, third)

    def chain() -> object:
        return held.chain_to(CAROL.public_key, order.payload.proof, now=NOW, forbid_hub=False)

    def cold_chain() -> object:
        links._verified_signatures.clear()
        return chain()

    rules = [
        {"id": f"r{number}", "effect": "allow", "actions": [f"a{number}.*"]}
        for number in range(100)
    ]
    plain = policy(*rules, {"id": "echo", "effect": "allow", "actions": ["echo"]})
    asking = policy(
        {
            "id": "echo",
            "effect": "allow",
            "actions": ["echo"],
            "when": "params.path.startsWith('x')",
        }
    )
    context = ConditionContext(
        action="echo",
        params={"path": "x/y"},
        realm="default",
        caller_did=CAROL.public_key.did,
        now=NOW,
        agent_did=AGENT.public_key.did,
    )
    measurements: dict[str, Callable[[], object]] = {
        "chain of 3, signatures remembered": chain,
        "chain of 3, cold": cold_chain,
        "policy of 101 rules, no condition": lambda: decide_policy(
            plain, context=context, now=NOW, expires=None
        ),
        "policy with one condition": lambda: decide_policy(
            asking, context=context, now=NOW, expires=None
        ),
        "authorize_intent, steps 1 to 5": lambda: authorize_intent(
            order, held, now=NOW, usage=Usage()
        ),
    }
    for name, run in measurements.items():
        median, worst = microseconds(run)
        print(f"{name:40} median {median:8.1f} us   p99 {worst:8.1f} us")


if __name__ == "__main__":
    main()
