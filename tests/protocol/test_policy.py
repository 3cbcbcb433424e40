"""Policies: deny first, then the first allow, else no; errors fail closed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from protocol.conditions import ConditionContext
from protocol.errors import NoPolicyError, PolicyExpiredError
from protocol.policy import Decision, Effect, decide_policy
from tests.protocol.authority_world import AGENT, ALICE, NOW, policy


def context(action: str = "files.read", **params: Any) -> ConditionContext:
    return ConditionContext(
        action=action,
        params=params,
        realm="default",
        caller_did=ALICE.public_key.did,
        now=NOW,
        agent_did=AGENT.public_key.did,
    )


def decide(*rules: dict[str, Any], action: str = "files.read", **params: Any) -> Decision:
    return decide_policy(
        policy(*rules), context=context(action, **params), now=NOW, expires=NOW + timedelta(days=1)
    )


def rule(id: str, effect: str = "allow", actions=("files.*",), **more: Any) -> dict[str, Any]:
    return {"id": id, "effect": effect, "actions": list(actions)} | more


def test_the_first_matching_allow_decides() -> None:
    assert decide(rule("other", actions=["echo"]), rule("a"), rule("b")).rule == "a"


def test_a_deny_wins_wherever_it_stands() -> None:
    decision = decide(rule("a"), rule("no", "deny"), rule("no2", "deny"))
    assert (decision.effect, decision.rule) == (Effect.DENY, "no")


def test_what_no_rule_allows_is_denied() -> None:
    decision = decide(rule("a"), action="shell.exec")
    assert (decision.effect, decision.rule, decision.policy_version) == (Effect.DENY, None, 1)


def test_star_does_not_cover_writ_actions() -> None:
    star = rule("all", actions=["*"])
    assert decide(star, action="writ.policy").effect is Effect.DENY
    assert decide(rule("named", actions=["writ.policy"]), action="writ.policy").rule == "named"


def test_when_is_asked() -> None:
    small = rule("small", when="params.n < 10")
    assert decide(small, rule("any"), n=1).rule == "small"
    assert decide(small, rule("any"), n=11).rule == "any"
    big = rule("big", "deny", when="params.n > 10")
    assert decide(big, rule("any"), n=11).rule == "big"
    assert decide(big, rule("any"), n=1).rule == "any"


@pytest.mark.parametrize("when", ["params.missing == 1", "((", "params.n", "nobody()"])
def test_an_error_in_a_deny_matches_and_in_an_allow_does_not(when: str) -> None:
    assert decide(rule("no", "deny", when=when), rule("any"), n=1).rule == "no"
    assert decide(rule("first", when=when), rule("second"), n=1).rule == "second"


def test_an_allow_names_what_it_demands() -> None:
    approval = {"people": 2, "from": ["*"], "withinSeconds": 60}
    decision = decide(rule("a", approval=approval, sandbox="strict", domains=["*.example.org"]))
    assert decision.approval is not None
    assert decision.approval.people == 2
    assert (decision.sandbox, decision.domains) == ("strict", ("*.example.org",))
    assert decide(rule("a", domains=[])).domains == ()
    assert decide(rule("a")).domains is None


def test_without_a_policy_in_force_nothing_is_decided() -> None:
    with pytest.raises(NoPolicyError):
        decide_policy(None, context=context(), now=NOW, expires=None)
    with pytest.raises(PolicyExpiredError):
        decide_policy(policy(), context=context(), now=NOW, expires=NOW)
    assert decide_policy(policy(), context=context(), now=NOW, expires=None).rule == "all"


def test_decisions_do_not_depend_on_what_was_asked_before() -> None:
    held = policy(rule("a"), rule("no", "deny", actions=["files.write"]))
    for n in range(1_100):  # more actions than are remembered
        decide_policy(held, context=context(f"files.x{n}"), now=NOW, expires=None)
    assert decide_policy(held, context=context("files.write"), now=NOW, expires=None).rule == "no"
    assert decide_policy(held, context=context("files.read"), now=NOW, expires=None).rule == "a"
