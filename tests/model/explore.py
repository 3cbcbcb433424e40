"""Walks every state that a small world can reach, and says what it never should have reached.

Knows nothing of orders: a world is hashable values, a function from one to its successors, a
judgement of each, and a goal that must stay within reach without any further fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step(Generic[W]):
    """One thing that can happen: its name, the world after it, whether it is a fault."""

    name: str
    world: W
    fault: bool = False


class Violation(AssertionError):
    """A promise was broken; `trace` is a shortest way there, the names of its steps."""

    def __init__(self, broken: str, trace: list[str]) -> None:
        super().__init__(f"{broken}\n  " + "\n  ".join(trace))
        self.broken = broken
        self.trace = trace


@dataclass(frozen=True, slots=True)
class Explored:
    """How far the walk went."""

    states: int
    steps: int


def explore(
    start: W,
    successors: Callable[[W], Iterable[Step[W]]],
    judge: Callable[[W], str | None],
    is_goal: Callable[[W], bool],
    *,
    max_states: int = 2_000_000,
) -> Explored:
    """Return when every reachable state is sound and none is stuck.

    Args:
        start: where everything begins.
        successors: everything that can happen next.
        judge: the name of the promise a state breaks, or None.
        is_goal: whether the work is done; from every state a goal has to be reachable by steps
            that are no faults, or an order could wait for ever.
        max_states: more than that means that the world is not small.

    Raises:
        Violation: with the shortest trace.
    """
    came_from: dict[W, tuple[W, str] | None] = {start: None}
    calm_before: dict[W, list[W]] = {}
    goals: list[W] = []
    queue = deque([start])
    steps = 0
    while queue:
        world = queue.popleft()
        if (broken := judge(world)) is not None:
            raise Violation(broken, _trace(came_from, world))
        if is_goal(world):
            goals.append(world)
        for step in successors(world):
            steps += 1
            if not step.fault:
                calm_before.setdefault(step.world, []).append(world)
            if step.world not in came_from:
                came_from[step.world] = (world, step.name)
                queue.append(step.world)
                assert len(came_from) <= max_states, f"more than {max_states} states"
    hopeful = set(goals)
    stack = list(goals)
    while stack:
        for world in calm_before.get(stack.pop(), ()):
            if world not in hopeful:
                hopeful.add(world)
                stack.append(world)
    for world in came_from:  # in the order of discovery: the first is nearest
        if world not in hopeful:
            raise Violation("stuck: no end can be reached any more", _trace(came_from, world))
    return Explored(len(came_from), steps)


def _trace(came_from: dict[W, tuple[W, str] | None], world: W) -> list[str]:
    names: list[str] = []
    while (before := came_from[world]) is not None:
        world, name = before
        names.append(name)
    return names[::-1]
