"""Documents that steer an agent: who may, when the hub's key counts, and ratchets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from protocol import errors
from protocol.authority import AuthorityView, Ratchet
from protocol.delegation import RevocationView
from protocol.document_authority import (
    DOCUMENT_ACTIONS,
    authorize_cancel,
    authorize_document,
)
from protocol.limits import MAX_NUMBER_STEP, MAX_SAFE_INTEGER
from tests.protocol.authority_world import (
    ALICE,
    BOB,
    HUB,
    NOW,
    ROOT,
    delegate,
    hub_link,
    intent,
    new_id,
    policy,
    revoked,
    verified,
    view,
)

PAYLOADS: dict[str, dict[str, Any]] = {
    "policy_update": {
        "policyId": new_id(),
        "version": 5,
        "realms": ["default"],
        "default": "deny",
        "rules": [],
        "limits": {},
    },
    "revocations": {"epoch": 5, "keys": [], "delegations": []},
    "quarantine": {"epoch": 5, "active": True, "reason": "drill"},
    "llm_config": {"version": 5, "config": {}},
    "skills_config": {"version": 5, "config": {}},
}
KINDS = list(PAYLOADS)
NUMBER = {kind: "epoch" if kind in ("revocations", "quarantine") else "version" for kind in KINDS}


def document(signer, kind: str, *proof, **fields: Any):
    payload = PAYLOADS[kind] | fields
    if proof:
        payload["proof"] = [link.id for link in proof]
    return verified(signer, kind, payload)


def refused(code: str, document, held: AuthorityView) -> None:
    with pytest.raises(errors.DocumentRefusedError) as caught:
        authorize_document(document, held, now=NOW)
    assert caught.value.code == code


def test_every_steering_document_is_tested_here() -> None:
    assert set(KINDS) == set(DOCUMENT_ACTIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_root_and_hub_may_steer(kind: str) -> None:
    for signer in (ROOT, HUB):
        assert authorize_document(document(signer, kind), view(), now=NOW)


@pytest.mark.parametrize("kind", KINDS)
def test_an_operator_needs_exactly_that_action(kind: str) -> None:
    right = delegate(ROOT, ALICE, [DOCUMENT_ACTIONS[kind]])
    assert authorize_document(document(ALICE, kind, right), view(right), now=NOW).depth == 1
    others = sorted({"*", "writ.*", "echo", *DOCUMENT_ACTIONS.values()} - {DOCUMENT_ACTIONS[kind]})
    wrong = delegate(ROOT, ALICE, others)
    refused("not_authorised", document(ALICE, kind, wrong), view(wrong))


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_that_does_not_hold_is_not_authorised(kind: str) -> None:
    action = DOCUMENT_ACTIONS[kind]
    link = delegate(ROOT, ALICE, [action])
    good = document(ALICE, kind, link)
    refused("not_authorised", document(ALICE, kind), view(link))
    refused("not_authorised", document(BOB, kind), view(link))
    refused("not_authorised", good, view(link, revocations=revoked(ALICE)))
    for changes in (
        {"expires": NOW},
        {"conditions": ["false"]},
        {"capabilities": [{"action": action, "agents": []}]},
        {"capabilities": [{"action": action, "realms": ["other"]}]},
    ):
        narrow = delegate(ROOT, ALICE, **({"capabilities": [action]} | changes))
        refused("not_authorised", document(ALICE, kind, narrow), view(narrow))


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_expired_takes_no_effect(kind: str) -> None:
    late = verified(ROOT, kind, PAYLOADS[kind], expires=NOW)
    refused("expired", late, view())


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_only_go_up_across_ids(kind: str) -> None:
    old = "old_epoch" if NUMBER[kind] == "epoch" else "old_version"
    first = document(ROOT, kind)
    at = view(ratchets={kind: Ratchet(5, first.envelope.digest)})
    assert authorize_document(first, at, now=NOW), "the same bytes are no error"
    refused(old, document(ROOT, kind), at)
    refused(old, document(ROOT, kind, **{NUMBER[kind]: 4}), at)
    assert authorize_document(document(ROOT, kind, **{NUMBER[kind]: 6}), at, now=NOW)
    other = next(name for name in KINDS if name != kind)
    assert authorize_document(first, view(ratchets={other: Ratchet(9)}), now=NOW)


@pytest.mark.parametrize(
    ("kind", "fields", "counts"),
    [
        ("policy_update", {}, False),
        ("llm_config", {}, False),
        ("skills_config", {}, False),
        ("revocations", {}, True),
        ("quarantine", {}, True),
    ],
)
def test_where_operators_must_sign_the_hub_only_stops_things(kind, fields, counts) -> None:
    strict = view(require_operator_signature=True)
    if counts:
        assert authorize_document(document(HUB, kind, **fields), strict, now=NOW)
    else:
        refused("not_authorised", document(HUB, kind, **fields), strict)


# --- revocations ---


def test_anyone_with_the_action_adds_and_only_the_root_removes() -> None:
    did, id = BOB.public_key.did, new_id()
    held = view(revocations=RevocationView(4, frozenset({did}), frozenset({id})))
    more = {"keys": [did, ALICE.public_key.did], "delegations": [id, new_id()]}
    assert authorize_document(document(HUB, "revocations", **more), held, now=NOW)
    for fewer in ({"keys": [did]}, {"delegations": [id]}, {}):
        lifting = PAYLOADS["revocations"] | fewer
        refused("forbidden_lift", document(HUB, "revocations", **lifting), held)
        assert authorize_document(document(ROOT, "revocations", **lifting), held, now=NOW)
    operator = delegate(ROOT, ALICE, ["writ.revoke"])
    with_operator = replace(held, held={**held.held, operator.id: operator})
    refused("forbidden_lift", document(ALICE, "revocations", operator), with_operator)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("in_force", [None, 7])
def test_a_hub_cannot_use_up_the_numbers_and_the_root_may_go_anywhere(kind, in_force) -> None:
    held = view() if in_force is None else view(ratchets={kind: Ratchet(in_force, "x")})
    far = (in_force or 0) + MAX_NUMBER_STEP

    def numbered(signer, number: int):
        return document(signer, kind, **{NUMBER[kind]: number})

    assert authorize_document(numbered(HUB, far), held, now=NOW)
    refused("not_authorised", numbered(HUB, far + 1), held)
    refused("not_authorised", numbered(HUB, MAX_SAFE_INTEGER), held)
    assert authorize_document(numbered(ROOT, MAX_SAFE_INTEGER), held, now=NOW)


def test_who_was_lent_the_hubs_right_cannot_use_up_the_numbers_either() -> None:
    hub = hub_link()
    lent = delegate(HUB, ALICE, ["writ.revoke"], parent=hub)
    held = view(hub, lent)
    refused(
        "not_authorised", document(ALICE, "revocations", hub, lent, epoch=MAX_SAFE_INTEGER), held
    )


def test_an_old_list_is_old_before_it_is_a_lift() -> None:
    held = view(
        revocations=RevocationView(5, frozenset({BOB.public_key.did})),
        ratchets={"revocations": Ratchet(5)},
    )
    refused("old_epoch", document(HUB, "revocations", epoch=4), held)
    refused("forbidden_lift", document(HUB, "revocations", epoch=6), held)


# --- quarantine ---


def test_no_chain_through_the_hub_lifts_a_quarantine() -> None:
    held = view()
    hello = held.held[held.hub_delegation_id]
    puppet = delegate(HUB, BOB, ["writ.quarantine"], parent=hello)
    operator = delegate(ROOT, ALICE, ["writ.quarantine"])
    held = replace(held, held={**held.held, puppet.id: puppet, operator.id: operator})
    refused("forbidden_lift", document(HUB, "quarantine", active=False), held)
    refused("forbidden_lift", document(BOB, "quarantine", hello, puppet, active=False), held)
    assert authorize_document(document(BOB, "quarantine", hello, puppet), held, now=NOW)
    assert authorize_document(document(ALICE, "quarantine", operator, active=False), held, now=NOW)
    assert authorize_document(document(ROOT, "quarantine", active=False), held, now=NOW)


def test_a_lift_needs_a_higher_epoch_than_the_last_seen() -> None:
    held = view(ratchets={"quarantine": Ratchet(5)}, quarantined=True)
    refused("old_epoch", document(ROOT, "quarantine", active=False), held)
    assert authorize_document(document(ROOT, "quarantine", active=False, epoch=6), held, now=NOW)


# --- policies and realms ---


def test_a_policy_is_signed_by_who_holds_its_realms_and_the_ones_in_force() -> None:
    link = delegate(ROOT, ALICE, [{"action": "writ.policy", "realms": ["default", "new"]}])
    held = view(link)
    moved = document(ALICE, "policy_update", link, realms=["new"])
    assert authorize_document(moved, held, now=NOW)
    refused("not_authorised", document(ALICE, "policy_update", link, realms=["x"]), held)
    refused("not_authorised", moved, replace(held, policy=policy(realms=["x"])))
    both = delegate(
        ROOT,
        ALICE,
        [
            {"action": "writ.policy", "realms": ["default"]},
            {"action": "writ.policy", "realms": ["b"]},
        ],
    )
    wide = document(ALICE, "policy_update", both, realms=["default", "b"])
    assert authorize_document(wide, view(both), now=NOW)


def test_conditions_see_the_document() -> None:
    link = delegate(ROOT, ALICE, ["writ.policy"], conditions=["size(params.rules) == 0"])
    assert authorize_document(document(ALICE, "policy_update", link), view(link), now=NOW)
    rule = {"id": "a", "effect": "allow", "actions": ["*"]}
    refused("not_authorised", document(ALICE, "policy_update", link, rules=[rule]), view(link))


# --- delegations ---


def as_verified(link):
    return verified(
        ALICE if link.envelope.public_key == ALICE.public_key else ROOT,
        "delegation",
        link.envelope.payload,
    )


def test_who_may_delegate() -> None:
    parent = delegate(ROOT, ALICE, max_depth=1)
    leaf = delegate(ROOT, ALICE, max_depth=0)
    held = view(parent, leaf)
    assert authorize_document(as_verified(delegate(ROOT, BOB)), held, now=NOW)
    assert authorize_document(as_verified(delegate(ALICE, BOB, parent=parent)), held, now=NOW)
    refused("not_authorised", as_verified(delegate(ALICE, BOB, parent=leaf)), held)
    refused("not_authorised", as_verified(delegate(ALICE, BOB)), held)
    refused("not_authorised", as_verified(delegate(ALICE, BOB, parent=parent)), view())
    refused("not_authorised", as_verified(delegate(ROOT, BOB, parent=parent)), held)
    gone = replace(held, revocations=revoked(parent))
    refused("not_authorised", as_verified(delegate(ALICE, BOB, parent=parent)), gone)


def test_parents_in_a_circle_end() -> None:
    parent = delegate(ROOT, ALICE, max_depth=1)
    child = delegate(ALICE, BOB, parent=parent)
    # A true circle cannot be signed; a store that lies about digests can still show one.
    object.__setattr__(parent, "digest", child.digest)
    looped = parent.delegation.model_copy(update={"parent": child.digest})
    object.__setattr__(parent, "delegation", looped)
    held = view(parent)
    refused("not_authorised", as_verified(delegate(ALICE, BOB, parent=child)), held)


# --- cancel ---


def test_who_may_cancel() -> None:
    held = view(require_operator_signature=True)
    order = intent(ALICE)
    payload = {"intentId": order.envelope.id, "reason": "changed my mind"}

    def cancel(signer, view=held, **fields):
        authorize_cancel(
            verified(signer, "intent_cancel", payload | fields),
            view,
            ordered_by=ALICE.public_key,
            realm="default",
            now=NOW,
        )

    cancel(ALICE)
    cancel(ROOT)
    cancel(HUB)
    with pytest.raises(errors.NotAuthorisedError):
        cancel(BOB)
    with pytest.raises(errors.NotAuthorisedError):
        cancel(ALICE, view(revocations=revoked(ALICE)))
    link = delegate(ROOT, BOB, [{"action": "writ.cancel", "realms": ["default"]}])
    cancel(BOB, view(link), proof=[link.id])
    other = delegate(ROOT, BOB, [{"action": "writ.cancel", "realms": ["other"]}])
    with pytest.raises(errors.NotAuthorisedError):
        cancel(BOB, view(other), proof=[other.id])


def test_an_order_is_no_steering_document() -> None:
    with pytest.raises(errors.ForbiddenTypeError):
        authorize_document(intent(ROOT), view(), now=NOW)


def test_the_cause_of_a_refusal_is_kept_for_the_log() -> None:
    with pytest.raises(errors.NotAuthorisedError) as caught:
        authorize_document(document(BOB, "quarantine"), view(), now=NOW)
    assert isinstance(caught.value.__cause__, errors.UnknownSignerError)
