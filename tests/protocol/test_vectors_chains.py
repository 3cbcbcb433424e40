"""The published chains are judged by the real `verify_chain` as the file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from protocol.conditions import ConditionContext
from protocol.delegation import Link, RevocationView, check_chain_covers, verify_chain
from protocol.envelope import parse_envelope
from protocol.errors import Error
from protocol.keys import PublicKey
from protocol.messages.delegations import Delegation
from protocol.messages.registry import parse_payload
from protocol.timestamps import parse_timestamp
from tests.protocol.write_vectors import FOLDER

CHAINS = json.loads((FOLDER / "chains.json").read_text("utf-8"))


def held_link(text: str) -> Link:
    """Read a delegation as an agent holds it; its signature is the chain's to judge."""
    envelope = parse_envelope(text)
    payload = parse_payload("delegation", envelope.payload)
    assert isinstance(payload, Delegation)
    return Link(envelope, payload)


def judge(case: dict[str, Any]) -> None:
    signer = PublicKey.parse_multikey(case["signer"])
    now = parse_timestamp(CHAINS["now"])
    held = {link.id: link for link in map(held_link, case["held"])}
    chain = verify_chain(
        root=PublicKey.parse_multikey(CHAINS["root"]),
        signer=signer,
        proof=case["proof"],
        held=held,
        hub=PublicKey.parse_multikey(CHAINS["hub"]),
        hub_delegation_id=case["hubDelegation"],
        revocations=RevocationView(
            1, frozenset(case["revokedKeys"]), frozenset(case["revokedDelegations"])
        ),
        now=now,
        forbid_hub=case["forbidHub"],
    )
    order = case["order"]
    context = ConditionContext(
        action=order["action"],
        params={},
        realm=order["realm"],
        caller_did=signer.did,
        now=now,
        agent_did=CHAINS["agent"],
        depth=chain.depth,
    )
    check_chain_covers(chain, action=order["action"], realms=[order["realm"]], context=context)


@pytest.mark.parametrize("case", CHAINS["cases"], ids=lambda case: case["name"])
def test_chains(case: dict[str, Any]) -> None:
    if case["code"] is None:
        judge(case)
        return
    with pytest.raises(Error) as caught:
        judge(case)
    assert caught.value.code == case["code"]


def test_every_code_of_steps_2_and_3_that_a_chain_can_have_is_there() -> None:
    codes = {case["code"] for case in CHAINS["cases"]}
    assert codes == {
        None,
        "no_chain",
        "bad_chain",
        "operator_required",
        "revoked",
        "chain_expired",
        "not_attenuated",
        "not_granted",
        "condition_false",
    }
