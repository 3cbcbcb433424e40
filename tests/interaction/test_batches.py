"""Orders to many agents: by capability, by selector, a few at a time, and stopping in time."""

from __future__ import annotations

from typing import Any

from tests.interaction.fixtures import Fleet


def submit(fleet: Fleet, target: dict[str, Any], action: str, **params: Any) -> list[str]:
    body = {"target": target, "action": action, "params": params}
    batch = fleet.system.rest.post("/intents", body)
    assert len({one["id"] for one in batch["intents"]}) == len(batch["intents"])
    return [one["id"] for one in batch["intents"]]


def test_a_capability_reaches_every_agent_that_has_it(fleet: Fleet) -> None:
    ids = submit(fleet, {"capability": "files"}, "echo", hello="all")
    shown = [fleet.system.intent(one) for one in ids]
    assert len({one["batchId"] for one in shown}) == 1
    # Agents of other tests that are offline got the order too: it waits for them.
    here = {one["agent"]: one["id"] for one in shown}
    for agent in (fleet.worker, fleet.helper):
        assert fleet.system.end(here[agent.did])["result"]["output"] == {"hello": "all"}


def test_a_selector_reaches_those_with_the_label_in_the_realm_only(fleet: Fleet) -> None:
    [here] = submit(fleet, {"selector": "site=here,realm=default"}, "echo")
    [there] = submit(fleet, {"selector": "site=there"}, "echo")
    assert fleet.system.end(here)["agent"] == fleet.worker.did
    assert fleet.system.end(there)["agent"] == fleet.helper.did
    assert submit(fleet, {"selector": "site=nowhere"}, "echo") == []


def test_a_limit_bounds_how_many_are_reached(fleet: Fleet) -> None:
    assert len(submit(fleet, {"capability": "files", "limit": 1}, "echo")) == 1


def test_after_too_many_failures_the_rest_is_never_sent(fleet: Fleet) -> None:
    system = fleet.system
    target = {"selector": "batch=yes", "batch": "1", "stopAfter": 1}
    with (
        system.agent("batch-1", "--label", "batch=yes") as first,
        system.agent("batch-2", "--label", "batch=yes") as second,
        system.agent("batch-3", "--label", "batch=yes") as third,
    ):
        argv = ["sh", "-c", "echo ran >> witness"]
        good = [system.end(one) for one in submit(fleet, target, "shell.exec", argv=argv)]
        assert [one["state"] for one in good] == ["succeeded"] * 3
        ids = submit(fleet, target, "files.read", path="missing")
        ended = [system.end(one) for one in ids]
        states = sorted(one["state"] for one in ended)
        assert states == ["cancelled", "cancelled", "failed"]
        for agent in (first, second, third):
            assert agent.lines("witness") == ["ran"]
