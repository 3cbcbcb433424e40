"""How the hot parts of a hub behave at sizes nobody has here: unit costs measured, the rest played.

    python -m tests.benchmarks.growing [--agents 1000000] [--orders 10000] [--seed 1]

Three questions of docs/explanation/growing.md: what a process spends on agents that do nothing, and
on hints that are not for it; how long a fleet needs to come back when processes die; and how even
orders spread over partitions of the database. Not measured: networks, Postgres, NATS.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import orjson

from controlplane.events import Event, EventBus
from protocol import limits
from protocol.audit_tree import Tree, leaf_hash
from protocol.envelope import parse_document, seal_document
from protocol.keys import SigningKey

HEARTBEAT_SECONDS = limits.HEARTBEAT_SECONDS
EVENTS_PER_ORDER = 4
HINT_AGENTS = 1_000
"""Agents in one hint, as `controlplane.neighbours` packs them."""


def unit_costs() -> dict[str, float]:
    """Return seconds of one core for each thing that happens often, measured here and now."""
    key = SigningKey.from_seed(b"k" * 32)
    now = datetime.now(UTC)
    fields: dict[str, Any] = {
        "type": "intent",
        "id": "019a0000-0000-7000-8000-000000000000",
        "timestamp": now,
        "expires": now.replace(year=now.year + 1),
        "audience": key.public_key.did,
        "payload": {"action": "echo", "params": {"text": "x" * 300}, "realm": "default"},
        "signer": key,
    }
    wire = seal_document(**fields).wire

    def verify() -> None:
        envelope = parse_document(wire)
        envelope.public_key.verify(envelope.signature, envelope.signed_bytes)

    dids = [f"did:key:z6Mk{sha256(b'%d' % n).hexdigest()[:44]}" for n in range(HINT_AGENTS)]
    hint = orjson.dumps({"kind": "wake", "agents": dids})
    here = set(dids[::100])
    event = orjson.dumps(
        {
            "id": fields["id"],
            "type": "intent.finished",
            "realm": "default",
            "data": {
                "id": fields["id"],
                "batchId": fields["id"],
                "agent": dids[0],
                "agentName": "worker",
                "action": "echo",
                "state": "succeeded",
                "cancelRequested": False,
            },
            "subject": fields["id"],
            "bytes": 300,
        }
    )
    events = EventBus()
    tree = Tree()
    return {
        "sign": _cost(lambda: seal_document(**fields)),
        "verify": _cost(verify),
        "hint_per_agent": _cost(
            lambda: [did for did in orjson.loads(hint)["agents"] if did in here]
        )
        / HINT_AGENTS,
        "event": _cost(lambda: events.publish(Event(**_event(orjson.loads(event))))),
        "leaf": _cost(lambda: tree.append(leaf_hash(wire))),
    }


def _event(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("id", "type", "realm", "data", "subject")}


def _cost(work: Callable[[], object], seconds: float = 0.3) -> float:
    best = float("inf")
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.process_time()
        for _ in range(50):
            work()
        best = min(best, (time.process_time() - began) / 50)
    return best


def idle_shares(costs: dict[str, float], agents: int, orders: float) -> list[dict[str, Any]]:
    """Return what part of a core each process spends on quiet agents and on others' hints."""
    rows = []
    for processes in (10, 25, 50, 100, 200):
        per_process = agents / processes
        heartbeats = per_process / HEARTBEAT_SECONDS
        rows.append(
            {
                "processes": processes,
                "agents each": round(per_process),
                "heartbeats/s each": round(heartbeats),
                "core for heartbeats": heartbeats * (costs["verify"] + costs["sign"]),
                # Broadcast: every process reads the hint of every order. Routed: only its own.
                "core for hints, broadcast": orders * costs["hint_per_agent"],
                "core for hints, routed": orders / processes * costs["hint_per_agent"],
                "core for events, broadcast": orders * EVENTS_PER_ORDER * costs["event"],
                "core for orders": orders / processes * 2 * (costs["verify"] + costs["sign"]),
            }
        )
    return rows


def storm(
    costs: dict[str, float], arriving: int, living: int, rng: random.Random
) -> dict[str, float]:
    """Play a reconnect: `arriving` agents find `living` processes, each with one core for them.

    Delays are the protocol's (section 4): uniform in [0.5 s, min(60 s, 2^n s)]. A process that has
    more than a second of handshakes waiting lets the next one run into the agent's timeout, and the
    agent comes again later.
    """
    handshake = 2 * (costs["verify"] + costs["sign"]) + 0.0005  # accept, hello, one commit's share
    free_at = [0.0] * living
    back: list[float] = []
    turned_away = 0
    arrivals = [(rng.uniform(0.5, 1.0), 0, n) for n in range(arriving)]
    heapq.heapify(arrivals)
    while arrivals:
        at, attempt, agent = heapq.heappop(arrivals)
        process = rng.randrange(living)
        start = max(at, free_at[process])
        if start - at > 1.0:
            turned_away += 1
            later = rng.uniform(0.5, min(60.0, 2.0 ** (attempt + 1)))
            heapq.heappush(arrivals, (at + 1.0 + later, attempt + 1, agent))
            continue
        free_at[process] = start + handshake
        back.append(start + handshake)
    back.sort()
    return {
        "agents": arriving,
        "processes": living,
        "p50 s": back[len(back) // 2],
        "p99 s": back[int(len(back) * 0.99)],
        "last s": back[-1],
        "turned away": turned_away,
    }


def spread(agents: int, partitions: int, rng: random.Random) -> dict[str, float]:
    """Return how even agents, and orders of very unequal agents, are over partitions by DID."""
    counts, weights = [0] * partitions, [0.0] * partitions
    for number in range(agents):
        digest = sha256(b"%d" % number).digest()
        at = int.from_bytes(digest[:4]) % partitions
        counts[at] += 1
        weights[at] += rng.paretovariate(1.2)  # a few agents get most of the orders
    mean, weight = agents / partitions, sum(weights) / partitions
    return {
        "partitions": partitions,
        "agents, fullest / mean": max(counts) / mean,
        "orders, busiest / mean": max(weights) / weight,
    }


def main() -> None:
    """Print tables on stderr and the same as JSON on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=1_000_000)
    parser.add_argument("--orders", type=float, default=10_000, help="a second, fleet-wide")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    costs = unit_costs()
    each = args.agents // 100
    found = {
        "microseconds": [{name: value * 1e6 for name, value in costs.items()}],
        "shares": idle_shares(costs, args.agents, args.orders),
        "storms": [
            # Processes do not notice each other here, so a tenth of them is enough to play.
            storm(costs, each, 99, rng),
            storm(costs, args.agents // 40, 8, rng),
            storm(costs, args.agents // 10, 10, rng),
        ],
        "spread": [spread(args.agents // 4, count, rng) for count in (16, 64, 256)],
        "record": [
            {"logs": logs, "core for roots of a second": logs * costs["leaf"]}
            for logs in (16, 64, 256)
        ],
    }
    for name, rows in found.items():
        print(f"\n{name}", file=sys.stderr)
        print("  " + " | ".join(rows[0]), file=sys.stderr)
        for row in rows:
            shown = (f"{one:,.4g}" if isinstance(one, float) else str(one) for one in row.values())
            print("  " + " | ".join(shown), file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
