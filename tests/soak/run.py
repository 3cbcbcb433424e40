"""One soak: a hub and agents as users start them, the load, a look every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interaction.processes import WritProcess
from tests.interaction.system import System
from tests.soak.figures import Look, decide_growth, latency_parts, look
from tests.soak.load import Load

_HUB = {"WRIT_LOG_LEVEL": "warning", "WRIT_INTENT_RESEND_SECONDS": "30"}
_AGENT = {"WRIT_AGENT_LOG_LEVEL": "warning", "WRIT_AGENT_RESULT_RESEND_SECONDS": "30"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how much."""

    seconds: float
    per_second: float = 10.0
    agents: int = 2
    look_every_seconds: float = 10.0


@dataclass(slots=True)
class Soaked:
    """What was seen; `report` is what is printed."""

    report: dict[str, Any]
    looks: dict[str, list[Look]] = field(default_factory=dict)


def run(folder: Path, plan: Plan, *, say: Callable[[str], None]) -> Soaked:
    """Soak for the time of the plan."""
    with System(folder, **_HUB) as system:
        hub = system.hub.start()
        for number in range(1, plan.agents + 1):
            agent = system.new_agent(f"worker-{number}")
            agent.start(**_AGENT)
            agent.state("pending")
            system.approve(agent)
            agent.state("online")
        processes = {"hub": hub}
        processes |= {one.name: one.process for one in system.agents if one.process is not None}
        return asyncio.run(_soak(system, processes, plan, say))


async def _soak(
    system: System, processes: dict[str, WritProcess], plan: Plan, say: Callable[[str], None]
) -> Soaked:
    load = Load(system, per_second=plan.per_second)
    looks: dict[str, list[Look]] = {name: [] for name in processes}
    began, size_before = time.monotonic(), _database_mb(system)

    async def watch() -> None:
        while True:
            await asyncio.sleep(plan.look_every_seconds)
            at = time.monotonic() - began
            for name, process in processes.items():
                looks[name].append(look(process.pid, at))
            now = ", ".join(f"{name} {many[-1].memory_mb:.1f} MB" for name, many in looks.items())
            say(f"{at:6.0f} s  {len(load.latencies)} orders; {now}")

    watching = asyncio.create_task(watch())
    try:
        await load.run(plan.seconds)
    finally:
        watching.cancel()
    growth = {name: decide_growth(many) for name, many in looks.items()}
    all_ended = load.failures == 0 and load.ends.keys() == {"succeeded"}
    report = {
        "ok": all_ended and all(one.holds for one in growth.values()),
        "minutes": round(plan.seconds / 60, 1),
        "ordersPerSecond": plan.per_second,
        "ends": load.ends,
        "noAnswer": load.failures,
        "visits": load.visits,
        **{name: one.shown() for name, one in growth.items()},
        "latency": latency_parts(load.latencies, plan.seconds),
        "databaseMb": [size_before, _database_mb(system)],
    }
    return Soaked(report, looks)


def _database_mb(system: System) -> float:
    files = (one for one in system.hub.folder.glob("*.db*") if one.is_file())
    return round(sum(one.stat().st_size for one in files) / 1e6, 1)
