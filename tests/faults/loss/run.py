"""One run from the first order to the verdict."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.faults.loss.orders import Clients
from tests.faults.loss.parts import Killer, World, world
from tests.faults.loss.verdict import judge, judge_record, wait_for_ends

SETTLE_SECONDS: Final = 180.0
"""How long after the last kill an order may take to end before it counts as stuck."""
STALL_SECONDS: Final = 900.0
"""How long nothing may be acknowledged before the run is given up."""
_SAY_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do; the seed draws orders and kills."""

    orders: int
    seed: int
    agents: int = 4
    batch: int = 50
    clients: int = 8
    pause_seconds: float = 12.0
    on_sqlite: bool = False
    most_seconds: float = float("inf")


def run(folder: Path, plan: Plan, *, say: Callable[[str], None]) -> dict[str, Any]:
    """Order and kill, wait, judge; return everything that was counted, `ok` above all."""
    say(f"seed {plan.seed}")
    rng = random.Random(plan.seed)
    with world(folder, agents=plan.agents, on_sqlite=plan.on_sqlite) as made:
        killer = Killer(made.parts, random.Random(rng.random()), pause_seconds=plan.pause_seconds)
        clients = Clients(
            *(made, plan.orders, rng),
            batch=plan.batch,
            clients=plan.clients,
            enough=lambda: not killer.spared,
        )
        began = time.monotonic()
        clients.start()
        killer.start()
        try:
            _watch(clients, killer, plan, say)
        finally:
            clients.stop()
            killer.stop()
        if clients.failed is not None:
            raise clients.failed
        seconds = time.monotonic() - began
        say(f"{clients.acknowledged} orders acknowledged, everything up again; waiting for ends")
        settled = wait_for_ends(made, SETTLE_SECONDS)
        verdict = judge(made, clients.ledger)
        judge_record(made, verdict)
        return {
            "ok": verdict.holds,
            "seed": plan.seed,
            "orders": clients.acknowledged,
            "seconds": round(seconds, 1),
            "settledAfterSeconds": round(settled, 1),
            "kills": dict(sorted(killer.kills.items())),
            "answers": dict(clients.ledger.answers.most_common()),
            "ends": dict(verdict.ends.most_common()),
            **verdict.counts,
            "examples": verdict.examples(),
            "processes": _describe(made),
        }


def report(done: dict[str, Any]) -> str:
    """Return the outcome as a table for a terminal."""
    rows = {name: value for name, value in done.items() if name not in ("ok", "examples")}
    lines = [f"  {name:<22}{_inline(value)}" for name, value in rows.items()]
    lines += [f"  {name}: {one}" for name, many in done["examples"].items() for one in many]
    verdict = "nothing lost, nothing twice, nothing stuck" if done["ok"] else "BROKEN"
    return "\n".join([*lines, f"  {verdict}"])


def _watch(clients: Clients, killer: Killer, plan: Plan, say: Callable[[str], None]) -> None:
    began = changed = said = time.monotonic()
    before = 0
    pause = threading.Event()
    while not clients.done:
        pause.wait(0.1)
        now, so_far = time.monotonic(), clients.acknowledged
        if killer.failed is not None:
            raise killer.failed
        if so_far != before:
            before, changed = so_far, now
        assert now - changed < STALL_SECONDS, f"nothing acknowledged for {STALL_SECONDS:.0f} s"
        if now - began > plan.most_seconds:
            clients.stop()
        if now - said >= _SAY_SECONDS:
            said = now
            kills = ", ".join(f"{count} {kind}" for kind, count in sorted(killer.kills.items()))
            say(f"{now - began:6.0f} s  {so_far} of {plan.orders} orders; killed: {kills}")


def _describe(made: World) -> str:
    kinds: dict[str, int] = {}
    for part in made.parts:
        kinds[part.kind] = kinds.get(part.kind, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return str(value)
