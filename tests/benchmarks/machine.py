"""What is measured beside the product: this machine's cores, and the CPU time of processes.

`Calibrator` keeps a pinned process on each of the two cores; asked together, they say how often a
second each signs and verifies 1 KB while the other does the same: the limit every rate is held to.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from protocol.keys import SigningKey

_CORES = sorted(os.sched_getaffinity(0))
HUB_CPU, LOAD_CPU = _CORES[0], _CORES[-1]
"""Two cores are needed to measure; with one, all share it and every cell is rejected."""
_TICKS = os.sysconf("SC_CLK_TCK")
PYTHON_LOOPS = 20_000


def pinned(cpu: int, command: list[str]) -> list[str]:
    """Return `command` held to one core."""
    return ["taskset", "-c", str(cpu), *command]


@contextmanager
def on_all_cores() -> Iterator[None]:
    """Let this thread, and what it starts inside the block, run anywhere."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes so far, and of the children that they have seen end."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / _TICKS


def family(pid: int) -> list[int]:
    """The process and all that came of it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def private_bytes(pid: int) -> int:
    """Memory that is this process's alone (USS)."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    lines = [line.split() for line in text.splitlines() if line.startswith("Private_")]
    return sum(int(line[1]) for line in lines) * 1024


def sign_and_verify_per_second(seconds: float) -> float:
    """How often a second this process signs and verifies 1 KB."""
    key = SigningKey.from_seed(bytes(32))
    message = b"x" * 1024
    began = time.perf_counter()
    end, count = began + seconds, 0
    while time.perf_counter() < end:
        key.public_key.verify(key.sign(message), message)
        count += 1
    return count / (time.perf_counter() - began)


def python_loops_per_second(seconds: float) -> float:
    """How often a second plain Python counts to 1,000: beside crypto, what the hub is made of."""
    began = time.perf_counter()
    end, count = began + seconds, 0
    while time.perf_counter() < end:
        total = 0
        for number in range(1_000):
            total += number
        count += 1
    return count / (time.perf_counter() - began)


class Calibrator:
    """One waiting process on each core."""

    def __init__(self) -> None:
        self._workers = [
            subprocess.Popen(
                pinned(cpu, [sys.executable, "-m", "tests.benchmarks.machine"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for cpu in (HUB_CPU, LOAD_CPU)
        ]

    def measure(self, seconds: float = 0.25) -> tuple[float, float]:
        """Return sign+verify per second of the hub's core, both busy, and its Python loops."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.write(f"{seconds}\n")
            worker.stdin.flush()
        answers = []
        for worker in self._workers:
            assert worker.stdout is not None
            answers.append([float(part) for part in worker.stdout.readline().split()])
        return answers[0][0], answers[0][1]

    def stop(self) -> None:
        """End both."""
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.close()
            worker.wait(10)


def _serve() -> None:
    for line in sys.stdin:
        seconds = float(line)
        crypto = sign_and_verify_per_second(seconds)
        print(crypto, python_loops_per_second(seconds / 5), flush=True)


if __name__ == "__main__":
    _serve()
