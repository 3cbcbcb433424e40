"""What became of every order: the hub's word, the lines in the workspaces, and the record.

Three witnesses that know nothing of each other have to agree.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.faults.loss.orders import ECHO, Ledger, number_of
from tests.faults.loss.parts import World
from tests.interaction.processes import wait_until
from tests.interaction.system import TERMINAL

_OPEN: Final = ("queued", "dispatched", "accepted", "running")
_EXAMPLES: Final = 5


@dataclass(slots=True)
class Verdict:
    """What was found; `faults` holds the orders of each promise that was broken."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many orders broke each promise: all have to be 0."""
        return {name: len(found) for name, found in self.faults.items()}

    @property
    def holds(self) -> bool:
        """Whether nothing was broken."""
        return not any(self.faults.values())

    def examples(self) -> dict[str, list[str]]:
        """The first few of what was broken."""
        return {name: found[:_EXAMPLES] for name, found in self.faults.items() if found}


def wait_for_ends(world: World, seconds: float) -> float:
    """Wait until no order is open any more, or the time is over; return how long it took."""
    began = time.monotonic()
    rest = world.rest(0)

    def ended() -> bool:
        return not any(rest.get("/intents", state=state, limit=1)["items"] for state in _OPEN)

    with contextlib.suppress(AssertionError):  # the verdict says which did not
        wait_until(ended, "every order to end", seconds=seconds, pause_seconds=0.5)
    return time.monotonic() - began


def judge(world: World, ledger: Ledger) -> Verdict:
    """Hold what the hub and the workspaces say against what clients were told."""
    lines = [_lines(agent.workspace) for agent in world.agents]
    listed: dict[int, list[dict[str, Any]]] = {}
    for one in world.rest(0).items("/intents", limit=200):
        listed.setdefault(number_of(one["action"], one["params"]), []).append(one)
    verdict = Verdict(ends=Counter(one["state"] for many in listed.values() for one in many))
    found: dict[str, list[str]] = {
        name: [] for name in ("lost", "startedTwice", "takenTwice", "stuck", "wrongEnd")
    }
    for number, id in ledger.given.items():
        if id not in {one["id"] for one in listed.get(number, ())}:
            found["lost"].append(f"{number}: acknowledged as {id}, and not there")
    for number, many in listed.items():
        if len(many) > 1:
            found["takenTwice"].append(f"{number}: {[one['id'] for one in many]}")
        for one in many:
            said = f"{number}: {one['id']} {one['action']} is {one['state']}"
            started = sum(of[number] for of in lines)
            if one["state"] not in TERMINAL:
                found["stuck"].append(said)
            elif one["state"] == "succeeded" and one["action"] != ECHO and not started:
                found["lost"].append(f"{said}, and left no line")
            elif one["state"] != "succeeded" and not _may_be_interrupted(one):
                found["wrongEnd"].append(said)
    for number, count in sum(lines, Counter()).items():
        if count > 1:
            found["startedTwice"].append(f"{number}: {count} times")
    verdict.faults = found
    return verdict


def judge_record(world: World, verdict: Verdict) -> None:
    """Hold the record against the orders: one beginning and one end each, and it verifies."""
    folder = world.system.folder / "record"
    broken: list[str] = []
    world.system.writ("audit", "export", str(folder))
    world.system.writ("audit", "verify", str(folder), "--root", world.system.hub.root)
    about: dict[str, Counter[str]] = {
        kind: Counter() for kind in ("intent.submitted", "intent.finished")
    }
    with (folder / "leaves.jsonl").open() as leaves:
        for line in leaves:
            leaf = json.loads(line)
            if leaf["kind"] in about:
                about[leaf["kind"]][leaf["subject"]] += 1
    for kind, counted in about.items():
        if counted.total() != verdict.ends.total() or any(n > 1 for n in counted.values()):
            broken.append(f"{kind}: {counted.total()} of {len(counted)} orders")
    verdict.faults["record"] = broken


def _may_be_interrupted(one: dict[str, Any]) -> bool:
    # What may run again is never given up because its agent died.
    return bool(one["state"] == "interrupted" and one["action"] != ECHO)


def _lines(workspace: Path) -> Counter[int]:
    counted: Counter[int] = Counter()
    for pattern in ("lines-*", "shell-*"):
        for file in workspace.glob(pattern):
            counted.update(int(line) for line in file.read_text().splitlines())
    return counted
