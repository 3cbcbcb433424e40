"""Questions put to people: how many, who counts, what is shown, and what is refused."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.interaction.people import add_person, new_person
from tests.interaction.processes import WritProcess, environment, wait_until
from tests.interaction.rest import Answer
from tests.interaction.system import Agent, System


def ask(system: System, agent: Agent, people: int, who: list[str], **more: Any) -> None:
    asked = {"people": people, "from": who, "withinSeconds": 600, **more}
    rule = {"id": "ask", "effect": "allow", "actions": ["echo"], "approval": asked}
    system.set_policy(agent, [rule])


def order_by_ben(system: System, agent: Agent, **params: Any) -> str:
    """An order by somebody who is not the first admin."""
    body = {"target": {"agent": agent.did}, "action": "echo", "params": params}
    ben = add_person(system, f"ben-{secrets.token_hex(4)}", "operator")
    return str(ben.post("/intents", body)["intents"][0]["id"])


def approve(system: System, asked: dict[str, Any]) -> Answer:
    """Decide by REST as the first admin, for whom the hub vouches."""
    return system.rest.send("POST", f"/approvals/{asked['id']}/approve", {})


def shown(system: System, asked: dict[str, Any]) -> dict[str, Any]:
    return dict(system.rest.get(f"/approvals/{asked['id']}"))


def test_two_of_three_distinct_people_across_a_kill_of_both_sides(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker")
    ann, ann_key = new_person(system, "ann")
    bob, bob_key = new_person(system, "bob")
    _, stranger_key = new_person(system, "stranger")
    _, elsewhere_key = new_person(system, "elsewhere", realms=["other"])
    ask(system, agent, 2, [ann, bob, "admin"])
    intent = order_by_ben(system, agent, n=1)
    asked = system.pending_approval(intent)
    assert (asked["approved"], asked["people"], asked["missing"]) == (0, 2, 2)
    assert (asked["from"], asked["signed"]) == (sorted([ann, bob, "admin"]), False)

    first = system.writ("approvals", "approve", asked["id"], "--sign", ann_key, "--reason", "ok")
    assert (first["state"], first["approved"], first["missing"]) == ("pending", 1, 1)
    # The same person again, somebody the rule does not name, and somebody of another realm.
    system.writ("approvals", "approve", asked["id"], "--sign", ann_key, expect=5)
    system.writ("approvals", "approve", asked["id"], "--sign", stranger_key, expect=4)
    system.writ("approvals", "approve", asked["id"], "--sign", elsewhere_key, expect=4)
    system.hub.kill()
    agent.kill()
    system.hub.start()
    agent.start()
    agent.state("online")
    again = shown(system, asked)
    assert (again["state"], again["approved"], again["expiresAt"]) == (
        "pending",
        1,
        asked["expiresAt"],
    )
    listed = system.writ("approvals", "list")["items"]
    assert [(one["id"], one["approved"]) for one in listed] == [(asked["id"], 1)]

    assert approve(system, asked).status == 200
    ended = system.end(intent)
    assert ended["state"] == "succeeded"
    decided = shown(system, asked)
    assert decided["state"] == "approved"
    me = system.rest.get("/me")["subject"]
    assert [(one["approver"], one["by"], one["reason"]) for one in decided["decisions"]] == [
        (ann, "own key", "ok"),
        (me, "hub", None),
    ]
    assert all(one["at"] for one in decided["decisions"])
    assert ended["result"]["approvals"] == [one["id"] for one in decided["decisions"]]
    system.writ("approvals", "reject", asked["id"], "--sign", bob_key, expect=5)


def test_where_own_keys_are_demanded_the_hubs_word_counts_for_nothing(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker")
    ann, ann_key = new_person(system, "ann")
    ask(system, agent, 1, ["*", "admin"], operatorSigned=True)
    intent = order_by_ben(system, agent)
    asked = system.pending_approval(intent)
    assert asked["signed"] is True
    assert approve(system, asked).status == 403
    system.writ("approvals", "approve", asked["id"], "--sign", ann_key)
    assert system.end(intent)["state"] == "succeeded"
    assert shown(system, asked)["decisions"][0]["approver"] == ann


def test_who_signed_the_order_does_not_sign_its_approval(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker")
    _, ann_key = new_person(system, "ann")
    ask(system, agent, 1, ["*"])
    document = system.signed_order(agent, "echo", {"n": 1}).wire.decode()
    intent = system.rest.post("/intents/signed", {"document": document})["intents"][0]["id"]
    asked = system.pending_approval(intent)
    key = system.hub.made["operatorKeyFile"]
    system.writ("approvals", "approve", asked["id"], "--sign", key, expect=4)
    assert shown(system, asked)["approved"] == 0
    # One no ends it, whoever might still say yes.
    system.writ("approvals", "reject", asked["id"], "--sign", ann_key, "--reason", "too risky")
    ended = system.end(intent)
    assert ended["result"]["error"]["code"] == "approval_denied"
    assert shown(system, asked)["decisions"][0]["reason"] == "too risky"


def test_a_question_ends_with_its_order_and_at_its_moment(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker")
    ask(system, agent, 1, ["admin"])
    cancelled = order_by_ben(system, agent, n=1)
    asked = system.pending_approval(cancelled)
    system.rest.post(f"/intents/{cancelled}/cancel", {})
    assert system.end(cancelled)["state"] == "cancelled"
    assert shown(system, asked)["state"] == "expired"
    assert system.rest.items("/approvals", state="pending") == []
    assert approve(system, asked).status == 409

    ask(system, agent, 1, ["admin"], withinSeconds=1)
    late = order_by_ben(system, agent, n=2)
    ended = system.end(late)
    assert ended["result"]["error"]["code"] == "approval_expired"
    question = next(one for one in system.rest.items("/approvals") if one["intentId"] == late)
    assert approve(system, question).status == 409

    def written_down() -> bool:
        return bool(shown(system, question)["decidedAt"])

    wait_until(written_down, "the hub to write the end down")
    assert shown(system, question)["state"] == "expired"
    # The agent gave up at the very moment that both were told, not when it noticed.
    assert ended["result"]["finishedAt"] >= question["expiresAt"]


def test_a_policy_that_changes_while_people_think_asks_them_again(
    make_system: Callable[..., System],
) -> None:
    system = make_system()
    agent = system.agent("worker")
    ann, ann_key = new_person(system, "ann")
    ask(system, agent, 1, [ann])
    intent = order_by_ben(system, agent)
    asked = system.pending_approval(intent)
    ask(system, agent, 1, ["admin"])
    assert shown(system, asked)["from"] == [ann]
    assert approve(system, asked).status == 403
    system.writ("approvals", "approve", asked["id"], "--sign", ann_key)
    # What Ann was asked she has answered; the policy of now asks somebody else as well.
    again = system.pending_approval(intent)
    assert (again["from"], again["callDigest"]) == (["admin"], asked["callDigest"])
    assert system.intent(intent)["state"] == "accepted"
    assert approve(system, again).status == 200
    assert system.end(intent)["state"] == "succeeded"


def test_watch_shows_what_waits_and_then_what_happens(
    make_system: Callable[..., System], tmp_path: Path
) -> None:
    system = make_system()
    agent = system.agent("worker")
    ask(system, agent, 1, ["admin"])
    first = system.pending_approval(order_by_ben(system, agent, n=1))
    env = environment(
        WRIT_URL=system.hub.url,
        WRIT_API_KEY=str(system.hub.made["apiKey"]),
        WRIT_CONFIG_DIR=str(tmp_path / "config"),
    )
    watching = WritProcess("watch", ["approvals", "watch"], log=tmp_path / "watch.log", env=env)
    try:
        said = watching.wait_line(event="approval.waiting")
        assert said["approval"]["id"] == first["id"]
        second = system.pending_approval(order_by_ben(system, agent, n=2))
        asked = watching.wait_line(event="approval.requested")
        assert asked["approval"]["id"] == second["id"]
        approve(system, second)
        decided = watching.wait_line(event="approval.decided")
        assert (decided["approval"]["id"], decided["approval"]["state"]) == (
            second["id"],
            "approved",
        )
    finally:
        watching.kill()
