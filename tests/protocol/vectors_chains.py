"""Chains of delegations for `protocol/vectors/chains.json`: section 7, steps 2 and 3, code by code.

Ids come from a counter of this file's own, keys from names: the same code writes the same bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from protocol.base64_text import encode_base64
from protocol.envelope import Envelope, seal_document
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
from tests.protocol.authority_world import AGENT, ALICE, BOB, CAROL, HUB, NOW, ROOT, USER, key
from tests.protocol.material import an_id

HOUR, TICK = timedelta(hours=1), timedelta(milliseconds=1)
HUB_ACTIONS = ["*", "writ.route", "writ.policy", "writ.cancel"]


class Maker:
    """Makes delegations with ids that count up from 1."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def link(
        self,
        signer: SigningKey,
        subject: SigningKey | str,
        capabilities: Sequence[str | dict[str, Any]] = ("*",),
        *,
        parent: Envelope | None = None,
        depth: int = 0,
        **changes: Any,
    ) -> Envelope:
        """Return a delegation around `NOW`; payload fields are given as on the wire."""
        sealed = {"timestamp": NOW - HOUR, "expires": NOW + HOUR, "audience": "*"}
        payload: dict[str, Any] = {
            "subject": subject if isinstance(subject, str) else subject.public_key.did,
            "capabilities": [
                {"action": item} if isinstance(item, str) else item for item in capabilities
            ],
            "conditions": [],
            "notBefore": format_timestamp(NOW - HOUR),
            "maxDepth": depth,
            "parent": parent.digest if parent is not None else None,
        }
        for name, value in changes.items():
            (sealed if name in sealed else payload)[name] = value
        return seal_document(
            type="delegation",
            id=an_id(next(self._numbers)),
            payload=payload,
            signer=signer,
            **sealed,
        )

    def ladder(self, count: int) -> tuple[SigningKey, list[Envelope]]:
        """Return `count` links from the root down, and the key they lead to."""
        signer, links = ROOT, []
        for step in range(count):
            subject, parent = key(f"step{step}"), links[-1] if links else None
            links.append(self.link(signer, subject, parent=parent, depth=count - 1 - step))
            signer = subject
        return signer, links


def _case(
    name: str,
    code: str | None,
    signer: SigningKey,
    *links: Envelope | str,
    held: Sequence[Envelope] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """One question; links given as text are documents that were changed after they were signed."""
    texts = [link if isinstance(link, str) else link.wire.decode() for link in links]
    case: dict[str, Any] = {
        "name": name,
        "code": code,
        "signer": signer.public_key.multikey,
        "proof": [link.id for link in links if isinstance(link, Envelope)],
        "held": texts if held is None else [link.wire.decode() for link in held],
        "hubDelegation": None,
        "revokedKeys": [],
        "revokedDelegations": [],
        "forbidHub": False,
        "order": {"action": "files.read", "realm": "default"},
    }
    return case | changes


def _good(make: Maker) -> list[dict[str, Any]]:
    hello = make.link(ROOT, HUB, HUB_ACTIONS, depth=3)
    alice = make.link(ROOT, ALICE, depth=2)
    bob = make.link(ALICE, BOB, ["files.*"], parent=alice)
    fifth, ladder = make.ladder(5)
    narrow = {"action": "files.read", "realms": ["default"], "agents": [AGENT.public_key.did]}
    listed = make.link(ROOT, ALICE, [{"action": "files.*", "realms": ["default", "lab"]}], depth=1)
    budget = make.link(ROOT, ALICE, depth=1, budget={"tokensPerDay": 5})
    exact = make.link(ROOT, ALICE, notBefore=format_timestamp(NOW), expires=NOW + TICK)
    return [
        _case("the root itself", None, ROOT, proof=None),
        _case("the root itself, with an empty proof", None, ROOT),
        _case("the hub under its own delegation", None, HUB, held=[hello], proof=None)
        | {"hubDelegation": hello.id},
        _case("the hub, by name", None, HUB, hello),
        _case("one link", None, ALICE, alice),
        _case("two links", None, BOB, alice, bob),
        _case("five links", None, fifth, *ladder),
        _case("through the hub", None, ALICE, hello, make.link(HUB, ALICE, parent=hello)),
        _case(
            "a narrower list of realms and agents",
            None,
            BOB,
            listed,
            make.link(ALICE, BOB, [narrow], parent=listed),
        ),
        _case(
            "a smaller budget, and one more",
            None,
            BOB,
            budget,
            make.link(ALICE, BOB, parent=budget, budget={"tokensPerDay": 5, "centsPerDay": 1}),
        ),
        _case("a lifetime that starts now and ends next", None, ALICE, exact),
        _case(
            "signed a minute ahead", None, ALICE, make.link(ROOT, ALICE, timestamp=NOW + HOUR / 60)
        ),
        _case("a condition that is true", None, ALICE, make.link(ROOT, ALICE, conditions=["true"])),
        _case("a writ action by its name", None, HUB, hello)
        | {"order": {"action": "writ.policy", "realm": "default"}},
        _case("no hub in it, where none may be", None, BOB, alice, bob, forbidHub=True),
        _case("the root is above revocation", None, ALICE, alice)
        | {"revokedKeys": [ROOT.public_key.did]},
        _case("other revocations", None, ALICE, alice)
        | {"revokedKeys": [CAROL.public_key.did], "revokedDelegations": [bob.id]},
    ]


def _no_chain(make: Maker) -> list[dict[str, Any]]:
    hello = make.link(ROOT, HUB, HUB_ACTIONS, depth=3)
    alice = make.link(ROOT, ALICE, depth=2)
    bob = make.link(ALICE, BOB, parent=alice)
    code = "no_chain"
    return [
        _case("no proof, and not the root or the hub", code, ALICE, held=[alice], proof=None),
        _case("no proof from a hub without its delegation", code, HUB, held=[hello], proof=None),
        _case("an empty proof from the hub", code, HUB, held=[hello], proof=[])
        | {"hubDelegation": hello.id},
        _case("the first link is not held", code, BOB, alice, bob, held=[bob]),
        _case("the last link is not held", code, BOB, alice, bob, held=[alice]),
        _case("a chain to somebody else", code, CAROL, alice, bob),
        _case("a stranger", code, CAROL, proof=[alice.id]),
    ]


def _bad_chain(make: Maker) -> list[dict[str, Any]]:
    alice, twin = make.link(ROOT, ALICE, depth=2), make.link(ROOT, ALICE, depth=2)
    bob = make.link(ALICE, BOB, parent=alice, depth=1)
    sixth, ladder = make.ladder(6)
    to_self = make.link(ALICE, ALICE, parent=alice, depth=1)
    person = make.link(ROOT, USER, depth=1)
    forged = alice.wire.decode().replace(
        encode_base64(alice.signature), encode_base64(twin.signature)
    )
    wider = alice.wire.decode().replace('"maxDepth":2', '"maxDepth":9')
    code = "bad_chain"
    return [
        _case("not from the root", code, BOB, make.link(ALICE, BOB)),
        _case("signed by another than the subject before", code, BOB, alice)
        | _linked(alice, make.link(CAROL, BOB, parent=alice)),
        _case("another parent", code, BOB, alice, make.link(ALICE, BOB, parent=twin)),
        _case("no parent", code, BOB, alice, make.link(ALICE, BOB)),
        _case("a parent of the root's own link", code, ALICE, make.link(ROOT, ALICE, parent=twin)),
        _case("out of order", code, BOB, bob, alice),
        _case("it goes on after the signer", code, ALICE, alice, bob),
        _case("a key twice", code, ALICE, alice, to_self),
        _case("six links", code, sixth, *ladder),
        _case(
            "through a person without a key",
            code,
            BOB,
            person,
            make.link(ALICE, BOB, parent=person),
        ),
        _case("another link's signature", code, ALICE, forged, proof=[alice.id]),
        _case("a field changed after signing", code, ALICE, wider, proof=[alice.id]),
    ]


def _linked(*links: Envelope) -> dict[str, Any]:
    return {"proof": [link.id for link in links], "held": [link.wire.decode() for link in links]}


def _voided(make: Maker) -> list[dict[str, Any]]:
    hello = make.link(ROOT, HUB, HUB_ACTIONS, depth=3)
    through = make.link(HUB, ALICE, parent=hello, depth=1)
    old_hub = key("old hub")
    former = make.link(ROOT, old_hub, ["*", "writ.route"], depth=1)
    alice = make.link(ROOT, ALICE, depth=2)
    bob = make.link(ALICE, BOB, parent=alice)
    ended = make.link(ROOT, ALICE, depth=1, expires=NOW)
    soon = format_timestamp(NOW + TICK)
    return [
        _case("the hub, where it may not", "operator_required", HUB, hello, forbidHub=True),
        _case("through the hub", "operator_required", ALICE, hello, through, forbidHub=True),
        _case("a former hub is a hub", "operator_required", old_hub, former, forbidHub=True),
        _case("the signer's key is revoked", "revoked", BOB, alice, bob)
        | {"revokedKeys": [BOB.public_key.did]},
        _case("a key before it is revoked", "revoked", BOB, alice, bob)
        | {"revokedKeys": [ALICE.public_key.did]},
        _case("the first link is revoked", "revoked", BOB, alice, bob)
        | {"revokedDelegations": [alice.id]},
        _case("the last link is revoked", "revoked", BOB, alice, bob)
        | {"revokedDelegations": [bob.id]},
        _case("ends now", "chain_expired", ALICE, ended),
        _case("the first link ended", "chain_expired", BOB, ended)
        | _linked(ended, make.link(ALICE, BOB, parent=ended)),
        _case("not before a millisecond from now", "chain_expired", ALICE)
        | _linked(make.link(ROOT, ALICE, notBefore=soon)),
        _case("signed more than a minute ahead", "chain_expired", ALICE)
        | _linked(make.link(ROOT, ALICE, timestamp=NOW + HOUR / 60 + TICK)),
    ]


def _wide(make: Maker) -> list[dict[str, Any]]:
    lab = {"action": "echo", "realms": ["lab"]}
    two = {"action": "echo", "realms": ["lab", "default"]}
    mine = {"action": "echo", "agents": [AGENT.public_key.did]}
    early = format_timestamp(NOW - HOUR - TICK)
    parents: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("no depth left", {"depth": 0}, {}),
        ("depth does not shrink", {"depth": 2}, {"depth": 2}),
        ("a longer life", {}, {"expires": NOW + HOUR + TICK}),
        ("an earlier start", {}, {"notBefore": early}),
        ("every action under one pattern", {"capabilities": ["files.*"]}, {}),
        ("a writ action under the star", {}, {"capabilities": ["writ.policy"]}),
        (
            "the pattern under one action",
            {"capabilities": ["files.read"]},
            {"capabilities": ["files.*"]},
        ),
        (
            "one capability beside the good one",
            {"capabilities": ["files.*"]},
            {"capabilities": ["files.read", "echo"]},
        ),
        ("one realm more", {"capabilities": [lab]}, {"capabilities": [two]}),
        ("all realms", {"capabilities": [lab]}, {"capabilities": ["echo"]}),
        ("all agents", {"capabilities": [mine]}, {"capabilities": ["echo"]}),
        (
            "inside two capabilities together",
            {"capabilities": [lab, {"action": "echo", "realms": ["default"]}]},
            {"capabilities": [two]},
        ),
        ("the budget is gone", {"budget": {"tokensPerDay": 5}}, {}),
        ("a larger budget", {"budget": {"tokensPerDay": 5}}, {"budget": {"tokensPerDay": 6}}),
    ]
    cases = []
    for name, above, below in parents:
        parent = make.link(ROOT, ALICE, **({"depth": 1} | above))
        child = make.link(ALICE, BOB, parent=parent, **below)
        cases.append(_case(name, "not_attenuated", BOB, parent, child))
    return cases


def _uncovered(make: Maker) -> list[dict[str, Any]]:
    alice = make.link(ROOT, ALICE, depth=1)
    elsewhere = {"action": "files.read", "agents": [CAROL.public_key.did]}
    code = "not_granted"
    return [
        _case("another action", code, ALICE, make.link(ROOT, ALICE, ["echo"])),
        _case(
            "the namespace is not in its pattern", code, ALICE, make.link(ROOT, ALICE, ["files.*"])
        )
        | {"order": {"action": "files", "realm": "default"}},
        _case(
            "a longer word is another action", code, ALICE, make.link(ROOT, ALICE, ["files.read"])
        )
        | {"order": {"action": "files.readme", "realm": "default"}},
        _case("the star leaves writ out", code, ALICE, alice)
        | {"order": {"action": "writ.policy", "realm": "default"}},
        _case("another realm", code, ALICE)
        | _linked(make.link(ROOT, ALICE, [{"action": "*", "realms": ["lab"]}])),
        _case("no realm at all", code, ALICE)
        | _linked(make.link(ROOT, ALICE, [{"action": "*", "realms": []}])),
        _case("another agent", code, ALICE, make.link(ROOT, ALICE, [elsewhere])),
        _case("no capability", code, ALICE, make.link(ROOT, ALICE, [])),
        _case(
            "the last link covers less",
            code,
            BOB,
            alice,
            make.link(ALICE, BOB, ["echo"], parent=alice),
        ),
        _case("a condition is false", "condition_false", ALICE)
        | _linked(make.link(ROOT, ALICE, conditions=["false"])),
        _case("a condition nobody can read", "condition_false", ALICE)
        | _linked(make.link(ROOT, ALICE, conditions=["true", "(("])),
    ]


def _precedence(make: Maker) -> list[dict[str, Any]]:
    """All is wrong at once, then one thing less at a time."""
    hello = make.link(ROOT, HUB, ["echo"])
    late = {"capabilities": ["*"], "expires": NOW, "depth": 5}
    wrong = make.link(CAROL, ALICE, parent=hello, **late)
    right = make.link(HUB, ALICE, parent=hello, **late)
    wide = make.link(HUB, ALICE, parent=hello, depth=5)
    voids = {"revokedKeys": [HUB.public_key.did], "forbidHub": True}
    name = "everything is wrong: {} comes first"
    return [
        _case(name.format("no_chain"), "no_chain", ALICE, hello, wrong, held=[wrong], **voids),
        _case(name.format("bad_chain"), "bad_chain", ALICE, hello, wrong, **voids),
        _case(name.format("operator_required"), "operator_required", ALICE, hello, right, **voids),
        _case(name.format("revoked"), "revoked", ALICE, hello, right)
        | {"revokedKeys": [HUB.public_key.did]},
        _case(name.format("chain_expired"), "chain_expired", ALICE, hello, right),
        _case(name.format("not_attenuated"), "not_attenuated", ALICE, hello, wide),
    ]


def chain_vectors() -> dict[str, Any]:
    """Return the content of `chains.json`."""
    make = Maker()
    families = (_good, _no_chain, _bad_chain, _voided, _wide, _uncovered, _precedence)
    return {
        "now": format_timestamp(NOW),
        "root": ROOT.public_key.multikey,
        "hub": HUB.public_key.multikey,
        "agent": AGENT.public_key.did,
        "cases": [case for family in families for case in family(make)],
    }
