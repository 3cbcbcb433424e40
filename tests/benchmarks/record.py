"""What a proof costs in a long record: `python -m tests.benchmarks.record [--leaves 100000]`.

Cold is the first proof of a process, which reads every leaf hash once; warm is any other.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from controlplane.audit.proofs import Proofs
from protocol.audit_tree import verify_consistency
from storage.database import Database
from storage.unit_of_work import UnitOfWork

LEAVES = 100_000
WARM_PROOFS = 200
MOST_SECONDS = 2.0
"""No proof, not even the first, may take longer."""


async def fill(database: Database, leaves: int) -> dict[int, bytes]:
    """Append leaves; returns the root of some sizes on the way and of the last."""
    roots: dict[int, bytes] = {}

    def unit(uow: UnitOfWork, start: int, end: int) -> tuple[int, bytes]:
        for number in range(start, end):
            uow.audit.append("bench", "hub", str(number), {})
        tree = uow.audit.tree()
        return tree.size, tree.root()

    for start in range(0, leaves, 997):
        end = min(leaves, start + 997)
        size, root = await database.write(lambda uow: unit(uow, start, end))  # noqa: B023
        roots[size] = root
    return roots


async def measure(folder: Path, leaves: int = LEAVES) -> dict[str, float]:
    """Return seconds for the first proof and the median and longest of later ones; all verified.

    Raises:
        ProofError: one did not hold.
    """
    database = await Database.open(f"sqlite:///{folder / 'record.db'}")
    try:
        roots = await fill(database, leaves)
        proofs = Proofs(database)
        new = max(roots)
        seconds: list[float] = []
        for old in [*list(roots)[:: max(1, len(roots) // WARM_PROOFS)], new - 1]:
            began = time.perf_counter()
            proof = await proofs.consistency(old, new)
            seconds.append(time.perf_counter() - began)
            if old in roots:
                verify_consistency(
                    old_size=old,
                    new_size=new,
                    old_root=roots[old],
                    new_root=roots[new],
                    proof=proof,
                )
        return {
            "leaves": leaves,
            "cold_seconds": round(seconds[0], 4),
            "warm_median_seconds": round(statistics.median(seconds[1:]), 5),
            "warm_longest_seconds": round(max(seconds[1:]), 5),
        }
    finally:
        await database.close()


def main() -> None:
    """Print the figures; exit 1 when a proof took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=LEAVES)
    leaves = parser.parse_args().leaves
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(Path(folder), leaves))
    for name, value in figures.items():
        print(f"{name:24}{value}")
    slow = max(figures["cold_seconds"], figures["warm_longest_seconds"]) > MOST_SECONDS
    raise SystemExit(f"a proof took longer than {MOST_SECONDS} s" if slow else 0)


if __name__ == "__main__":
    main()
