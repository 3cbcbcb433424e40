"""What one real agent costs: from its start until it is online, and memory once it idles."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.hub_process import WRIT, System
from tests.benchmarks.machine import LOAD_CPU, pinned, private_bytes

IDLE_SECONDS = 3.0
MOST_SECONDS = 60


async def measure(folder: Path, system: System, rounds: int) -> dict[str, Any]:
    """Start an agent, enrolled before, several times; medians of seconds and bytes."""
    (token,) = await system.join_tokens(1)
    place = folder / "agent"
    flags = ["--data-dir", str(place), "--workspace", str(folder)]
    command = pinned(LOAD_CPU, [*WRIT, "agent", "run", *flags])
    seconds, memory = [], []
    for number in range(rounds + 1):
        join = ["--join", token] if number == 0 else []
        began = time.perf_counter()
        agent = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
            [*command, *join],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "WRIT_LOG_LEVEL": "error"},
            text=True,
        )
        try:
            assert agent.stdout is not None
            for line in agent.stdout:
                if json.loads(line).get("state") == "online":
                    break
                if time.perf_counter() - began > MOST_SECONDS:
                    raise RuntimeError("the agent does not come online")
            else:
                raise RuntimeError("the agent never came online")
            took = time.perf_counter() - began
            time.sleep(IDLE_SECONDS)  # noqa: ASYNC251
            if number > 0:  # the first one enrols
                seconds.append(took)
                memory.append(private_bytes(agent.pid))
        finally:
            agent.terminate()
            agent.wait(20)
    return {
        "startSeconds": round(statistics.median(seconds), 2),
        "idleMegabytes": round(statistics.median(memory) / 1e6, 1),
        "python": sys.version.split()[0],
    }
