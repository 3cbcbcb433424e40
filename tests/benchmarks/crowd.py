"""A fleet of thousands on one hub process: come in, stay, all get one order, hub gone, all back.

The agents are simulated in a few processes and speak the real protocol (`agent`, `fleet`); all
share the other core with who orders, so wall times are theirs as well as the hub's.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.hub_process import Client, System
from tests.benchmarks.machine import private_bytes
from tests.benchmarks.orders import check_ledger, order_to

AGENTS_OF_A_PROCESS = 2_500
SETTLE_SECONDS = 5.0
MOST_SECONDS = 600
FIRST_ORDERS = 32


def tell(text: str) -> None:
    """Say on stderr how far it has come."""
    print(f"  {text}", file=sys.stderr, flush=True)


async def measure(folder: Path, agents: int) -> dict[str, Any]:
    """Return what a fleet of so many costs, and how it comes back."""
    system = System(folder, agents=agents)
    try:
        before = private_bytes(system.hub.pid)
        tell(f"enrolling {agents} agents")
        began = time.time()
        await system.enrol(-(-agents // AGENTS_OF_A_PROCESS))
        enrolled = time.time() - began
        await asyncio.sleep(SETTLE_SECONDS)
        held = (private_bytes(system.hub.pid) - before) / agents
        idle = await _cpu_of_idling(system)
        tell("one order to all")
        fan_out = await _order_all(system, agents)
        tell("hub kill -9, and everybody back")
        back = await _lose_and_regain(system, agents)
    finally:
        system.stop()
    return {
        "agents": agents,
        "enrolmentSeconds": round(enrolled, 2),
        "kilobytesPerIdleAgent": round(held / 1000, 1),
        "hubCpuWhileIdle": idle,
        "fanOutSeconds": fan_out,
        **back,
        "repliesChecked": await check_ledger(system),
    }


async def _cpu_of_idling(system: System) -> float:
    cpu, began = system.hub_cpu_seconds(), time.time()
    await asyncio.sleep(SETTLE_SECONDS)
    return round((system.hub_cpu_seconds() - cpu) / (time.time() - began), 3)


async def _order_all(system: System, agents: int) -> float:
    client = await system.client()
    body = {"target": {"capability": "echo"}, "action": "echo", "params": {}, "realm": "default"}
    began = time.time()
    answer = await client.post("/api/v1/intents?wait=60", json.dumps(body).encode())
    if len(answer["intents"]) != agents:
        raise RuntimeError(f"{len(answer['intents'])} of {agents} agents were ordered")
    left = any(one["state"] != "succeeded" for one in answer["intents"])
    while left:  # longer than a request may wait
        if time.time() - began > MOST_SECONDS:
            raise RuntimeError("an order to all did not end")
        await asyncio.sleep(0.5)
        open_ones = f"/api/v1/intents?batchId={answer['batchId']}&limit=1&state="
        pages = [await client.get(open_ones + state) for state in ("queued", "dispatched")]
        left = any(page["items"] for page in pages)
    took = time.time() - began
    client.close()
    system.replied.update(one["id"] for one in answer["intents"])
    return round(took, 2)


async def _see_through(system: System, client: Client, did: str) -> None:
    """Give one order and wait for its end, however long its agent stays away."""
    answer = await client.post("/api/v1/intents?wait=60", json.dumps(order_to(did)).encode())
    (order,) = answer["intents"]
    end = time.time() + MOST_SECONDS
    while order["state"] in ("queued", "dispatched") and time.time() < end:
        order = await client.get(f"/api/v1/intents/{order['id']}?wait=60")
    if order["state"] != "succeeded":
        raise RuntimeError(f"an order given after the crash ended {order['state']}")
    system.replied.add(order["id"])


async def _lose_and_regain(system: System, agents: int) -> dict[str, Any]:
    lost = asyncio.ensure_future(system.ask("lost"))
    await asyncio.sleep(0.5)
    killed = time.time()
    os.kill(system.hub.pid, signal.SIGKILL)
    system.hub.wait()
    await lost
    answers = asyncio.ensure_future(system.ask("back"))
    await asyncio.sleep(0)
    system.start_hub()
    ready = time.time()
    cpu = system.hub_cpu_seconds()
    # Given while nearly everybody is away: the first of them to be back shows when work goes on.
    clients = [await system.client() for _ in range(min(FIRST_ORDERS, agents))]
    waiting = [
        asyncio.ensure_future(_see_through(system, client, did))
        for client, did in zip(clients, system.dids[:: -(-agents // len(clients))], strict=False)
    ]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    first_delivered = time.time()
    told = await answers
    moments = sorted(moment for one in told for moment in one["moments"])
    spent = system.hub_cpu_seconds() - cpu
    await asyncio.gather(*waiting)
    for client in clients:
        client.close()
    return {
        "hubStartSeconds": round(ready - killed, 2),
        "firstDeliverySeconds": round(first_delivered - killed, 2),
        "firstBackSeconds": round(moments[0] - killed, 2),
        "halfBackSeconds": round(moments[len(moments) // 2] - killed, 2),
        "everybodyBackSeconds": round(max(one["at"] for one in told) - killed, 2),
        "hubCpuMillisecondsPerConnect": round(spent / agents * 1000, 3),
    }
