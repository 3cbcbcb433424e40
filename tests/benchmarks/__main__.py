"""`make bench`: one run, one report, every figure beside what this machine could do in that moment.

    python -m tests.benchmarks [--quick] [--agents N] [--publish]

Rounds are interleaved: in each, every system has its turn, in random order (the seed is printed).
Each turn stands between two calibrations of both cores. At the end every reply must have a durable
row and a valid signed result, or the run is void.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import agent_cost, crowd, dashboard, goals, record, record_cost, report
from tests.benchmarks.floors import Floor, commit_floor
from tests.benchmarks.machine import HUB_CPU, LOAD_CPU, Calibrator, family
from tests.benchmarks.orders import Cell, System, check_ledger, measure, measure_open, quantile
from tests.benchmarks.peers import Celery, MissingServerError, Nats
from tests.servers.postgres import PostgresServer

LOADS = ((goals.SINGLE, 32, 1), (goals.BATCH, 4, 64), (goals.ALONE, 1, 1))
DOCS = Path(__file__).parents[2] / "docs" / "reference"
Turn = Callable[[], Awaitable[Cell]]


def tell(text: str) -> None:
    """Say on stderr how far it has come."""
    print(text, file=sys.stderr, flush=True)


class Bench:
    """Everything that takes part, started once and kept up through all rounds."""

    def __init__(self, folder: Path, stack: ExitStack, args: argparse.Namespace) -> None:
        self.args = args
        self.chance = random.Random(args.seed)
        self.by = Calibrator()
        stack.callback(self.by.stop)
        self.left_out: list[str] = []
        self.cells: list[Cell] = []
        self.rounds: list[dict[str, Any]] = []
        self.systems: dict[str, System] = {}
        self._folder, self._stack = folder, stack
        self._turns: dict[str, Turn] = {}

    async def start(self) -> None:
        """Start hubs, fleets, floors and peers; what is not there is left out by name."""
        tell("starting hubs, agents, bare servers and what people use instead")
        await self._add_hub(goals.SQLITE)
        server = None
        try:
            server = PostgresServer()
            self._stack.callback(server.remove)
        except Exception as exc:
            self.left_out.append(f"Postgres ({exc})")
        if server is not None:
            for pid in family(server.pid):  # hub and database share a core; what it forks follows
                os.sched_setaffinity(pid, {HUB_CPU})
            await self._add_hub(goals.POSTGRES, server.url(server.create()), server.pid)
        for name, kind in ((goals.HTTP, "http"), (goals.ECHO, "echo")):
            floor = Floor(kind)
            self._stack.callback(floor.stop)
            self._add_turn(f"{name}, {goals.SINGLE}", floor, 32)
            self._add_turn(f"{name}, {goals.ALONE}", floor, 1)
        for name, peer, at_once in ((goals.NATS, Nats, 64), (goals.CELERY, Celery, 64)):
            try:
                one = peer(self._folder)
            except (MissingServerError, ImportError) as exc:
                self.left_out.append(f"{name}: no {exc}")
                continue
            self._stack.callback(one.stop)
            self._add_turn(name, one, at_once)

    async def _add_hub(self, name: str, url: str | None = None, pid: int | None = None) -> None:
        place = self._folder / name
        place.mkdir()
        agents = self.args.bench_agents
        system = System(place, agents=agents, database_url=url, database_pid=pid)
        self._stack.callback(system.stop)
        self.systems[name] = system
        await system.enrol()
        await measure(system, name="warm-up", clients=8, batch=8, seconds=self.args.seconds)
        for load, clients, batch in LOADS:
            self._turns[f"{name}, {load}"] = _turn(
                system, f"{name}, {load}", clients, batch, self.args.seconds, self.by
            )

    def _add_turn(self, name: str, one: Any, clients: int) -> None:
        self._turns[name] = lambda: one.measure(
            name=name, clients=clients, seconds=self.args.seconds, by=self.by
        )

    async def run_rounds(self) -> None:
        """Give everything its turn in every round, then half load at the rate that was found."""
        for number in range(1, self.args.rounds + 1):
            found: dict[str, Any] = {}
            names = self.chance.sample(list(self._turns), len(self._turns))
            for name in names:
                cell = found[name] = await self._turns[name]()
                self.cells.append(cell)
                tell(
                    f"round {number}/{self.args.rounds}  {name:44} {cell.per_second:9,.0f}/s"
                    f"  {100 * cell.share:6.1f} % of limit, core {100 * cell.utilisation:3.0f} %"
                )
            found["floorMs"] = self._floor_ms(found)
            self.rounds.append(found)
        name = f"{goals.SQLITE}, {goals.SINGLE}"
        rates = sorted(c.per_second for c in goals.best(self.cells, name)[0])
        for _ in range(self.args.rounds):
            cell = await measure_open(
                self.systems[goals.SQLITE],
                name=f"{goals.SQLITE}, {goals.HALF}",
                per_second=rates[len(rates) // 2] / 2,
                seconds=2 * self.args.seconds,
                chance=self.chance,
                calibrator=self.by,
            )
            self.cells.append(cell)
            p99 = quantile(cell.latencies_ms, 0.99)
            tell(f"half load  {cell.per_second:8,.0f}/s  p99 {p99:.1f} ms")

    def _floor_ms(self, found: dict[str, Any]) -> float:
        """What one order costs at least, one step after the other (see the goal)."""
        commit_ms, per_second = commit_floor(self._folder, self.args.seconds)
        http = quantile(found[f"{goals.HTTP}, {goals.ALONE}"].latencies_ms, 0.5)
        echo = quantile(found[f"{goals.ECHO}, {goals.ALONE}"].latencies_ms, 0.5)
        limit = sum(found[f"{name}, {goals.ALONE}"].limit_per_second for name in (goals.HTTP,))
        found["commitMs"], found["commitUnitsPerSecond"] = commit_ms, per_second
        return http + echo + 2 * 1000 / limit + 2 * commit_ms


def _turn(
    system: System, name: str, clients: int, batch: int, seconds: float, by: Calibrator
) -> Turn:
    async def turn() -> Cell:
        return await measure(
            system, name=name, clients=clients, batch=batch, seconds=seconds, calibrator=by
        )

    return turn


async def run(args: argparse.Namespace, folder: Path) -> tuple[dict[str, Any], Any, Bench]:
    """Measure everything that was asked for."""
    others: dict[str, Any] = {}
    more: dict[str, Any] = {}
    with ExitStack() as stack:
        bench = Bench(folder, stack, args)
        await bench.start()
        await bench.run_rounds()
        tell("what an agent costs")
        others["agent"] = await agent_cost.measure(
            folder, bench.systems[goals.SQLITE], 2 if args.quick else 5
        )
    checked = {name: await check_ledger(one) for name, one in bench.systems.items()}
    ledger = ", ".join(f"{count:,} on {name}" for name, count in checked.items())
    ledger = f"Every reply has a durable row and a valid signed result ({ledger})."
    tell(ledger)
    if args.agents:
        tell(f"{args.agents} agents on one hub")
        place = folder / "crowd"
        place.mkdir()
        others["crowd"] = more[f"{args.agents:,} agents on one hub"] = await crowd.measure(
            place, args.agents
        )
    tell("what the record costs")
    turns = 4 if args.quick else 4 * args.rounds
    others["record"] = await record_cost.run(turns, args.seconds / 2, args.bench_agents)
    more |= {f"The record's cost: {name}": row for name, row in others["record"].items()}
    more["Proofs of the record"] = await record.measure(folder)
    more["Offline check of the record"] = record.measure_offline(folder / "export")
    if not args.quick:
        tell("the dashboard in a browser")
        try:
            more |= await asyncio.to_thread(dashboard.measure)
        except Exception as exc:
            bench.left_out.append(f"the dashboard ({type(exc).__name__}: {exc})")
    more["The bare commit"] = {
        "milliseconds alone (last round)": round(bench.rounds[-1]["commitMs"], 3),
        "units a second in groups of 64": round(bench.rounds[-1]["commitUnitsPerSecond"]),
    }
    more["One agent"] = others["agent"]
    facts = {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "rounds": args.rounds,
        "seconds": args.seconds,
        "agents": args.bench_agents,
        "seed": args.seed,
        "ledger": ledger,
        "left_out": bench.left_out,
        "more": more,
    }
    return facts, others, bench


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.benchmarks")
    parser.add_argument("--quick", action="store_true", help="a minute or two, for a look")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each cell")
    parser.add_argument("--agents", type=int, help="of the one big fleet; 0 leaves it out")
    parser.add_argument("--bench-agents", type=int, default=100, help="of every other hub")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--out", type=Path, default=Path("bench-report"))
    parser.add_argument("--publish", action="store_true", help="to docs/reference/benchmarks.md")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.seconds = args.seconds or (1.5 if args.quick else 4.0)
    if args.agents is None:
        args.agents = 200 if args.quick else 10_000
    return args


def main() -> None:
    """Measure, write the report, and print where it is."""
    args = parse()
    os.sched_setaffinity(0, {LOAD_CPU})
    tell(f"seed {args.seed}")
    with tempfile.TemporaryDirectory(prefix="writ-bench-") as folder:
        facts, others, bench = asyncio.run(run(args, Path(folder)))
    rows = goals.rows(bench.rounds, bench.cells, others)
    page = report.write_report(args.out, facts, rows, bench.cells)
    if args.publish:
        report.publish(args.out, DOCS)
    for row in rows:
        found = "-" if row.measured is None else f"{row.measured:.3g} {row.unit}"
        tell(f"{row.verdict:13} {found:>12}  {row.what}")
    print(page)


if __name__ == "__main__":
    main()
