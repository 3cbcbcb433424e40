"""The record's tree is RFC 6962's: published roots, every proof up to 257 leaves, no forgery."""

from __future__ import annotations

from functools import cache, partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import audit_tree
from protocol.audit_tree import (
    EMPTY_ROOT,
    MAX_TREE_SIZE,
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from protocol.errors import ProofError

# The eight leaves and roots that Certificate Transparency implementations share.
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
CT_LEAVES.append("606162636465666768696a6b6c6d6e6f")
CT_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
CT_HASHES = [leaf_hash(bytes.fromhex(leaf)) for leaf in CT_LEAVES]

LARGEST = 257
LEAVES = [leaf_hash(number.to_bytes(2, "big")) for number in range(LARGEST)]
NOISE = leaf_hash(b"another leaf")


def roots_of(leaves: list[bytes]) -> list[bytes]:
    tree, roots = Tree(), [EMPTY_ROOT]
    for leaf in leaves:
        tree.append(leaf)
        roots.append(tree.root())
    return roots


ROOTS = roots_of(LEAVES)


def recursive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word, to check the frontier against."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(recursive_root(leaves[:split]), recursive_root(leaves[split:]))


def test_the_published_roots_hold() -> None:
    assert Tree().root().hex() == CT_ROOTS[0]
    assert [root.hex() for root in roots_of(CT_HASHES)] == CT_ROOTS
    assert [root_hash(CT_HASHES, size).hex() for size in range(9)] == CT_ROOTS
    assert root_hash(CT_HASHES).hex() == CT_ROOTS[8]


def test_the_published_proofs_hold() -> None:
    assert inclusion_proof(CT_HASHES, 0, 1) == []
    assert [item.hex() for item in inclusion_proof(CT_HASHES, 5, 8)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [item.hex() for item in consistency_proof(CT_HASHES, 6, 8)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_the_frontier_agrees_with_the_recursive_definition() -> None:
    for size in range(LARGEST + 1):
        assert ROOTS[size] == recursive_root(LEAVES[:size])


def test_a_tree_can_be_taken_up_where_it_was_left() -> None:
    for size in (0, 1, 2, 3, 100, 255, 256):
        tree = Tree()
        for leaf in LEAVES[:size]:
            tree.append(leaf)
        again = Tree(tree.size, tree.frontier)
        again.append(LEAVES[size])
        assert again.size == size + 1
        assert again.root() == ROOTS[size + 1]


@pytest.mark.parametrize(
    ("size", "frontier"), [(1, []), (0, [NOISE]), (3, [NOISE]), (1, [b"short"]), (-1, [NOISE])]
)
def test_a_frontier_of_another_size_is_refused(size: int, frontier: list[bytes]) -> None:
    with pytest.raises(ValueError, match="frontier"):
        Tree(size, frontier)


def test_a_leaf_hash_has_thirty_two_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tree().append(b"data, not its hash")


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash each subtree of `LEAVES` once: the same ones lie in tens of thousands of proofs."""
    hash_subtree = cache(partial(audit_tree._subtree_root, LEAVES))
    monkeypatch.setattr(audit_tree, "_subtree_root", lambda _, start, end: hash_subtree(start, end))


@pytest.mark.usefixtures("remembered")
def test_every_inclusion_proof_up_to_257_leaves_holds() -> None:
    for size in range(1, LARGEST + 1):
        for index in range(size):
            proof = inclusion_proof(LEAVES, index, size)
            verify_inclusion(LEAVES[index], index=index, size=size, proof=proof, root=ROOTS[size])


@pytest.mark.usefixtures("remembered")
def test_every_consistency_proof_up_to_257_leaves_holds() -> None:
    for new in range(LARGEST + 1):
        for old in range(new + 1):
            proof = consistency_proof(LEAVES, old, new)
            verify_consistency(
                old_size=old, new_size=new, old_root=ROOTS[old], new_root=ROOTS[new], proof=proof
            )


def assert_inclusion_refused(
    leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes
) -> None:
    with pytest.raises(ProofError):
        verify_inclusion(leaf, index=index, size=size, proof=proof, root=root)


@given(st.data())
def test_an_altered_inclusion_proof_is_refused(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(LEAVES, index, size)
    root = ROOTS[size]
    assert_inclusion_refused(NOISE, index, size, proof, root)
    assert_inclusion_refused(LEAVES[index], index, size, proof, NOISE)
    assert_inclusion_refused(LEAVES[index], index, size, [*proof, NOISE], root)
    assert_inclusion_refused(LEAVES[index], index, size, [NOISE, *proof], root)
    assert_inclusion_refused(LEAVES[index], size, size, proof, root)
    assert_inclusion_refused(LEAVES[index], -1, size, proof, root)
    assert_inclusion_refused(LEAVES[index], index, 0, proof, root)
    assert_inclusion_refused(LEAVES[index], index, MAX_TREE_SIZE + 1, proof, root)
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert_inclusion_refused(LEAVES[index], other, size, proof, root)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert_inclusion_refused(
            LEAVES[index], index, size, [*proof[:at], NOISE, *proof[at + 1 :]], root
        )
        assert_inclusion_refused(LEAVES[index], index, size, proof[:at] + proof[at + 1 :], root)


@given(st.data())
def test_an_altered_consistency_proof_is_refused(data: st.DataObject) -> None:
    new = data.draw(st.integers(1, LARGEST))
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(LEAVES, old, new)

    def refused(items: list[bytes], old_root: bytes, new_root: bytes) -> None:
        with pytest.raises(ProofError):
            verify_consistency(
                old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=items
            )

    refused(proof, NOISE, ROOTS[new])
    if old:
        refused(proof, ROOTS[old], NOISE)
    refused([*proof, NOISE], ROOTS[old], ROOTS[new])
    refused([NOISE, *proof], ROOTS[old], ROOTS[new])
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        refused([*proof[:at], NOISE, *proof[at + 1 :]], ROOTS[old], ROOTS[new])
        refused(proof[:at] + proof[at + 1 :], ROOTS[old], ROOTS[new])
        refused([], ROOTS[old], ROOTS[new])


@pytest.mark.parametrize(
    ("old", "new", "old_root", "new_root"),
    [
        (2, 1, ROOTS[2], ROOTS[1]),
        (-1, 1, EMPTY_ROOT, ROOTS[1]),
        (0, 0, EMPTY_ROOT, NOISE),
        (0, 5, NOISE, ROOTS[5]),
        (5, 5, ROOTS[5], ROOTS[4]),
        (1, MAX_TREE_SIZE + 1, ROOTS[1], ROOTS[2]),
        (1, 2, b"short", ROOTS[2]),
    ],
)
def test_roots_that_do_not_fit_their_sizes_are_refused(
    old: int, new: int, old_root: bytes, new_root: bytes
) -> None:
    with pytest.raises(ProofError):
        verify_consistency(
            old_size=old, new_size=new, old_root=old_root, new_root=new_root, proof=[]
        )


def test_a_hash_of_another_length_and_an_endless_proof_are_refused() -> None:
    assert_inclusion_refused(LEAVES[0], 0, 2, [b"short"], ROOTS[2])
    assert_inclusion_refused(LEAVES[0], 0, 2, [NOISE] * 1_000, ROOTS[2])


def test_asking_for_proofs_of_what_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(LEAVES, 3, 3)
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(LEAVES, 0, LARGEST + 1)
    with pytest.raises(ValueError, match="no such trees"):
        consistency_proof(LEAVES, 3, 2)
    with pytest.raises(ValueError, match="more leaves"):
        root_hash(LEAVES, LARGEST + 1)


def test_many_leaves_at_once_make_the_tree_that_one_by_one_makes() -> None:
    one_by_one, at_once = Tree(), Tree()
    for count in (0, 1, 7, 8, 3):
        some = CT_HASHES[:count]
        for leaf in some:
            one_by_one.append(leaf)
        at_once.extend(some)
        assert (at_once.size, at_once.frontier) == (one_by_one.size, one_by_one.frontier)


def test_a_bad_hash_among_many_leaves_the_tree_at_the_good_ones_before_it() -> None:
    tree = Tree()
    with pytest.raises(ValueError, match="32 bytes"):
        tree.extend([CT_HASHES[0], b"short", CT_HASHES[1]])
    assert (tree.size, tree.root()) == (1, CT_HASHES[0])
