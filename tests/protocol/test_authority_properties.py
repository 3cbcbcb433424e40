"""Authority over random chains, policies and documents: it only ever narrows, and never crashes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import errors
from protocol.approvals import ApprovalRequest, decide_approvals, verify_approval
from protocol.authority import authorize_intent, decide_due, is_stranger
from protocol.capabilities import capabilities_attenuate, covers_order, covers_pattern
from protocol.conditions import ConditionContext
from protocol.delegation import Link, RevocationView
from protocol.document_authority import authorize_cancel, authorize_document
from protocol.envelope import envelope_from_value
from protocol.limits_window import Usage, UsageRecord, measure_usage
from protocol.messages.delegations import Capability
from protocol.messages.policies import ApprovalRule
from protocol.policy import Effect, decide_policy
from protocol.verification import verify_document_offline
from tests.protocol.authority_world import (
    AGENT,
    ALICE,
    BOB,
    CAROL,
    HUB,
    NOW,
    OTHER_USER,
    ROOT,
    USER,
    delegate,
    intent,
    new_id,
    policy,
    seal,
    view,
)

# Slow machines are no failures here; how long things take is tested elsewhere.
PATIENT = settings(deadline=None)

ACTIONS = ["echo", "files.read", "files.raw.read", "writ.policy", "writ.revoke"]
EVERY_ACTION = dict.fromkeys(ACTIONS, lambda params: None)
PATTERNS = [*ACTIONS, "*", "files.*", "files.raw.*", "writ.*"]
REALMS = ["default", "other"]
AGENTS = [AGENT.public_key.did, BOB.public_key.did]
KEYS = [ROOT, HUB, ALICE, BOB, CAROL]


def subsets(values: list[str]) -> st.SearchStrategy[list[str] | None]:
    return st.none() | st.lists(st.sampled_from(values), max_size=2, unique=True)


@st.composite
def capabilities(draw: st.DrawFn) -> dict[str, Any]:
    made: dict[str, Any] = {"action": draw(st.sampled_from(PATTERNS))}
    for name, values in (("realms", REALMS), ("agents", AGENTS)):
        chosen = draw(subsets(values))
        if chosen is not None:
            made[name] = chosen
    return made


@st.composite
def chains(draw: st.DrawFn, *, length: int = 3) -> list[Link]:
    """Links down from the root that may or may not attenuate."""
    people = [ROOT, ALICE, BOB, CAROL]
    links: list[Link] = []
    for step in range(draw(st.integers(1, length))):
        links.append(
            delegate(
                people[step],
                people[step + 1],
                draw(st.lists(capabilities(), min_size=1, max_size=3)),
                parent=links[-1] if links else None,
                max_depth=draw(st.sampled_from([2 - step, 2 - step, 2 - step, 1])),
                conditions=draw(st.sampled_from([[], [], ["params.n > 3"], ["false"], ["("]])),
            )
        )
    return links


@PATIENT
@given(chains(), st.sampled_from(ACTIONS), st.sampled_from(REALMS), st.sampled_from([0, 5]))
def test_a_child_never_may_what_its_parent_may_not(links, action, realm, n) -> None:
    people = [ROOT, ALICE, BOB, CAROL]
    held = view(
        *links, policy=policy(realms=REALMS), actions=dict.fromkeys(ACTIONS, lambda p: None)
    )
    allowed = []
    for depth in range(1, len(links) + 1):
        order = intent(people[depth], *links[:depth], action=action, realm=realm, params={"n": n})
        try:
            authorize_intent(order, held, now=NOW, usage=Usage())
        except errors.PolicyDeniedError:
            assert action.startswith("writ.")
            allowed.append(True)
        except errors.AuthorityError:
            allowed.append(False)
        else:
            allowed.append(True)
    assert allowed == sorted(allowed, reverse=True)


@PATIENT
@given(chains(), st.sampled_from(ACTIONS), st.sampled_from(REALMS))
def test_what_attenuates_covers_no_more(links, action, realm) -> None:
    for parent, child in pairwise(links):
        outer, inner = parent.delegation.capabilities, child.delegation.capabilities
        if not capabilities_attenuate(inner, outer):
            continue
        for agent in AGENTS:
            where = {"action": action, "realm": realm, "agent": agent}
            if any(covers_order(capability, **where) for capability in inner):
                assert any(covers_order(capability, **where) for capability in outer)


@PATIENT
@given(st.sampled_from(PATTERNS), st.sampled_from(PATTERNS), st.sampled_from(ACTIONS))
def test_a_pattern_inside_another_covers_no_more(parent, child, action) -> None:
    def granted(pattern: str) -> bool:
        return covers_order(Capability(action=pattern), action=action, realm="x", agent="y")

    if covers_pattern(parent, child) and granted(child):
        assert granted(parent)


@st.composite
def rules(draw: st.DrawFn, id: str, effect: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": id,
        "effect": effect,
        "actions": draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2)),
    }
    when = draw(st.sampled_from([None, "params.n > 3", "true", "false", "params.zz", "("]))
    if when is not None:
        made["when"] = when
    return made


@PATIENT
@given(st.data(), st.integers(0, 4), st.sampled_from(ACTIONS), st.sampled_from([0, 5]))
def test_adding_a_deny_never_allows_more(data, count, action, n) -> None:
    before = [
        data.draw(rules(f"r{number}", data.draw(st.sampled_from(["allow", "deny"]))))
        for number in range(count)
    ] or [{"id": "r", "effect": "deny", "actions": ["echo"]}]
    at = data.draw(st.integers(0, len(before)))
    after = [*before[:at], data.draw(rules("added", "deny")), *before[at:]]
    context = ConditionContext(
        action=action,
        params={"n": n},
        realm="default",
        caller_did=ALICE.public_key.did,
        now=NOW,
        agent_did=AGENT.public_key.did,
    )
    old, new = (
        decide_policy(policy(*some), context=context, now=NOW, expires=None)
        for some in (before, after)
    )
    if new.effect is Effect.ALLOW:
        assert old == new


@PATIENT
@given(chains(), st.sampled_from(ACTIONS))
def test_a_revoked_link_is_always_refused(links, action) -> None:
    signer = [ROOT, ALICE, BOB, CAROL][len(links)]
    held = view(*links, policy=policy(realms=REALMS), actions={action: lambda p: None})
    order = intent(signer, *links, action=action, params={"n": 5})
    for link in links:
        gone = RevocationView(1, frozenset(), frozenset({link.id}))
        with pytest.raises(errors.AuthorityError):
            authorize_intent(order, replace(held, revocations=gone), now=NOW, usage=Usage())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
DIDS = st.sampled_from([*(key.public_key.did for key in KEYS), USER, OTHER_USER])


@st.composite
def documents(draw: st.DrawFn, links: list[Link]) -> tuple[Any, str, dict[str, Any]]:
    ids = st.lists(st.sampled_from([link.id for link in links]) | st.builds(new_id), max_size=6)
    number = draw(st.integers(1, 9))
    kind = draw(st.sampled_from(sorted(SHAPES)))
    payload = SHAPES[kind](draw, number)
    if kind != "delegation" and draw(st.booleans()):
        payload["proof"] = draw(ids)
    for _ in range(draw(st.integers(0, 2))):
        payload[draw(st.sampled_from([*payload, "extra"]))] = draw(JSON)
    return draw(st.sampled_from(KEYS)), kind, payload


def _delegation(draw: st.DrawFn, number: int) -> dict[str, Any]:
    return {
        "subject": draw(DIDS),
        "capabilities": draw(st.lists(capabilities(), max_size=3)),
        "conditions": draw(st.lists(st.text(min_size=1, max_size=20), max_size=2)),
        "notBefore": "2026-03-04T11:00:00.000Z",
        "maxDepth": number,
        "parent": draw(st.sampled_from([None, "A" * 43 + "="])),
    }


SHAPES: dict[str, Any] = {
    "intent": lambda draw, number: {
        "action": draw(st.sampled_from(ACTIONS)),
        "params": draw(st.dictionaries(st.text(max_size=5), JSON, max_size=3)),
        "realm": draw(st.sampled_from(REALMS)),
        "timeoutSeconds": number,
        **({"onBehalfOf": draw(DIDS)} if draw(st.booleans()) else {}),
    },
    "policy_update": lambda draw, number: {
        "policyId": new_id(),
        "version": number,
        "realms": draw(st.lists(st.sampled_from(REALMS), max_size=2)),
        "default": "deny",
        "rules": [draw(rules("a", "allow"))],
        "limits": {},
    },
    "delegation": _delegation,
    "revocations": lambda draw, number: {
        "epoch": number,
        "keys": [draw(DIDS)],
        "delegations": [],
    },
    "quarantine": lambda draw, number: {
        "epoch": number,
        "active": draw(st.booleans()),
        "reason": draw(st.text(max_size=9)),
    },
    "llm_config": lambda draw, number: {"version": number, "config": {}},
    "intent_cancel": lambda draw, number: {"intentId": new_id(), "reason": ""},
    "tool_approval_response": lambda draw, number: {
        "requestId": REQUEST.request_id,
        "callDigest": REQUEST.call_digest,
        "approved": draw(st.booleans()),
        "approver": draw(DIDS),
    },
}
REQUEST = ApprovalRequest(
    request_id=new_id(),
    call_digest="A" * 43 + "=",
    rule=ApprovalRule(people=1, from_=("*", "admin"), within_seconds=60),
    realm="default",
    ordered_by=frozenset({USER}),
    expires=NOW + timedelta(seconds=60),
)


@PATIENT
@given(st.data(), chains(), st.booleans())
def test_no_document_brings_out_anything_but_an_error_of_ours(data, links, strict) -> None:
    held = view(
        *links,
        require_operator_signature=strict,
        actions=EVERY_ACTION,
    )
    signer, kind, payload = data.draw(documents([*held.held.values()]))
    with suppress(errors.Error):
        # Sealed, embedded and taken out again, as it travels.
        envelope = envelope_from_value(seal(signer, kind, payload).as_value())
        proved = verify_document_offline(envelope, at=None)
        is_stranger(envelope.public_key, held)
        if kind == "intent":
            decide_due(proved, now=NOW)
            authorize_intent(proved, held, now=NOW, usage=Usage())
        elif kind == "intent_cancel":
            authorize_cancel(proved, held, ordered_by=ALICE.public_key, realm="default", now=NOW)
        elif kind == "tool_approval_response":
            decide_approvals(REQUEST, [verify_approval(proved, REQUEST, held, now=NOW)], now=NOW)
        else:
            authorize_document(proved, held, now=NOW)


@PATIENT
@given(
    st.lists(
        st.builds(
            UsageRecord,
            st.integers(-100_000, 100_000).map(lambda seconds: NOW - timedelta(seconds=seconds)),
            st.integers(0, 100),
            st.integers(0, 100),
        ),
        max_size=20,
    ),
    st.integers(0, 100_000),
)
def test_waiting_never_uses_up_more(records, seconds) -> None:
    now, later = (
        measure_usage(records, NOW),
        measure_usage(records, NOW + timedelta(seconds=seconds)),
    )
    assert later.orders_today <= now.orders_today
    assert later.orders_this_hour <= now.orders_this_hour
    assert later.tokens_today <= now.tokens_today
    assert later.cents_today <= now.cents_today
