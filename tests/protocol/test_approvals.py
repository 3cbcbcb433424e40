"""Approvals: who counts, over which call, and when it ends."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from protocol.approvals import (
    ApprovalRequest,
    Approved,
    CountedApproval,
    Denied,
    Lapsed,
    Waiting,
    call_digest,
    decide_approvals,
    open_approval,
    verify_approval,
)
from protocol.authority import AuthorityView, authorize_intent
from protocol.errors import NotAuthorisedError
from protocol.limits_window import Usage
from protocol.messages.policies import ApprovalRule
from tests.protocol.authority_world import (
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
    revoked,
    verified,
    view,
)

ALICE_LINK = delegate(ROOT, ALICE, ["*", "writ.approve"])
BOB_LINK = delegate(ROOT, BOB, ["writ.approve"])
CAROL_LINK = delegate(ROOT, CAROL, ["*"])
LINKS = {ALICE: ALICE_LINK, BOB: BOB_LINK, CAROL: CAROL_LINK}


def world(**changes: Any) -> AuthorityView:
    return view(ALICE_LINK, BOB_LINK, CAROL_LINK, **changes)


def request(
    *names: str,
    people: int = 1,
    by=HUB,
    seconds: int = 600,
    signed: bool | None = None,
    **fields: Any,
) -> ApprovalRequest:
    rule = {"people": people, "from": list(names) or ["*"], "withinSeconds": seconds}
    if signed is not None:
        rule["operatorSigned"] = signed
    held = world(
        policy=policy({"id": "ask", "effect": "allow", "actions": ["*"], "approval": rule})
    )
    proof = [] if by in (HUB, ROOT) else [LINKS[by]]
    person = delegate(ROOT, USER)
    held = replace(held, held={**held.held, person.id: person})
    grant = authorize_intent(intent(by, *proof, **fields), held, now=NOW, usage=Usage())
    return open_approval(grant, request_id=new_id(), tool="echo", arguments={"x": 1}, now=NOW)


def count(
    asked: ApprovalRequest,
    signer,
    *,
    approver: str | None = None,
    approved: bool = True,
    held: AuthorityView | None = None,
    now: datetime = NOW,
    **fields: Any,
) -> CountedApproval:
    payload: dict[str, Any] = {
        "requestId": asked.request_id,
        "callDigest": asked.call_digest,
        "approved": approved,
        "approver": approver or signer.public_key.did,
    }
    if signer in LINKS:
        payload["proof"] = [LINKS[signer].id]
    document = verified(signer, "tool_approval_response", payload | fields)
    return verify_approval(document, asked, held or world(), now=now)


def ignored(*args: Any, **kwargs: Any) -> None:
    with pytest.raises(NotAuthorisedError):
        count(*args, **kwargs)


def test_the_call_digest_is_of_the_canonical_call() -> None:
    text = b'{"arguments":{"a":1,"b":2},"intentId":"i","tool":"t"}'
    expected = base64.b64encode(hashlib.sha256(text).digest()).decode()
    assert call_digest(intent_id="i", tool="t", arguments={"b": 2, "a": 1}) == expected


def test_a_request_lapses_with_its_rule_or_with_the_order() -> None:
    assert request(seconds=60).expires == NOW + timedelta(seconds=60)
    assert request(seconds=86_400).expires == NOW + timedelta(hours=1)


def test_a_request_knows_who_ordered() -> None:
    assert request(by=ALICE).ordered_by == {ALICE.public_key.did}
    assert request(onBehalfOf=USER).ordered_by == {HUB.public_key.did, USER}


# --- who counts ---


def test_star_is_anyone_whose_chain_holds_approve_but_never_the_hub() -> None:
    asked = request("*")
    assert count(asked, ALICE).person == ALICE.public_key.did
    assert count(asked, BOB)
    ignored(asked, CAROL)
    ignored(asked, HUB)
    ignored(asked, HUB, approver=USER)
    ignored(request("*", by=ALICE), HUB)
    assert count(asked, ROOT)


def test_a_named_person_signs_themself_and_holds_approve() -> None:
    asked = request(BOB.public_key.did)
    assert count(asked, BOB)
    ignored(asked, ALICE)
    ignored(asked, ALICE, approver=BOB.public_key.did)
    ignored(asked, HUB, approver=BOB.public_key.did)
    ignored(request(CAROL.public_key.did), CAROL)


def test_only_the_hub_vouches_for_a_role() -> None:
    asked = request("admin")
    assert count(asked, HUB, approver=USER).person == USER
    ignored(asked, ALICE, approver=USER)
    ignored(asked, ROOT, approver=USER)
    ignored(asked, ALICE)
    ignored(asked, HUB)
    ignored(request(BOB.public_key.did), HUB, approver=USER)


def test_to_vouch_the_hubs_chain_holds_approve() -> None:
    asked, held = request("admin"), world()
    bare = delegate(ROOT, HUB, ["*", "writ.route"])
    held = replace(held, held={**held.held, bare.id: bare}, hub_delegation_id=bare.id)
    ignored(asked, HUB, approver=USER, held=held)


def test_roles_count_for_nothing_where_operators_must_sign() -> None:
    ignored(request("admin", signed=True), HUB, approver=USER)
    ignored(request("admin"), HUB, approver=USER, held=world(require_operator_signature=True))
    assert count(request("admin", signed=False), HUB, approver=USER)
    assert count(request("admin", "*", signed=True), BOB)


def test_where_operators_must_sign_no_chain_goes_through_the_hub() -> None:
    held = world()
    hello = held.held[held.hub_delegation_id]
    puppet = delegate(HUB, CAROL, ["writ.approve"], parent=hello)
    held = replace(held, held={**held.held, puppet.id: puppet})
    proof = [hello.id, puppet.id]
    assert count(request("*"), CAROL, held=held, proof=proof)
    ignored(request("*", signed=True), CAROL, held=held, proof=proof)
    strict = replace(held, require_operator_signature=True)
    ignored(request("*"), CAROL, held=strict, proof=proof)


def test_who_ordered_it_does_not_decide() -> None:
    ignored(request("*", by=ALICE), ALICE)
    ignored(request("*", by=ALICE), ALICE, approved=False)
    asked = request("admin", onBehalfOf=USER)
    ignored(asked, HUB, approver=USER)
    assert count(asked, HUB, approver=OTHER_USER)


def test_a_decision_is_over_exactly_this_call() -> None:
    asked = request("*")
    ignored(asked, BOB, requestId=new_id())
    ignored(asked, BOB, callDigest=call_digest(intent_id="i", tool="echo", arguments={"x": 2}))


def test_a_chain_that_does_not_hold_counts_for_nothing() -> None:
    asked = request("*")
    ignored(asked, BOB, held=world(revocations=revoked(BOB)))
    ignored(asked, BOB, proof=[])
    other = delegate(ROOT, BOB, [{"action": "writ.approve", "realms": ["other"]}])
    held = world()
    held = replace(held, held={**held.held, other.id: other})
    ignored(asked, BOB, held=held, proof=[other.id])


def test_too_late_counts_for_nothing() -> None:
    asked = request("*", seconds=60)
    assert count(asked, BOB, now=asked.expires - timedelta(milliseconds=1))
    ignored(asked, BOB, now=asked.expires)


def test_nobody_makes_a_counted_decision_by_hand() -> None:
    with pytest.raises(TypeError):
        CountedApproval("id", "request", "person", True, NOW)


# --- counting ---


def test_distinct_people_are_counted() -> None:
    asked = request("*", people=2)
    alice, again, bob = count(asked, ALICE), count(asked, ALICE), count(asked, BOB)
    assert decide_approvals(asked, [], now=NOW) == Waiting(2)
    assert decide_approvals(asked, [alice, again], now=NOW) == Waiting(1)
    done = decide_approvals(asked, [alice, again, bob], now=NOW)
    assert done == Approved((alice.document_id, bob.document_id))


def test_a_denial_is_final() -> None:
    asked = request("*", people=2)
    later = NOW + timedelta(seconds=1)
    denial = count(asked, ALICE, approved=False)
    after = [count(asked, ALICE, now=later), count(asked, BOB, now=later)]
    outcome = decide_approvals(asked, [*after, denial], now=later)
    assert outcome == Denied(denial.document_id, ALICE.public_key.did)


def test_a_person_may_still_deny_what_they_approved() -> None:
    asked = request("*", people=2)
    yes = count(asked, ALICE)
    no = count(asked, ALICE, approved=False, now=NOW + timedelta(seconds=1))
    assert isinstance(decide_approvals(asked, [yes, no], now=NOW), Denied)


def test_a_denial_after_the_last_approval_comes_too_late() -> None:
    asked = request("*", people=1)
    yes = count(asked, ALICE)
    no = count(asked, BOB, approved=False, now=NOW + timedelta(seconds=1))
    assert isinstance(decide_approvals(asked, [no, yes], now=NOW), Approved)


def test_a_request_lapses() -> None:
    asked = request("*", people=2, seconds=60)
    yes = count(asked, ALICE)
    assert decide_approvals(asked, [yes], now=asked.expires - timedelta(seconds=1)) == Waiting(1)
    assert decide_approvals(asked, [yes], now=asked.expires) == Lapsed()


def test_a_decision_kept_from_after_the_end_is_not_counted() -> None:
    asked = request("*")
    late = count(asked, ALICE, now=NOW + timedelta(seconds=60))
    shorter = replace(asked, expires=NOW + timedelta(seconds=60))
    assert decide_approvals(shorter, [late], now=NOW) == Waiting(1)


def test_decisions_of_another_request_are_not_counted() -> None:
    asked, other = request("*"), request("*")
    assert decide_approvals(asked, [count(other, ALICE)], now=NOW) == Waiting(1)


def test_no_request_is_opened_where_none_is_asked_for() -> None:
    grant = authorize_intent(intent(ROOT), world(), now=NOW, usage=Usage())
    with pytest.raises(ValueError, match="no approval"):
        open_approval(grant, request_id=new_id(), tool="echo", arguments={}, now=NOW)
    rule = ApprovalRule(people=1, from_=("*",), within_seconds=5)
    opened = open_approval(
        grant, request_id=new_id(), tool="echo", arguments={}, now=NOW, rule=rule
    )
    assert opened.rule is rule
