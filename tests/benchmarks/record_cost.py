"""What the record costs an order: `python -m tests.benchmarks.record_cost [--rounds 20]`.

Two hubs with the same fleet and load, one of them with the record left out, take short turns in
random order. What is compared is how many orders a second of the hub's own CPU does, which is what
orders a second come to where the hub has its core; what the turns' wall clocks say is told beside
it. A machine that others use too makes single turns worth little, so there are many, and the
quartiles are told with the median.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.hub_process import System
from tests.benchmarks.orders import Cell, measure

WITHOUT = [sys.executable, "-m", "tests.benchmarks.hub_without_record", "--json"]
GOAL, AIM = 0.20, 0.10
SHAPES = {"one POST each, C=32": (32, 1), "batches of 64, C=4": (4, 64)}


async def run(rounds: int, seconds: float, agents: int) -> dict[str, Any]:
    """Return, by shape of load, CPU per order with and without, and what the record adds."""
    cells: dict[tuple[str, bool], list[Cell]] = {}
    with tempfile.TemporaryDirectory(prefix="writ-bench-") as folder:
        systems: dict[bool, System] = {}
        try:
            for kept in (True, False):
                place = Path(folder) / ("with" if kept else "without")
                place.mkdir()
                command = None if kept else WITHOUT
                systems[kept] = System(place, agents=agents, hub_command=command)
                await systems[kept].enrol()
                await measure(systems[kept], name="warm-up", clients=8, batch=1, seconds=1)
            for _ in range(rounds):
                turns = [(name, kept) for name in SHAPES for kept in systems]
                for name, kept in random.sample(turns, len(turns)):
                    clients, batch = SHAPES[name]
                    cell = await measure(
                        systems[kept], name=name, clients=clients, batch=batch, seconds=seconds
                    )
                    cells.setdefault((name, kept), []).append(cell)
        finally:
            for one in systems.values():
                one.stop()
    return {name: _compare(cells[name, True], cells[name, False]) for name in SHAPES}


def _compare(kept: list[Cell], left_out: list[Cell]) -> dict[str, Any]:
    with_, without = sorted(map(_cpu, kept)), sorted(map(_cpu, left_out))
    cost = 1 - statistics.median(without) / statistics.median(with_)
    rates = [statistics.median(cell.per_second for cell in cells) for cells in (kept, left_out)]
    return {
        "turns": len(with_),
        "hubCpuMicrosecondsPerOrder": round(statistics.median(with_)),
        "withoutTheRecord": round(statistics.median(without)),
        "costOfTheRecord": round(cost, 3),
        "costByLowerQuartiles": round(1 - _lower_quartile(without) / _lower_quartile(with_), 3),
        "costByWallClock": round(1 - rates[0] / rates[1], 3),
        "withinGoal": cost <= GOAL,
        "withinAim": cost <= AIM,
    }


def _lower_quartile(ordered: list[float]) -> float:
    return ordered[len(ordered) // 4]


def _cpu(cell: Cell) -> float:
    return cell.hub_cpu_seconds / cell.orders * 1e6


def main() -> None:
    """Print the figures; exit 1 when the record costs more than the goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--agents", type=int, default=50)
    args = parser.parse_args()
    figures = asyncio.run(run(args.rounds, args.seconds, args.agents))
    for name, row in figures.items():
        print(name)
        for field, value in row.items():
            print(f"  {field:<28}{value}")
    dear = any(not row["withinGoal"] for row in figures.values())
    raise SystemExit(f"the record costs more than {GOAL:.0%}" if dear else 0)


if __name__ == "__main__":
    main()
