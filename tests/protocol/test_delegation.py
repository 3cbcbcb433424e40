"""Step 2 of section 7: every rule of a chain, each broken alone, and which code comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from protocol import errors
from protocol.delegation import (
    Chain,
    Link,
    RevocationView,
    passes_through_hub,
    verify_chain,
    verify_link,
)
from tests.protocol.authority_world import (
    ALICE,
    BOB,
    CAROL,
    HUB,
    NOW,
    ROOT,
    delegate,
    hub_link,
    key,
    revoked,
    seal,
)


def chain(signer, *links: Link, held=None, **changes) -> Chain:
    fields = {
        "root": ROOT.public_key,
        "signer": signer.public_key,
        "proof": [link.id for link in links],
        "held": {link.id: link for link in (links if held is None else held)},
        "hub": HUB.public_key,
        "hub_delegation_id": None,
        "revocations": RevocationView(),
        "now": NOW,
        "forbid_hub": False,
    }
    return verify_chain(**(fields | changes))


def broken(code: str, signer, *links: Link, **changes) -> None:
    with pytest.raises(errors.AuthorityError) as caught:
        chain(signer, *links, **changes)
    assert caught.value.code == code


def ladder(count: int, first_depth: int | None = None, **changes) -> tuple[list, list[Link]]:
    """`count` links from the root down, and the keys they lead to."""
    people, links = [ROOT], []
    depth = count - 1 if first_depth is None else first_depth
    for step in range(count):
        people.append(key(f"step{step}"))
        links.append(
            delegate(
                people[-2],
                people[-1],
                parent=links[-1] if links else None,
                max_depth=depth - step,
                **changes,
            )
        )
    return people, links


# --- who leads to whom ---


def test_the_root_needs_no_link() -> None:
    assert chain(ROOT, proof=None).links == ()
    assert chain(ROOT, proof=[]).links == ()


def test_five_links_hold_and_six_do_not() -> None:
    people, links = ladder(6)
    assert chain(people[5], *links[:5]).depth == 5
    broken("bad_chain", people[6], *links)


def test_without_a_proof_only_root_and_hub_sign() -> None:
    hello, alice = hub_link(), delegate(ROOT, ALICE)
    held = [hello, alice]
    assert chain(HUB, held=held, proof=None, hub_delegation_id=hello.id).links == (hello,)
    broken("no_chain", HUB, held=held, proof=None)
    broken("no_chain", HUB, held=held, proof=[], hub_delegation_id=hello.id)
    broken("no_chain", ALICE, held=held, proof=None, hub_delegation_id=hello.id)
    broken("no_chain", HUB, held=[alice], proof=None, hub_delegation_id=hello.id)


def test_a_link_that_is_named_and_not_held_is_no_chain() -> None:
    first = delegate(ROOT, ALICE, max_depth=1)
    second = delegate(ALICE, BOB, parent=first)
    broken("no_chain", BOB, first, second, held=[second])
    broken("no_chain", ALICE, first, second, held=[first])


def test_links_that_lead_to_somebody_else_are_no_chain() -> None:
    alice, bob = delegate(ROOT, ALICE), delegate(ROOT, BOB)
    broken("no_chain", BOB, alice, held=[alice, bob])
    with pytest.raises(errors.UnknownSignerError):
        chain(CAROL, alice, held=[alice, bob])


# --- bad_chain ---


def test_the_first_link_must_be_the_roots() -> None:
    broken("bad_chain", BOB, delegate(ALICE, BOB))
    broken("bad_chain", BOB, delegate(ROOT, BOB), root=CAROL.public_key)


def test_each_link_is_signed_by_the_subject_before_it() -> None:
    first = delegate(ROOT, ALICE, max_depth=1)
    broken("bad_chain", BOB, first, delegate(CAROL, BOB, parent=first))


def test_each_link_names_the_digest_of_its_parent() -> None:
    first, twin = (delegate(ROOT, ALICE, max_depth=1) for _ in range(2))
    broken("bad_chain", BOB, first, delegate(ALICE, BOB, parent=twin))
    broken("bad_chain", BOB, first, delegate(ALICE, BOB))
    # The root's own link may not claim a parent either.
    broken("bad_chain", ALICE, delegate(ROOT, ALICE, parent=first))


def test_the_links_stand_in_order() -> None:
    people, links = ladder(3)
    broken("bad_chain", people[3], links[1], links[0], links[2])
    broken("bad_chain", people[3], links[2], links[1], links[0])
    broken("bad_chain", people[2], *links, held=links)


def test_a_forged_signature_breaks_the_chain_even_among_held_links() -> None:
    link = delegate(ROOT, ALICE)
    forged = Link(
        replace(link.envelope, signature=bytes(64)),
        link.delegation,
    )
    broken("bad_chain", ALICE, forged)
    # The true one verified first must not lend its name to the false one.
    assert chain(ALICE, link)
    broken("bad_chain", ALICE, forged)


def test_no_key_stands_in_a_chain_twice() -> None:
    first = delegate(ROOT, ALICE, max_depth=3)
    to_self = delegate(ALICE, ALICE, parent=first, max_depth=2)
    broken("bad_chain", ALICE, first, to_self)
    to_root = delegate(ALICE, ROOT, parent=first, max_depth=2)
    broken("bad_chain", BOB, first, to_root, delegate(ROOT, BOB, parent=to_root, max_depth=1))
    broken("bad_chain", ROOT, first, to_root)


def test_a_person_without_a_key_never_signs() -> None:
    user = "user:0195a5b2-7c3e-4a10-8000-000000000001"
    first = delegate(ROOT, user, max_depth=1)
    broken("bad_chain", BOB, first, delegate(ALICE, BOB, parent=first))


# --- operator_required ---


def test_where_an_operator_must_sign_no_chain_passes_through_a_hub() -> None:
    hello = hub_link()
    through = delegate(HUB, ALICE, parent=hello, max_depth=1)
    further = delegate(ALICE, BOB, parent=through)
    for signer, links in (
        (HUB, [hello]),
        (ALICE, [hello, through]),
        (BOB, [hello, through, further]),
    ):
        assert passes_through_hub(
            chain(signer, *links), root=ROOT.public_key, hub=HUB.public_key, held={}
        )
        broken("operator_required", signer, *links, forbid_hub=True)
    straight = delegate(ROOT, ALICE)
    assert chain(ALICE, straight, forbid_hub=True)
    assert chain(ROOT, proof=None, forbid_hub=True)


def test_a_former_hub_is_a_hub_too() -> None:
    hello = hub_link()
    held = {hello.id: hello}
    other = delegate(ROOT, HUB)
    current = key("new hub").public_key
    broken("operator_required", HUB, other, held=[hello, other], hub=current, forbid_hub=True)
    # Only the root makes hubs: nobody else can turn an operator into one.
    alice = delegate(ROOT, ALICE, max_depth=1)
    slander = delegate(CAROL, ALICE, ["writ.route"])
    assert chain(ALICE, alice, held=[alice, slander, *held.values()], forbid_hub=True)


# --- revoked ---


def test_a_revoked_key_or_id_anywhere_in_the_chain_voids_it() -> None:
    people, links = ladder(3)
    for item in (*people[1:], *links):
        broken("revoked", people[3], *links, revocations=revoked(item))
    assert chain(people[3], *links, revocations=revoked(CAROL, delegate(ROOT, CAROL)))


def test_the_root_is_above_revocation() -> None:
    alice = delegate(ROOT, ALICE)
    assert chain(ROOT, proof=None, revocations=revoked(ROOT)).links == ()
    assert chain(ALICE, alice, revocations=revoked(ROOT)).depth == 1


# --- chain_expired ---


def test_every_link_is_within_its_own_lifetime() -> None:
    soon, tick = NOW + timedelta(seconds=1), timedelta(milliseconds=1)
    assert chain(ALICE, delegate(ROOT, ALICE, not_before=NOW, expires=NOW + tick))
    broken("chain_expired", ALICE, delegate(ROOT, ALICE, expires=NOW))
    broken("chain_expired", ALICE, delegate(ROOT, ALICE, not_before=soon))
    future = NOW + timedelta(seconds=61)
    broken("chain_expired", ALICE, delegate(ROOT, ALICE, timestamp=future))
    first = delegate(ROOT, ALICE, max_depth=1, expires=NOW)
    broken("chain_expired", BOB, first, delegate(ALICE, BOB, parent=first, expires=NOW))


# --- not_attenuated ---


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ({"max_depth": 0}, {"max_depth": 0}),
        ({"max_depth": 2}, {"max_depth": 2}),
        ({"max_depth": 2}, {"max_depth": 3}),
        ({}, {"expires": NOW + timedelta(hours=1, milliseconds=1)}),
        ({}, {"not_before": NOW - timedelta(hours=1, milliseconds=1)}),
        ({"capabilities": ["files.*"]}, {"capabilities": ["*"]}),
        ({"capabilities": ["*"]}, {"capabilities": ["writ.policy"]}),
        ({"capabilities": ["files.*"]}, {"capabilities": ["files.read", "echo"]}),
        (
            {"capabilities": [{"action": "echo", "realms": ["x"]}]},
            {"capabilities": [{"action": "echo", "realms": ["x", "y"]}]},
        ),
        ({"capabilities": [{"action": "echo", "realms": ["x"]}]}, {"capabilities": ["echo"]}),
        (
            {"capabilities": [{"action": "echo", "agents": [BOB.public_key.did]}]},
            {"capabilities": ["echo"]},
        ),
        ({"budget": {"tokensPerDay": 5}}, {}),
        ({"budget": {"tokensPerDay": 5}}, {"budget": {"tokensPerDay": 6}}),
        ({"budget": {"tokensPerDay": 5}}, {"budget": {"ordersPerHour": 5}}),
    ],
)
def test_a_link_wider_than_its_parent_is_not_attenuated(parent: dict, child: dict) -> None:
    first = delegate(ROOT, ALICE, **({"max_depth": 1} | parent))
    second = delegate(ALICE, BOB, parent=first, **child)
    broken("not_attenuated", BOB, first, second)


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        ({"max_depth": 1}, {"max_depth": 0}),
        ({"capabilities": ["files.*"]}, {"capabilities": ["files.read"]}),
        ({"capabilities": ["echo"]}, {"capabilities": []}),
        ({"capabilities": ["writ.policy"]}, {"capabilities": ["writ.policy"]}),
        ({"capabilities": ["echo"]}, {"capabilities": [{"action": "echo", "realms": []}]}),
        ({"budget": {"tokensPerDay": 5}}, {"budget": {"tokensPerDay": 5, "centsPerDay": 1}}),
        ({}, {"budget": {"tokensPerDay": 5}}),
    ],
)
def test_a_link_inside_its_parent_holds(parent: dict, child: dict) -> None:
    first = delegate(ROOT, ALICE, **({"max_depth": 1} | parent))
    assert chain(BOB, first, delegate(ALICE, BOB, parent=first, **child)).depth == 2


# --- which comes first ---


def test_codes_come_in_their_order() -> None:
    # All is wrong: a hub in the chain, revoked, expired, too wide, signed by another, not held.
    hello = delegate(ROOT, HUB, ["echo"])
    wide = {"capabilities": ["*"], "expires": NOW, "max_depth": 5}
    wrong_signer = delegate(CAROL, ALICE, parent=hello, **wide)
    right_signer = delegate(HUB, ALICE, parent=hello, **wide)
    longer = delegate(HUB, ALICE, ["*"], parent=hello, max_depth=5)
    bad = {"revocations": revoked(HUB), "forbid_hub": True}
    broken("no_chain", ALICE, hello, wrong_signer, held=[wrong_signer], **bad)
    broken("bad_chain", ALICE, hello, wrong_signer, **bad)
    broken("operator_required", ALICE, hello, right_signer, **bad)
    broken("revoked", ALICE, hello, right_signer, revocations=revoked(HUB))
    broken("chain_expired", ALICE, hello, right_signer)
    broken("not_attenuated", ALICE, hello, longer)


# --- single links ---


def test_a_link_is_a_delegation_whose_signature_holds() -> None:
    with pytest.raises(errors.BadEnvelopeError):
        verify_link(seal(ROOT, "quarantine", {"epoch": 1, "active": True, "reason": ""}))
    with pytest.raises(errors.BadPayloadError):
        verify_link(seal(ROOT, "delegation", {"subject": "somebody"}))
    link = delegate(ROOT, ALICE)
    with pytest.raises(errors.BadSignatureError):
        verify_link(replace(link.envelope, signature=bytes(64)))
    assert verify_link(link.envelope).digest == link.envelope.digest
