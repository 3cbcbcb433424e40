"""Several processes that write to one Postgres: the price of the one row they all lock.

    python -m tests.benchmarks.appenders [--seconds 3] [--rounds 3]

Each process is a hub's storage with 64 callers, a unit being what one order costs. The processes
run together, with the leaf of the record and without it; cells run in random order inside each
round, and what is printed is the median of all processes' units per second together. More processes
than cores say nothing about processes: the ratio of the two columns does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from storage.database import Database
from storage.unit_of_work import UnitOfWork
from tests.benchmarks.storage_commit import order
from tests.servers.postgres import PostgresServer

CALLERS = 64


async def write(url: str, seconds: float, with_record: bool) -> int:
    """Write units until the time is over; return how many are on disk."""
    database = await Database.open(url)
    until, done = time.monotonic() + seconds, 0

    async def call() -> None:
        nonlocal done
        while time.monotonic() < until:
            unit = order()
            await database.write(unit if with_record else lambda uow: _without(uow, unit))  # noqa: B023
            done += 1

    await asyncio.gather(*(call() for _ in range(CALLERS)))
    await database.close()
    return done


def _without(uow: UnitOfWork, unit: object) -> None:
    uow.audit.append = lambda *args, **fields: None  # type: ignore[method-assign]
    unit(uow)  # type: ignore[operator]


def run_cell(url: str, processes: int, seconds: float, with_record: bool) -> float:
    """Return units per second of all processes together."""
    command = [sys.executable, "-m", "tests.benchmarks.appenders", "--child", url]
    command += ["--seconds", str(seconds), *(["--with-record"] if with_record else [])]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    done = [json.loads(child.communicate(timeout=seconds + 120)[0]) for child in children]
    return sum(done) / seconds


def measure(rounds: int, seconds: float, counts: Sequence[int]) -> dict[str, dict[str, Any]]:
    """Return units per second by number of processes, with the record and without."""
    server = PostgresServer()
    figures: dict[tuple[int, bool], list[float]] = {}
    try:
        server.sql("CREATE DATABASE bench")
        for _ in range(rounds):
            cells = [(count, kept) for count in counts for kept in (True, False)]
            random.shuffle(cells)
            for count, kept in cells:
                rate = run_cell(server.url("bench"), count, seconds, kept)
                figures.setdefault((count, kept), []).append(rate)
    finally:
        server.remove()
    rows: dict[str, dict[str, Any]] = {}
    for count in counts:
        kept, left = (statistics.median(figures[count, one]) for one in (True, False))
        rows[f"{count} processes"] = {
            "with record": round(kept),
            "without": round(left),
            "share": round(kept / left, 2),
        }
    return rows


def main() -> None:
    """Print a table on stderr and the same as JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--with-record", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(asyncio.run(write(args.child, args.seconds, args.with_record)))
        return
    rows = measure(args.rounds, args.seconds, (1, 2, 4))
    for name, row in rows.items():
        told = f"{row['with record']:7}/s, {row['without']:7}/s without the record"
        print(f"{name}: {told}", file=sys.stderr)
    print(json.dumps({"cores": os.cpu_count(), "rows": rows}))


if __name__ == "__main__":
    main()
