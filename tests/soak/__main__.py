"""`make soak`: steady load, and whether anything grows."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.plot import draw_memory
from tests.soak.run import Plan, run


def main() -> int:
    """Soak; print a table on stderr, the same as JSON on stdout; 0 when nothing grew."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--per-second", type=float, default=10, help="orders")
    parser.add_argument("--agents", type=int, default=2)
    parser.add_argument("--plot", type=Path, help="write the memory over time as SVG here")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started ends with it
    plan = Plan(args.minutes * 60, per_second=args.per_second, agents=args.agents)
    with tempfile.TemporaryDirectory(prefix="writ-soak-") as folder:
        done = run(Path(folder), plan, say=lambda text: print(text, file=sys.stderr, flush=True))
    if args.plot is not None:
        args.plot.write_text(draw_memory(done.looks))
    for name, value in done.report.items():
        print(f"  {name:<18}{value}", file=sys.stderr)
    print(json.dumps(done.report))
    return 0 if done.report["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
