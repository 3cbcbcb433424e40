"""Whatever dies of a hub with several processes: every order ends, once, and the record holds.

`make cluster` plays many more rounds than `make test`; the seed of each is printed.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.processes import Cluster, cluster, ready
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent
from tests.servers.nats import NatsServer

ROUNDS = int(os.environ.get("WRIT_CLUSTER_ROUNDS", "1"))
ORDERS = int(os.environ.get("WRIT_CLUSTER_ORDERS", "16"))
SEED = os.environ.get("WRIT_CLUSTER_SEED")
Given = dict[str, tuple[str, Agent]]


class Orders(threading.Thread):
    """Somebody who goes on ordering, now at one process, now at the other."""

    def __init__(self, made: Cluster, name: str, count: int, rng: random.Random) -> None:
        super().__init__(name=name)
        self._made, self._count, self._rng = made, count, rng
        self.given: Given = {}
        self.failed: BaseException | None = None

    def run(self) -> None:
        try:
            for number in range(self._count):
                line = f"{self.name}-{number}"
                agent = self._rng.choice(self._made.agents)
                id = self._made.order(line, agent, self._rng.randrange(2))
                self.given[line] = (id, agent)
        except BaseException as exc:
            self.failed = exc


def through(made: Cluster, what: Callable[[], None], rng: random.Random) -> Given:
    """Order all the while `what` happens, and until it is over."""
    orders = [
        Orders(made, f"{name}-{rng.getrandbits(32):x}", ORDERS // 2, random.Random(rng.random()))
        for name in ("ann", "bob")
    ]
    for one in orders:
        one.start()
    what()
    given: Given = {}
    for one in orders:
        one.join(300)
        assert not one.is_alive()
        if one.failed is not None:
            raise one.failed
        given |= one.given
    return given


@pytest.mark.timeout(300 + 120 * ROUNDS)
def test_hubs_bus_and_sleep_in_the_middle_of_orders_lose_nothing_and_do_nothing_twice(
    tmp_path: Path, postgres_url: str, own_nats_server: NatsServer
) -> None:
    seed = int(SEED) if SEED else random.randrange(2**32)
    print(f"WRIT_CLUSTER_SEED={seed}")
    rng = random.Random(seed)
    given: Given = {}
    with cluster(tmp_path, postgres_url, own_nats_server.url) as made:
        for _ in range(ROUNDS):
            given |= through(made, lambda: kill_and_revive(made, rng.randrange(2), rng), rng)
            given |= through(made, lambda: kill_the_bus(own_nats_server, rng), rng)
            given |= through(made, lambda: cut_the_bus(own_nats_server, rng), rng)
            given |= through(made, lambda: made.pause(rng.randrange(2), rng.uniform(0.5, 2)), rng)
        for hub in made.hubs:
            assert ready(hub)["checks"]["bus"] == "ok"
        made.judge(given)
        print(f"{len(given)} orders, every one ended once")


def kill_and_revive(made: Cluster, number: int, rng: random.Random) -> None:
    pause(rng.uniform(0.1, 0.6))
    made.hubs[number].kill()
    pause(rng.uniform(0.1, 1.0))
    made.hubs[number].start()


def kill_the_bus(server: NatsServer, rng: random.Random) -> None:
    pause(rng.uniform(0.1, 0.5))
    server.kill()
    pause(rng.uniform(0.1, 1.0))
    server.start()


def cut_the_bus(server: NatsServer, rng: random.Random) -> None:
    """Connections stand and nothing comes through, which is what a partition looks like."""
    server.pause()
    pause(rng.uniform(0.2, 1.5))
    server.resume()


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_agents_of_a_dead_process_move_to_the_other_and_a_drained_one_says_so(
    tmp_path: Path, postgres_url: str, nats_server: NatsServer
) -> None:
    env = {"WRIT_DRAIN_RETRY_AFTER_SECONDS": "1"}
    with cluster(tmp_path, postgres_url, nats_server.url, **env) as made:
        first, second = made.hubs
        first.kill()
        made.hubs = (second, second)
        for agent in made.agents:
            id = made.order(f"moved-{agent.name}", agent, 0)
            assert made.system.hub is first
            wait_until(lambda id=id: state(made, id) == "succeeded", "the order", seconds=30)
        assert made.online() == len(made.agents)
        # A rolling upgrade: the first comes back, the second is told to stop.
        first.start()
        made.hubs = (first, first)
        assert second.stop() == 0
        for agent in made.agents:
            id = made.order(f"back-{agent.name}", agent, 0)
            wait_until(lambda id=id: state(made, id) == "succeeded", "the order", seconds=30)


def state(made: Cluster, id: str) -> str:
    return str(made.rest(0).get(f"/intents/{id}")["state"])


def test_another_hubs_keys_are_refused_before_anything_is_served(
    tmp_path: Path, postgres_url: str
) -> None:
    from tests.interaction.processes import environment, run_writ
    from tests.interaction.system import Hub

    Hub(tmp_path / "ours", database_url=postgres_url)
    for with_keys in (False, True):
        folder = tmp_path / f"theirs-{with_keys}"
        if with_keys:
            run_writ("hub", "init", "--data-dir", str(folder), env=environment())
        words = ("hub", "run", "--port", "0", "--data-dir", str(folder))
        _, said = run_writ(*words, "--database-url", postgres_url, env=environment(), expect=1)
        assert "half_initialised" in said or "keys" in said
