"""`make loss`: orders by the hundred thousand under random kill -9, and what became of them."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from tests.faults.loss.run import Plan, report, run


def main() -> int:
    """Run it; print a table on stderr and the same as JSON on stdout; 0 when every promise held."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.loss", description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**31))
    parser.add_argument("--agents", type=int, default=4)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--pause-seconds", type=float, default=12.0, help="between kills, at most")
    parser.add_argument("--most-seconds", type=float, default=float("inf"), help="order no longer")
    parser.add_argument("--sqlite", action="store_true", help="one hub on SQLite, no servers")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started ends with it
    folder = Path(tempfile.mkdtemp(prefix="writ-loss-"))
    plan = Plan(
        orders=args.orders,
        seed=args.seed,
        agents=args.agents,
        batch=args.batch,
        clients=args.clients,
        pause_seconds=args.pause_seconds,
        on_sqlite=args.sqlite,
        most_seconds=args.most_seconds,
    )
    done = run(folder, plan, say=lambda text: print(text, file=sys.stderr, flush=True))
    print(report(done), file=sys.stderr)
    print(json.dumps(done))
    if done["ok"]:
        shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"logs and workspaces: {folder}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
