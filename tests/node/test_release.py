"""Releases as the dashboard signs them: the command line's bytes, judged as agents do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controlplane.cli.quarantine import seal_release
from protocol import errors
from protocol.authority import Ratchet
from protocol.document_authority import authorize_document
from protocol.envelope import parse_document, seal_document
from protocol.timestamps import format_timestamp
from protocol.verification import Side, verify_document
from tests.node.conftest import ask_script
from tests.protocol.authority_world import (
    AGENT,
    ALICE,
    BOB,
    HUB,
    NOW,
    ROOT,
    delegate,
    hub_link,
    view,
)

SEEN = 4
REASON = 'looked at: 1 \u20ac, \U0001f50d \u2028 "done"'


def seal(*releases: dict[str, Any]) -> list[str]:
    return ask_script("seal_release.mjs", *releases)


def test_an_agent_takes_what_the_dashboard_signs_as_it_takes_the_command_lines() -> None:
    operator = delegate(ROOT, ALICE, ["writ.quarantine"])
    hello = hub_link()
    puppet = delegate(HUB, BOB, ["writ.quarantine"], parent=hello)
    asked = [
        {
            "seed": name.ljust(32, b".").hex(),  # as `authority_world.key` makes them
            "publicKey": signer.public_key.multikey,
            "agent": AGENT.public_key.did,
            "epoch": SEEN,
            "reason": REASON,
            "proof": proof,
            "now": format_timestamp(NOW),
        }
        for name, signer, proof in (
            (b"alice", ALICE, [operator.id]),
            (b"bob", BOB, [hello.id, puppet.id]),
        )
    ]
    good, through_hub = map(parse_document, seal(*asked))

    known = {"did": AGENT.public_key.did, "quarantine": {"epoch": SEEN}}
    typed = parse_document(seal_release(known, ALICE, [operator.id], REASON))
    assert good.expires is not None
    assert typed.expires is not None
    assert good.expires - good.timestamp == typed.expires - typed.timestamp == timedelta(days=30)
    same = seal_document(
        type=typed.type,
        id=good.id,
        timestamp=good.timestamp,
        expires=good.expires,
        audience=typed.audience,
        payload=typed.payload,
        signer=ALICE,
    )
    assert good.wire == same.wire

    held = {link.id: link for link in (hello, operator, puppet)}
    stopped = view(
        held=held,
        hub_delegation_id=hello.id,
        quarantined=True,
        ratchets={"quarantine": Ratchet(SEEN)},
    )
    proved, forbidden = (
        verify_document(one, audience=AGENT.public_key.did, now=NOW, replay=None, sender=Side.HUB)
        for one in (good, through_hub)
    )
    assert authorize_document(proved, stopped, now=NOW).signer == ALICE.public_key
    with pytest.raises(errors.ForbiddenLiftError):
        authorize_document(forbidden, stopped, now=NOW)
    # A quarantine that was set after the person had looked is not lifted.
    later = replace(stopped, ratchets={"quarantine": Ratchet(SEEN + 1)})
    with pytest.raises(errors.OldEpochError):
        authorize_document(proved, later, now=NOW)
