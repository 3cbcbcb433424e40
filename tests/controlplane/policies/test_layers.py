"""Layers of policies merge into one that allows exactly what all of them allow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentd.executors.addresses import matches_host
from agentd.sandbox import LEVELS
from controlplane.policies.content import PolicyContent, read_content
from controlplane.policies.demands import (
    SANDBOX_LEVELS,
    LayersError,
    both_approvals,
    both_domains,
)
from controlplane.policies.explanation import explain_policy
from controlplane.policies.layers import Layer, Merged, layer_of, merge_layers
from protocol.conditions import ConditionContext
from protocol.keys import SigningKey
from protocol.messages.policies import ApprovalRule, PolicyLimits, PolicyRule
from protocol.policy import Decision, Effect, compile_policy, decide_policy

PATIENT = settings(deadline=None, max_examples=150)
NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
REALMS = ("blue", "default", "red")
ACTIONS = ("echo", "files.read", "files.raw.read", "shell.exec", "writ.policy")
DID = SigningKey.from_seed(bytes(32)).public_key.did

conditions = st.sampled_from(
    [
        None,
        "params.n > 2",
        "params.n < 4",
        'realm == "red"',
        "params.missing == 1",
        "params.n",
        '"text"',
        "params.n == 1 || params.missing",
        "this is (not CEL",
        'true) || (realm == "red"',
        "caller.depth < 3",
        "now.getHours() < 18",
    ]
)
approvals = st.none() | st.builds(
    lambda people, who, seconds, signed: {
        "people": people,
        "from": who,
        "withinSeconds": seconds,
        **({"operatorSigned": True} if signed else {}),
    },
    st.integers(1, 4),
    st.lists(st.sampled_from(["*", "admin", "operator", DID]), min_size=1, unique=True).map(
        lambda some: ["*", *[one for one in some if one != "*"]]
    ),
    st.integers(1, 3_600),
    st.booleans(),
)


@st.composite
def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    found = []
    for index in range(draw(st.integers(0, 4))):
        rule: dict[str, Any] = {
            "id": f"r{index}",
            "effect": draw(st.sampled_from(["allow", "allow", "deny"])),
            "actions": draw(
                st.lists(
                    st.sampled_from([*ACTIONS, "*", "files.*", "files.raw.*"]),
                    min_size=1,
                    max_size=3,
                )
            ),
        }
        for name, values in (
            ("when", conditions),
            ("approval", approvals),
            ("sandbox", st.sampled_from([None, *SANDBOX_LEVELS])),
            ("domains", st.sampled_from([None, [], ["a.example"], ["*.example", "b.test:443"]])),
        ):
            value = draw(values)
            if value is not None:
                rule[name] = value
        found.append(rule)
    return found


limits = st.dictionaries(
    st.sampled_from(["ordersPerHour", "ordersPerDay", "concurrent", "tokensPerDay"]),
    st.integers(1, 9),
)


@st.composite
def layers(draw: st.DrawFn, name: str) -> Layer:
    return layer_of(name, PolicyContent(draw(rules()), draw(limits)))


@st.composite
def orders(draw: st.DrawFn) -> ConditionContext:
    return order(
        draw(st.sampled_from(ACTIONS)), draw(st.sampled_from(REALMS)), n=draw(st.integers(0, 5))
    )


def order(action: str, realm: str = "default", **params: Any) -> ConditionContext:
    return ConditionContext(
        action=action, params=params, realm=realm, caller_did=DID, now=NOW, agent_did=DID, depth=1
    )


def decide(
    rules_: tuple[PolicyRule, ...], limits_: PolicyLimits, asked: ConditionContext
) -> Decision:
    content = PolicyContent(
        [rule.model_dump(mode="json", by_alias=True) for rule in rules_],
        limits_.model_dump(mode="json", by_alias=True),
    )
    update = read_content(content, REALMS)
    decision = decide_policy(compile_policy(update), context=asked, now=NOW, expires=None)
    explained = explain_policy(update, asked)
    assert explained.allowed == (decision.effect is Effect.ALLOW)
    decided = explained.decided
    assert (decided.rule.id if decided else None) == decision.rule
    return decision


def lowest(given: list[int | None]) -> int | None:
    numbers = [one for one in given if one is not None]
    return min(numbers) if numbers else None


@PATIENT
@given(
    layers("agent"),
    st.none() | layers("fleet"),
    st.none() | layers("realm:red"),
    st.none() | layers("realm:blue"),
    st.sampled_from([("red",), ("default",), ("default", "red"), REALMS]),
    st.lists(orders(), min_size=1, max_size=8),
)
def test_merged_allows_exactly_what_every_layer_allows(
    agent: Layer,
    fleet: Layer | None,
    red: Layer | None,
    blue: Layer | None,
    realms: tuple[str, ...],
    asked: list[ConditionContext],
) -> None:
    others = [one for one in (red, fleet, blue) if one is not None]
    merged = merge_layers(agent, others, realms)
    applying = [one for one in others if one.realm is None or one.realm in realms]
    assert merged.limits.orders_per_hour == lowest(
        [one.limits.orders_per_hour for one in (agent, *applying)]
    )
    for one in asked:
        if one.realm not in realms:
            continue
        whole = decide(merged.rules, merged.limits, one)
        parts = [
            decide(layer.rules, layer.limits, one)
            for layer in (agent, *applying)
            if layer.realm in (None, one.realm)
        ]
        allowed = all(part.effect is Effect.ALLOW for part in parts)
        assert (whole.effect is Effect.ALLOW) == allowed
        if not allowed:
            continue
        assert whole.rule is not None
        assert {source.rule for source in merged.sources[whole.rule]} == {
            part.rule for part in parts
        }
        check_demands(whole, parts)


def check_demands(whole: Decision, parts: list[Decision]) -> None:
    asked = [part.approval for part in parts if part.approval is not None]
    assert (whole.approval is None) == (not asked)
    if whole.approval is not None:
        assert whole.approval.people == max(one.people for one in asked)
        assert whole.approval.within_seconds == min(one.within_seconds for one in asked)
        assert bool(whole.approval.operator_signed) == any(one.operator_signed for one in asked)
    levels = [SANDBOX_LEVELS.index(part.sandbox) for part in parts if part.sandbox is not None]
    assert whole.sandbox == (SANDBOX_LEVELS[max(levels)] if levels else None)
    named = [part.domains for part in parts if part.domains is not None]
    assert (whole.domains is None) == (not named)
    for host, port in (("a.example", 80), ("x.a.example", 443), ("b.test", 443), ("b.test", 80)):
        reached = all(any(matches_host(one, host, port) for one in some) for some in named)
        if named:
            assert whole.domains is not None
            assert any(matches_host(one, host, port) for one in whole.domains) == reached


def allow(*actions: str, id: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": id, "effect": "allow", "actions": list(actions), **more}


def merge(
    own: list[dict[str, Any]], fleet: list[dict[str, Any]], realms: tuple[str, ...] = ("default",)
) -> Merged:
    agent = layer_of("agent", PolicyContent(own))
    return merge_layers(agent, [layer_of("fleet", PolicyContent(fleet))], realms)


def test_an_agent_alone_keeps_its_rules_as_they_were_written() -> None:
    own = [allow("echo", id="one", when="params.n > 1"), allow("files.*", id="two", domains=[])]
    merged = merge_layers(layer_of("agent", PolicyContent(own)), [], ("default",))
    assert merged.content.rules == own


def test_a_layer_never_adds_what_the_agents_own_policy_does_not_allow() -> None:
    merged = merge([allow("files.read")], [allow("*")])
    assert [one.actions for one in merged.rules] == [("files.read",)]
    assert merge([], [allow("*")]).rules == ()


def test_rule_ids_name_the_rules_they_come_from() -> None:
    merged = merge(
        [allow("files.*", id="read")],
        [allow("*", id="base"), {"id": "no", "effect": "deny", "actions": ["shell.*"]}],
    )
    assert [one.id for one in merged.rules] == ["fleet.no", "fleet.base--read"]


def test_long_rule_ids_stay_within_the_wire_form_and_apart() -> None:
    own = [allow("files.read", id="x" * 63), allow("files.write", id="x" * 62 + "y")]
    ids = [one.id for one in merge(own, [allow("*", id="y" * 63)]).rules]
    assert len(set(ids)) == 2
    assert all(len(one) <= 63 for one in ids)


def test_people_nobody_accepts_twice_are_an_error_that_names_the_rules() -> None:
    def ask(who: str) -> dict[str, Any]:
        return {"people": 1, "from": [who], "withinSeconds": 60}

    with pytest.raises(LayersError, match="rule f of fleet and rule o of agent"):
        merge(
            [allow("echo", id="o", approval=ask("auditor"))],
            [allow("echo", id="f", approval=ask("approver"))],
        )


def test_who_holds_the_wider_role_decides_for_the_narrower_one_too() -> None:
    one = ApprovalRule(people=1, from_=("operator",), within_seconds=60)
    other = ApprovalRule(people=2, from_=("admin",), within_seconds=30)
    both = both_approvals(one, other)
    assert both is not None
    assert (both.people, both.from_, both.within_seconds) == (2, ("admin",), 30)


def test_anyone_with_a_key_is_no_role_the_hub_vouches_for() -> None:
    anyone = ApprovalRule(people=1, from_=("*",), within_seconds=60)
    role = ApprovalRule(people=1, from_=("admin",), within_seconds=60)
    with pytest.raises(LayersError):
        both_approvals(anyone, role)
    person = ApprovalRule(people=1, from_=(DID,), within_seconds=60)
    both = both_approvals(anyone, person)
    assert both is not None
    assert both.from_ == (DID,)


def test_too_many_rules_and_conditions_are_refused_instead_of_cut() -> None:
    many = [allow(f"a.b{n}", "echo", id=f"r{n}", when=f"params.n == {n}") for n in range(40)]
    with pytest.raises(LayersError, match="more than 256"):
        merge(many, many)
    long = " || ".join(f"params.n == {n}" for n in range(60))
    with pytest.raises(LayersError, match="too large together"):
        merge([allow("echo", when=long)], [allow("echo", when=long + " || params.n == 99")])


def test_hosts_of_both_sides() -> None:
    assert both_domains(["*"], ["*.example:443"]) == ("*.example:443",)
    assert both_domains(["*.example:443"], ["a.example"]) == ("a.example:443",)
    assert both_domains(["a.example:443"], ["a.example:80"]) == ()
    assert both_domains(None, ["a.example"]) == ("a.example",)
    assert both_domains([], ["a.example"]) == ()
    assert both_domains(["*.0.0.1"], ["127.0.0.1"]) == ()


def test_the_levels_are_those_of_the_agent_from_least_to_most_strict() -> None:
    assert SANDBOX_LEVELS == LEVELS


def test_merging_full_layers_takes_no_time_to_speak_of() -> None:
    own = [allow(f"a.b{n}", id=f"r{n}", when=f"params.n == {n}") for n in range(200)]
    started = datetime.now(UTC)
    assert len(merge(own, [allow("*", id=f"f{n}", when="true") for n in range(1)]).rules) == 200
    assert datetime.now(UTC) - started < timedelta(seconds=5)
