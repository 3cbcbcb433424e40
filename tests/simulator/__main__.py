"""`make simulate`: one life after the other, each from a seed of its own."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulator.run import LIFE_SECONDS, live


def main() -> int:
    """Live many lives; print the first broken promise with its seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulator", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many lives")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--seconds", type=float, default=LIFE_SECONDS, help="of faults in a life")
    args = parser.parse_args()
    ends: Counter[str] = Counter()
    simulated, began = 0.0, time.perf_counter()
    for seed in range(args.seed, args.seed + args.seeds):
        with tempfile.TemporaryDirectory(prefix="writ-life-") as folder:
            try:
                lived = live(Path(folder), seed, seconds=args.seconds)
            except Exception as exc:
                print(f"seed {seed}: {type(exc).__name__}: {exc}", file=sys.stderr)
                print(f"again: python -m tests.simulator --seeds 1 --seed {seed}", file=sys.stderr)
                return 1
        ends += lived.ends
        simulated += lived.simulated_seconds
        faults = dict(lived.faults)
        print(f"seed {seed}: {lived.orders} orders, {lived.frames} frames, {faults}")
    took = time.perf_counter() - began
    print(f"{args.seeds} lives, {simulated:.0f} s in {took:.0f} s: {dict(ends)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
