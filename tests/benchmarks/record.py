"""What a proof costs in a long record: `python -m tests.benchmarks.record [--leaves 100000]`.

Cold is the first proof of a process, which reads every leaf hash once; warm is any other. And how
long `writ audit verify` takes over an export of as many leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controlplane.audit.proofs import Proofs
from controlplane.cli.record import verify_record, write_record
from protocol.audit_leaf import Assurance, draft_leaf, number_leaf
from protocol.audit_tree import Tree, leaf_hash, verify_consistency
from protocol.checkpoint import seal_checkpoint
from protocol.envelope import seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from storage.database import Database
from storage.unit_of_work import UnitOfWork

LEAVES = 100_000
WARM_PROOFS = 200
MOST_SECONDS = 2.0
"""No proof, not even the first, may take longer, nor the offline check of the whole record."""


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


def export_of(leaves: int) -> Iterator[dict[str, Any]]:
    """Yield an export of so many leaves as an order makes them, signed by keys made up here."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    root, log = SigningKey.from_seed(bytes([1]) * 32), SigningKey.from_seed(bytes([2]) * 32)
    texts = []
    tree = Tree()
    for index in range(leaves):
        draft = draft_leaf(
            at=now,
            kind="intent.accepted",
            actor=root.public_key.did,
            subject=format_uuid7(now, index.to_bytes(10, "big")),
            data={"intentId": format_uuid7(now, index.to_bytes(10, "big"))},
            assurance=Assurance.ENFORCED,
            realms=("default",),
            personal={},
            salt=index.to_bytes(16, "big"),
        )
        leaf = number_leaf(draft, index)
        tree.append(leaf_hash(leaf))
        texts.append(leaf.decode())
    delegation = seal_document(
        type="delegation",
        id=format_uuid7(now, bytes(10)),
        timestamp=now,
        expires=now + timedelta(days=1),
        audience="*",
        payload={
            "subject": log.public_key.did,
            "capabilities": [{"action": "writ.log"}],
            "conditions": [],
            "notBefore": format_timestamp(now),
            "maxDepth": 0,
            "parent": None,
        },
        signer=root,
    )
    yield {
        "kind": "header",
        "checkpoint": seal_checkpoint("bench/log", leaves, tree.root(), log),
        "root": root.public_key.did,
        "log": log.public_key.did,
        "logDelegation": delegation.wire.decode(),
    }
    for index, text in enumerate(texts):
        yield {"kind": "leaf", "index": index, "leaf": text}


def measure_offline(folder: Path, leaves: int = LEAVES) -> dict[str, float]:
    """Return how long the offline check of an exported record takes; it must hold.

    Raises:
        BadRecordError: it did not.
    """
    write_record(export_of(leaves), folder, on_leaf=lambda _count: None)
    root = SigningKey.from_seed(bytes([1]) * 32).public_key
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        report = verify_record(folder, root=root)
        seconds.append(time.perf_counter() - began)
        if report.size != leaves:
            raise RuntimeError("another record")
    return {"leaves": leaves, "offline_check_seconds": round(statistics.median(seconds), 3)}


def main() -> None:
    """Print the figures; exit 1 when a proof or the offline check took too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--leaves", type=int, default=LEAVES)
    leaves = parser.parse_args().leaves
    with tempfile.TemporaryDirectory() as folder:
        figures = measure_offline(Path(folder) / "export", leaves)
        figures |= asyncio.run(measure(Path(folder), leaves))
    for name, value in figures.items():
        print(f"{name:24}{value}")
    timed = ("offline_check_seconds", "cold_seconds", "warm_longest_seconds")
    slow = [name for name in timed if figures[name] > MOST_SECONDS]
    raise SystemExit(f"longer than {MOST_SECONDS} s: {', '.join(slow)}" if slow else 0)


if __name__ == "__main__":
    main()
