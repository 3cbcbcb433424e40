"""`make bench`: one run, one report, every figure beside what this machine could do in that moment.

    python -m tests.benchmarks [--quick] [--only CELL]... [--rounds N] [--agents N]

Rounds are interleaved: in each, every system has its turn, in random order (the seed is printed).
Each turn stands between two calibrations of both cores. At the end every reply must have a durable
row and a valid signed result, or the run is void. What fails is said in its row; the rest goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    agent_cost,
    appenders,
    crowd,
    dashboard,
    goals,
    record,
    record_cost,
    report,
    several,
)
from tests.benchmarks.interleaved import Rounds, reason_of, tell
from tests.benchmarks.machine import LOAD_CPU, on_all_cores

DOCS = Path(__file__).parents[2] / "docs" / "reference"
LOOKS = Path("bench-report")
SECTIONS = ("agent", "crowd", "record", "proofs", "several", "dashboard")
"""What comes after the rounds; all else that `--only` names is part of a turn's name."""
MOST_SECONDS_OF_A_SECTION = 900
Facts = dict[str, Any]


class Run:
    """One run: its rounds, then its sections, each of which may fail alone."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        self.args, self.folder = args, folder
        self.chance = random.Random(args.seed)
        self.others: Facts = {}
        self.missing: dict[str, str] = {}
        self.ledger = ""
        self.void = False
        self.rounds: Rounds

    async def go(self) -> None:
        """Measure everything that was asked for."""
        args = self.args
        with ExitStack() as stack:
            self.rounds = Rounds(
                self.folder,
                stack,
                rounds=args.rounds,
                seconds=args.seconds,
                agents=args.bench_agents,
                chance=self.chance,
                only=[word for word in args.only if word not in SECTIONS],
            )
            if not args.only or set(args.only) - set(SECTIONS) or "agent" in args.only:
                await self._measure_rounds()
        await self._section("crowd", f"{args.agents:,} agents on one hub", self._crowd)
        await self._section("record", "what the record costs", self._record)
        await self._section("proofs", "proofs of the record", self._proofs)
        await self._section("several", "two hub processes against one", self._several)
        await self._section("dashboard", "the dashboard in a browser", self._dashboard)

    async def _measure_rounds(self) -> None:
        rounds = self.rounds
        try:
            await rounds.start()
            if self.args.only != ["agent"]:
                await rounds.run()
                await rounds.run_at_half_load()
            await self._section("agent", "what an agent costs", self._agent)
        except Exception as exc:
            self.missing["rounds"] = f"failed: {reason_of(exc)}"
            tell(f"the rounds {self.missing['rounds']}")
        try:
            self.ledger = await rounds.check()
        except Exception as exc:
            self.void, self.ledger = True, f"VOID: {reason_of(exc)}"
        tell(self.ledger)
        self.missing |= rounds.missing

    async def _section(self, name: str, what: str, measure: Callable[[], Awaitable[Facts]]) -> None:
        if self.args.only and name not in self.args.only:
            return
        if name in self.args.without:
            self.missing[name] = "left out of this run"
            return
        tell(what)
        began = time.monotonic()
        try:
            async with asyncio.timeout(MOST_SECONDS_OF_A_SECTION):
                self.others[name] = await measure()
        except Exception as exc:
            self.missing[name] = f"failed: {reason_of(exc)}"
            self.void = self.void or "void: " in self.missing[name]
            tell(f"  {self.missing[name]}")
        tell(f"  {time.monotonic() - began:.0f} s")

    async def _agent(self) -> Facts:
        system = self.rounds.systems[goals.SQLITE]
        return await agent_cost.measure(self.folder, system, 2 if self.args.quick else 5)

    async def _crowd(self) -> Facts:
        place = self.folder / "crowd"
        place.mkdir()
        return await crowd.measure(place, self.args.agents)

    async def _record(self) -> Facts:
        turns = 2 * self.args.rounds + 2
        return await record_cost.run(turns, self.args.seconds / 2, self.args.bench_agents)

    async def _proofs(self) -> Facts:
        found = await record.measure(self.folder)
        return found | record.measure_offline(self.folder / "export")

    async def _several(self) -> Facts:
        place = self.folder / "several"
        place.mkdir()
        args = self.args
        found = await several.run(place, args.rounds, args.seconds, self.chance)
        tell("  one row that all lock: storage alone, with the record and without")

        def measure_storage() -> Facts:
            with on_all_cores():
                return appenders.measure(1 if args.quick else 3, args.seconds, (1, 2))

        alone = await asyncio.to_thread(measure_storage)
        return found | {
            f"units a second of storage alone, {name}": one for name, one in alone.items()
        }

    async def _dashboard(self) -> Facts:
        def measure() -> Facts:
            with on_all_cores():  # a browser is many processes
                return dashboard.measure()

        return await asyncio.to_thread(measure)

    def facts(self) -> Facts:
        """What stands at the head of the report, and behind its tables."""
        args, found = self.args, self.rounds.found
        more: Facts = {
            "One agent": self.others.get("agent"),
            f"{args.agents:,} agents on one hub": self.others.get("crowd"),
            "Proofs of the record, and its offline check": self.others.get("proofs"),
            "The bare commit (SQLite, synchronous=FULL)": {
                "milliseconds alone": round(found[-1]["commitMs"], 3),
                "units a second in groups of 64": round(found[-1]["commitUnitsPerSecond"]),
            }
            if found
            else None,
        }
        for title, name in (
            ("Two hub processes against one", "several"),
            ("The record's cost", "record"),
            ("In a browser", "dashboard"),
        ):
            for what, row in (self.others.get(name) or {}).items():
                more[f"{title}: {what}"] = row
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "cores": os.cpu_count(),
            "rounds": args.rounds,
            "seconds": args.seconds,
            "agents": args.bench_agents,
            "seed": args.seed,
            "ledger": self.ledger,
            "missing": self.missing,
            "more": {title: row for title, row in more.items() if row},
        }


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.benchmarks")
    parser.add_argument("--quick", action="store_true", help="one round, small fleets; for a look")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CELL",
        help=f"part of a cell's name (sqlite, batches, nats), or one of {', '.join(SECTIONS)}",
    )
    parser.add_argument("--without", action="append", default=[], choices=SECTIONS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each cell")
    parser.add_argument("--agents", type=int, help="of the one big fleet")
    parser.add_argument("--bench-agents", type=int, default=100, help="of every other hub")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    parser.add_argument("--out", type=Path, help="else docs/reference when all was measured")
    args = parser.parse_args(words)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.seconds = args.seconds or (1.0 if args.quick else 3.0)
    args.agents = args.agents or (200 if args.quick else goals.CROWD)
    if args.quick and not args.only:
        args.without += ["dashboard", "proofs"]
    if args.out is None:
        args.out = LOOKS if args.quick or args.only or args.without else DOCS
    return args


def main(words: list[str] | None = None) -> None:
    """Measure, write the report, print where it is; exit 2 when the run is void."""
    args = parse(words)
    os.sched_setaffinity(0, {LOAD_CPU})
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended then too
    tell(f"seed {args.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="writ-bench-", ignore_cleanup_errors=True) as folder:
        run = Run(args, Path(folder))
        asyncio.run(run.go())
    rows = goals.rows(run.rounds.found, run.rounds.cells, run.others, run.missing)
    page = report.write_report(LOOKS if run.void else args.out, run.facts(), rows, run.rounds.cells)
    for row in rows:
        found = "-" if row.measured is None else f"{row.measured:.3g} {row.unit}"
        tell(f"{row.verdict:13} {found:>12}  {row.what}{f' ({row.told})' if row.told else ''}")
    tell(f"{(time.monotonic() - began) / 60:.1f} minutes")
    print(page)
    if run.void:
        raise SystemExit(2)


if __name__ == "__main__":
    main()
