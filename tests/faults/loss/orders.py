"""Who orders: clients that repeat a batch under its key until it is acknowledged.

A client has a few batches open and orders the next when one has ended, so that what is open at a
time is bounded however long the run, and one order that a death held up does not hold up the rest.

An order is a number. Doing it leaves that number as a line in a file of the agent's workspace, at
the moment the work starts: what happened is counted outside of everything that is tested.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.loss.parts import World
from tests.interaction.rest import HubGoneError
from tests.interaction.system import TERMINAL

WRITE, SHELL, ECHO = "files.write", "shell.exec", "echo"
_SHARES: Final = {WRITE: 0.87, SHELL: 0.03, ECHO: 0.10}
_LINES_PER_FILE: Final = 2_000
_WAIT_SECONDS: Final = 5.0
_OPEN_BATCHES: Final = 3
_LOOK_SECONDS: Final = 1.0
_OPEN_STATES: Final = ("queued", "dispatched", "accepted", "running")
_LATER: Final = frozenset({409, 429, 500, 503})


@dataclass(slots=True)
class Ledger:
    """What the clients know: the id of every acknowledged order by its number, and the answers."""

    given: dict[int, str] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def number_of(action: str, params: dict[str, Any]) -> int:
    """Return which order this is, from what the hub kept of it."""
    if action == WRITE:
        return int(params["content"])
    return int(params["argv"][-1] if action == SHELL else params["number"])


class Clients:
    """Several clients that share the numbers from 0 on.

    Args:
        world: where to.
        orders: how many at least.
        enough: whether nothing else is to be waited for; until then they go on ordering.
        rng: draws each order's agent and action, and which hub is asked.
        batch: orders in one request.
        clients: how many ask at a time.
    """

    def __init__(
        self,
        world: World,
        orders: int,
        rng: random.Random,
        *,
        batch: int,
        clients: int,
        enough: Callable[[], bool] = lambda: True,
    ) -> None:
        self.ledger = Ledger()
        self.failed: BaseException | None = None
        self._world, self._orders, self._batch = world, orders, batch
        self._enough = enough
        self._next = 0
        self._over = threading.Event()
        self._key = f"loss-{rng.getrandbits(64):x}"
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(rng.random()),), daemon=True)
            for _ in range(clients)
        ]

    def start(self) -> None:
        """Begin to order."""
        for thread in self._threads:
            thread.start()

    @property
    def acknowledged(self) -> int:
        """How many orders a hub has said it has."""
        return len(self.ledger.given)

    @property
    def done(self) -> bool:
        """Whether every client has ended."""
        return not any(thread.is_alive() for thread in self._threads)

    def stop(self) -> None:
        """Order nothing more; what was begun is still repeated until it is acknowledged."""
        self._over.set()

    def _run(self, rng: random.Random) -> None:
        try:
            waiting: list[str] = []
            while (numbers := self._take()) is not None:
                batch = self._order(numbers, rng)
                waiting += [batch] if batch is not None else []
                while len(waiting) >= _OPEN_BATCHES and not self._over.is_set():
                    waiting = [one for one in waiting if self._is_open(one, rng)]
                    if len(waiting) >= _OPEN_BATCHES:
                        self._over.wait(_LOOK_SECONDS)
        except BaseException as exc:
            self.failed = exc
            self._over.set()

    def _take(self) -> range | None:
        with self.ledger.lock:
            first = self._next
            if self._over.is_set() or (first >= self._orders and self._enough()):
                return None
            self._next += self._batch
            return range(first, self._next)

    def _order(self, numbers: range, rng: random.Random) -> str | None:
        agents = self._world.agents
        drawn = [
            (rng.randrange(len(agents)), rng.choices(list(_SHARES), list(_SHARES.values()))[0])
            for _ in numbers
        ]
        orders = [
            {"target": {"agent": agents[agent].did}, "action": action, "params": _params(n, action)}
            for n, (agent, action) in zip(numbers, drawn, strict=True)
        ]
        headers = {"Idempotency-Key": f"{self._key}-{numbers.start}"}
        while True:
            try:
                answer = self._world.rest(rng.randrange(2)).send(
                    *("POST", "/intents/batch", {"intents": orders}),
                    headers=headers,
                    seconds=30,
                    wait=_WAIT_SECONDS,
                )
            except HubGoneError:
                self._count("no answer")
                threading.Event().wait(0.05)
                continue
            self._count(f"{answer.status} {answer.code or ''}".strip())
            if answer.status == 202:
                break
            assert answer.status in _LATER, answer
            threading.Event().wait(0.1)
        shown = answer.value["intents"]
        with self.ledger.lock:
            self.ledger.given.update(zip(numbers, (one["id"] for one in shown), strict=True))
        ended = all(one["state"] in TERMINAL for one in shown)
        return None if ended else str(answer.value["batchId"])

    def _is_open(self, batch: str, rng: random.Random) -> bool:
        rest = self._world.rest(rng.randrange(2))
        for state in _OPEN_STATES:
            try:
                answer = rest.send(
                    *("GET", "/intents"), batchId=batch, state=state, limit=1, seconds=30
                )
            except HubGoneError:
                return True
            if answer.status != 200 or answer.value["items"]:
                return True
        return False

    def _count(self, answer: str) -> None:
        with self.ledger.lock:
            self.ledger.answers[answer] += 1


def _params(number: int, action: str) -> dict[str, Any]:
    if action == ECHO:
        return {"number": number}
    path = f"{'shell' if action == SHELL else 'lines'}-{number // _LINES_PER_FILE}"
    if action == WRITE:
        return {"path": path, "content": f"{number}\n", "append": True}
    return {"argv": ["sh", "-c", f'echo "$1" >> {path}; sleep 0.2', "sh", str(number)]}
