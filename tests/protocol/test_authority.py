"""Section 7 from the order's side: each step refuses with its code, and in this order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocol import errors
from protocol.authority import (
    Grant,
    authorize_intent,
    decide_due,
    decide_order_limits,
    is_stranger,
)
from protocol.limits_window import Usage, Wait
from protocol.policy import Effect
from tests.protocol.authority_world import (
    ALICE,
    BOB,
    CAROL,
    HUB,
    NOW,
    ROOT,
    USER,
    delegate,
    intent,
    policy,
    revoked,
    view,
)


def refused(code: str, order, held, **changes) -> None:
    with pytest.raises(errors.AuthorityError) as caught:
        authorize_intent(order, held, now=NOW, usage=Usage(), **changes)
    assert caught.value.code == code


def granted(order, held, usage=None) -> Grant:
    return authorize_intent(order, held, now=NOW, usage=usage or Usage())


def test_the_root_orders_without_a_chain() -> None:
    grant = granted(intent(ROOT), view())
    assert grant.chain.links == ()
    assert (grant.decision.effect, grant.decision.rule) == (Effect.ALLOW, "all")


def test_the_hub_orders_under_the_delegation_of_its_hello() -> None:
    assert granted(intent(HUB), view()).chain.depth == 1


def test_an_operator_orders_under_the_chain_the_order_names() -> None:
    first = delegate(ROOT, ALICE, max_depth=1)
    second = delegate(ALICE, BOB, parent=first)
    assert granted(intent(BOB, first, second), view(first, second)).chain.depth == 2


def test_only_authorize_intent_makes_a_grant() -> None:
    grant = granted(intent(ROOT), view())
    with pytest.raises(TypeError):
        Grant(grant.intent, grant.chain, grant.decision)


def test_an_agent_in_quarantine_takes_no_order() -> None:
    refused("quarantined", intent(ROOT), view(quarantined=True))


def test_an_action_that_is_not_here_is_unknown() -> None:
    refused("unknown_action", intent(ROOT, action="shell.exec"), view())


@pytest.mark.parametrize("error", [errors.BadParamsError("no"), ValueError("no"), KeyError()])
def test_params_that_do_not_fit_are_bad(error: Exception) -> None:
    def check(params: dict) -> None:
        raise error

    refused("bad_params", intent(ROOT), view(actions={"echo": check}))


def test_a_stranger_is_told_apart_from_a_signer_whose_chain_is_broken() -> None:
    order = intent(ALICE)
    with pytest.raises(errors.UnknownSignerError):
        granted(order, view())
    assert is_stranger(ALICE.public_key, view())
    known = view(delegate(ROOT, ALICE))
    assert not is_stranger(ALICE.public_key, known)
    with pytest.raises(errors.NoChainError) as caught:
        granted(order, known)
    assert not isinstance(caught.value, errors.UnknownSignerError)


def test_the_realm_must_be_one_of_the_policys() -> None:
    refused("wrong_realm", intent(ROOT, realm="other"), view())
    refused("wrong_realm", intent(ROOT), view(policy=policy(realms=[])))


def test_a_link_must_cover_action_realm_and_agent() -> None:
    for capability in (
        "files.*",
        {"action": "echo", "realms": ["other"]},
        {"action": "echo", "realms": []},
        {"action": "echo", "agents": [BOB.public_key.did]},
        {"action": "echo", "agents": []},
    ):
        link = delegate(ROOT, ALICE, [capability])
        refused("not_granted", intent(ALICE, link), view(link))


def test_a_capability_that_names_exactly_this_covers_it() -> None:
    agent = view().agent_did
    link = delegate(ROOT, ALICE, [{"action": "echo", "realms": ["default"], "agents": [agent]}])
    assert granted(intent(ALICE, link), view(link))


def test_a_condition_of_any_link_must_be_true_and_an_error_is_false() -> None:
    for source in ("1 == 2", "params.missing == 1", "((", "1"):
        first = delegate(ROOT, ALICE, max_depth=1, conditions=[source])
        second = delegate(ALICE, BOB, parent=first)
        refused("condition_false", intent(BOB, first, second), view(first, second))


def test_conditions_see_the_order() -> None:
    sources = [
        "action == 'echo' && params.n == 3 && realm == 'default'",
        f"caller.did == '{ALICE.public_key.did}' && caller.depth == 1",
        "agent.name == 'worker' && agent.labels.env == 'prod'",
        "now == timestamp('2026-03-04T12:00:00Z')",
        "budget.tokensToday == 5 && budget.centsToday == 2 && budget.ordersThisHour == 1",
        "size(taint) == 0 && caller.onBehalfOf == null",
    ]
    link = delegate(ROOT, ALICE, conditions=sources)
    usage = Usage(orders_this_hour=1, tokens_today=5, cents_today=2)
    assert granted(intent(ALICE, link, params={"n": 3}), view(link), usage)


def test_on_behalf_of_needs_a_delegation_to_that_person_that_covers_the_order() -> None:
    order = intent(HUB, onBehalfOf=USER)
    held = view()
    refused("person_not_granted", order, held)
    hello = held.held[held.hub_delegation_id]
    for link, covered in (
        (delegate(HUB, USER, ["echo"], parent=hello), True),
        (delegate(ROOT, USER, ["echo"]), True),
        (delegate(HUB, USER, ["files.read"], parent=hello), False),
        (delegate(HUB, USER, [{"action": "echo", "realms": ["other"]}], parent=hello), False),
        (delegate(HUB, USER, ["echo"], parent=hello, conditions=["false"]), False),
        (delegate(ALICE, USER, ["echo"], parent=hello), False),
        (delegate(HUB, USER, ["echo"]), False),
        (delegate(HUB, USER, ["echo"], parent=hello, expires=NOW), False),
        (delegate(HUB, USER, ["echo"], parent=hello, max_depth=3), False),
    ):
        with_link = replace(held, held={**held.held, link.id: link})
        if covered:
            assert granted(order, with_link)
            refused("person_not_granted", order, replace(with_link, revocations=revoked(link)))
        else:
            refused("person_not_granted", order, with_link)


def test_a_persons_chain_through_the_hub_counts_for_nothing_where_operators_must_sign() -> None:
    alice = delegate(ROOT, ALICE)
    held = view(alice, require_operator_signature=True)
    hello = held.held[held.hub_delegation_id]
    through_hub = delegate(HUB, USER, ["echo"], parent=hello)
    straight = delegate(ROOT, USER, ["echo"])
    order = intent(ALICE, alice, onBehalfOf=USER)
    refused(
        "person_not_granted", order, replace(held, held={**held.held, through_hub.id: through_hub})
    )
    assert granted(order, replace(held, held={**held.held, straight.id: straight}))


def test_where_operators_must_sign_the_hub_orders_nothing() -> None:
    refused("operator_required", intent(HUB), view(require_operator_signature=True))


def test_policy_refusals_have_their_codes() -> None:
    refused("no_policy", intent(ROOT), view(policy=None))
    refused("policy_expired", intent(ROOT), view(policy_expires=NOW))
    deny = policy({"id": "no", "effect": "deny", "actions": ["echo"]})
    refused("policy_denied", intent(ROOT), view(policy=deny))
    refused(
        "policy_denied",
        intent(ROOT),
        view(policy=policy({"id": "x", "effect": "allow", "actions": ["files.*"]})),
    )


def test_the_first_failing_step_names_the_code() -> None:
    # Everything is wrong at first; mending one thing at a time shows the next code.
    def bad(params: dict) -> None:
        raise ValueError

    link = delegate(ROOT, ALICE, ["files.read"], conditions=["false"])
    good_link = delegate(ROOT, ALICE, ["echo"], conditions=["false"])
    best_link = delegate(ROOT, ALICE, ["echo"])
    held = view(
        link, good_link, best_link, quarantined=True, actions={}, policy=policy(realms=["other"])
    )
    fields = {"onBehalfOf": USER}
    bare, wide = intent(ALICE, **fields), intent(ALICE, link, **fields)
    refused("quarantined", bare, held)
    held = replace(held, quarantined=False)
    refused("unknown_action", bare, held)
    held = replace(held, actions={"echo": bad})
    refused("bad_params", bare, held)
    held = replace(held, actions={"echo": lambda params: None})
    refused("no_chain", bare, held)
    refused("not_granted", wide, held)
    refused("condition_false", intent(ALICE, good_link, **fields), held)
    best = intent(ALICE, best_link, **fields)
    refused("wrong_realm", best, held)
    held = replace(held, policy=None)
    refused("person_not_granted", best, held)
    person = delegate(ROOT, USER)
    held = replace(held, held={**held.held, person.id: person})
    refused("no_policy", best, held)
    held = replace(held, policy=policy({"id": "no", "effect": "deny", "actions": ["*"]}))
    held = replace(held, policy_expires=NOW - timedelta(seconds=1))
    refused("policy_expired", best, held)
    held = replace(held, policy_expires=NOW + timedelta(seconds=1))
    refused("policy_denied", best, held)


def test_an_order_is_held_until_not_before_and_dies_at_expires() -> None:
    assert decide_due(intent(ROOT), now=NOW)
    later = intent(ROOT, notBefore="2026-03-04T12:30:00.000Z")
    assert not decide_due(later, now=NOW)
    assert decide_due(later, now=NOW + timedelta(minutes=30))
    with pytest.raises(errors.OrderExpiredError):
        decide_due(later, now=NOW + timedelta(hours=1))


def test_every_budget_of_the_chain_bounds_the_order_beside_the_policys_limits() -> None:
    first = delegate(ROOT, ALICE, max_depth=1, budget={"ordersPerHour": 2})
    second = delegate(ALICE, CAROL, parent=first, budget={"ordersPerHour": 2, "concurrent": 1})
    grant = granted(intent(CAROL, first, second), view(first, second))
    limits = policy().limits
    idle, busy = Usage(), Usage(orders_this_hour=2)

    def decide(usage: Usage, **under: Usage) -> Wait | None:
        named = {first.id: under.get("first", idle), second.id: under.get("second", idle)}
        return decide_order_limits(grant, limits, usage=usage, usage_under=named)

    assert decide(busy) is None
    assert decide(idle, second=Usage(running=1)) == Wait(1, 1)
    with pytest.raises(errors.OrderRateLimitedError):
        decide(idle, first=busy)
    with pytest.raises(errors.OrderRateLimitedError):
        decide_order_limits(grant, limits, usage=busy, usage_under={})
