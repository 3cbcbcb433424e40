"""Owns the Merkle tree of the record: RFC 6962 section 2.1 with SHA-256, and its proofs.

A tree is a list of leaf hashes. `Tree` keeps only the roots of its full subtrees, enough to
append and to name the root; proofs are made from the leaf hashes and checked from nothing but
roots. Knows neither what a leaf says nor where leaves are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from protocol.errors import ProofError

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
MAX_TREE_SIZE: Final = 2**53 - 1
"""Sizes travel as JSON integers."""

_LEAF = b"\x00"
_NODE = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf that says `data`."""
    return hashlib.sha256(_LEAF + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two subtrees."""
    return hashlib.sha256(_NODE + left + right).digest()


class Tree:
    """An append-only tree, kept as its frontier: one hash for each one bit of its size."""

    def __init__(self, size: int = 0, frontier: Iterable[bytes] = ()) -> None:
        """Take up a tree where it was left.

        Args:
            size: leaves so far.
            frontier: roots of the full subtrees, the largest first.

        Raises:
            ValueError: the frontier does not fit the size.
        """
        self._frontier = list(frontier)
        self._size = size
        fits = size >= 0 and len(self._frontier) == size.bit_count()
        if not fits or any(len(item) != HASH_BYTES for item in self._frontier):
            raise ValueError("the frontier does not fit the size of the tree")

    @property
    def size(self) -> int:
        """Leaves so far."""
        return self._size

    @property
    def frontier(self) -> tuple[bytes, ...]:
        """Roots of the full subtrees, the largest first: with `size`, all there is to keep."""
        return tuple(self._frontier)

    def append(self, leaf: bytes) -> None:
        """Add one leaf by its hash."""
        self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaves by their hashes, in order."""
        frontier, size = self._frontier, self._size
        for leaf in leaves:
            if len(leaf) != HASH_BYTES:
                raise ValueError("a leaf hash has 32 bytes")
            merged, full = leaf, size
            while full & 1:  # a full subtree to its left for every trailing one
                merged = node_hash(frontier.pop(), merged)
                full >>= 1
            frontier.append(merged)
            size += 1
            self._size = size

    def root(self) -> bytes:
        """Return the tree's root hash; SHA-256 of nothing for the empty tree."""
        if not self._frontier:
            return EMPTY_ROOT
        root = self._frontier[-1]
        for left in reversed(self._frontier[:-1]):
            root = node_hash(left, root)
        return root


def root_hash(leaf_hashes: Sequence[bytes], size: int | None = None) -> bytes:
    """Return the root over the first `size` leaf hashes (default: all)."""
    end = len(leaf_hashes) if size is None else size
    if not 0 <= end <= len(leaf_hashes):
        raise ValueError("more leaves than there are")
    return _subtree_root(leaf_hashes, 0, end)


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int, size: int) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of the first `size` leaves.

    Raises:
        ValueError: no such leaf or tree.
    """
    if size > len(leaf_hashes):
        raise ValueError("no such leaf")
    return [_subtree_root(leaf_hashes, *span) for span in inclusion_spans(index, size)]


def inclusion_spans(index: int, size: int) -> list[tuple[int, int]]:
    """Return the subtrees, as start and end, whose roots are the audit path of leaf `index`.

    Raises:
        ValueError: no such leaf or tree.
    """
    if not 0 <= index < size:
        raise ValueError("no such leaf")
    path: list[tuple[int, int]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + split_point(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    path.reverse()
    return path


def verify_inclusion(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return when `proof` shows that leaf `index` of the tree of `size` and `root` is `leaf`.

    Args:
        leaf: the leaf's hash.
        index: position of the leaf, from 0.
        size: leaves of the tree.
        proof: the audit path, from the leaf upwards.
        root: root hash of the tree.

    Raises:
        ProofError: it shows something else, or nothing.
    """
    _check_hashes([leaf, root, *_bounded(proof)])
    if not 0 <= index < size <= MAX_TREE_SIZE:
        raise ProofError("no such leaf")
    position, last, found = index, size - 1, leaf
    for item in proof:
        if last == 0:
            raise ProofError("a proof that is too long")
        if position & 1 or position == last:
            found = node_hash(item, found)
            # Levels at which the node stands alone have no sibling and no item in the proof.
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            found = node_hash(found, item)
        position >>= 1
        last >>= 1
    if last != 0 or found != root:
        raise ProofError("the proof does not lead to the root")


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int, new_size: int) -> list[bytes]:
    """Return the proof that the tree of `new_size` only adds leaves to the one of `old_size`.

    Empty between equal sizes, and from the empty tree, which everything extends.

    Raises:
        ValueError: no such trees.
    """
    if new_size > len(leaf_hashes):
        raise ValueError("no such trees")
    return [_subtree_root(leaf_hashes, *span) for span in consistency_spans(old_size, new_size)]


def consistency_spans(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return the subtrees, as start and end, whose roots are the consistency proof.

    Raises:
        ValueError: no such trees.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError("no such trees")
    if old_size in {0, new_size}:
        return []
    path: list[tuple[int, int]] = []
    start, end = 0, new_size
    whole = True  # the old tree is, so far, the whole left edge: its root needs no telling
    while end != old_size:
        middle = start + split_point(end - start)
        if old_size <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
            whole = False
    if not whole:
        path.append((start, end))
    path.reverse()
    return path


def verify_consistency(
    *, old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return when `proof` shows that the new tree starts with all of the old one.

    Args:
        old_size: leaves of the older tree.
        new_size: leaves of the newer tree.
        old_root: root hash of the older tree.
        new_root: root hash of the newer tree.
        proof: as RFC 6962 section 2.1.2 orders it.

    Raises:
        ProofError: it shows something else, or nothing.
    """
    _check_hashes([old_root, new_root, *_bounded(proof)])
    if not 0 <= old_size <= new_size <= MAX_TREE_SIZE:
        raise ProofError("a tree does not shrink")
    if old_size in {0, new_size}:
        expected = EMPTY_ROOT if old_size == 0 else new_root
        if proof or old_root != expected or (new_size == 0 and new_root != EMPTY_ROOT):
            raise ProofError("the roots do not fit the sizes")
        return
    items = list(proof)
    if old_size & (old_size - 1) == 0:
        items.insert(0, old_root)
    if not items:
        raise ProofError("a proof that is too short")
    skipped = _trailing_ones(old_size - 1)
    position, last = (old_size - 1) >> skipped, (new_size - 1) >> skipped
    old_found = new_found = items[0]
    for item in items[1:]:
        if last == 0:
            raise ProofError("a proof that is too long")
        if position & 1 or position == last:
            old_found = node_hash(item, old_found)
            new_found = node_hash(item, new_found)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, item)
        position >>= 1
        last >>= 1
    if last != 0 or old_found != old_root or new_found != new_root:
        raise ProofError("the proof does not lead to both roots")


def _subtree_root(leaf_hashes: Sequence[bytes], start: int, end: int) -> bytes:
    level = list(leaf_hashes[start:end])
    while len(level) > 1:
        above = [node_hash(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])  # a node without sibling rises as it is
        level = above
    return level[0] if level else EMPTY_ROOT


def split_point(size: int) -> int:
    """Return the largest power of two below `size`, which is at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1


def _bounded(proof: Sequence[bytes]) -> Sequence[bytes]:
    if len(proof) > 2 * MAX_TREE_SIZE.bit_length():
        raise ProofError("a proof that is too long")
    return proof


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(item) != HASH_BYTES for item in hashes):
        raise ProofError("a hash has 32 bytes")
