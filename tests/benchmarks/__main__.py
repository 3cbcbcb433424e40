"""`make bench`: one run, figures as ratios to what this machine could do at that moment."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import dashboard, record, record_cost
from tests.benchmarks.orders import report, run


def main() -> None:
    """Measure, print a table on stderr and the same as JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--agents", type=int, default=100)
    args = parser.parse_args()
    rows = report(asyncio.run(run(args.rounds, args.seconds, args.agents)))
    with tempfile.TemporaryDirectory() as folder:
        rows["record_proofs"] = asyncio.run(record.measure(Path(folder)))
        rows["record_offline_check"] = record.measure_offline(Path(folder) / "export")
    costs = asyncio.run(record_cost.run(4 * args.rounds, args.seconds / 2, args.agents))
    rows |= {f"record_cost, {name}": row for name, row in costs.items()}
    rows |= dashboard.measure()
    for name, row in rows.items():
        print(f"\n{name}", file=sys.stderr)
        for field, value in row.items():
            print(f"  {field:<28}{value}", file=sys.stderr)
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
