"""Proofs made from kept subtrees are the proofs made from every leaf."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import pytest

from protocol import audit_tree
from protocol.audit_tiles import TILE_LEAVES, Tiles, cut_tiles
from protocol.audit_tree import (
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    leaf_hash,
)

LEAVES = [leaf_hash(str(number).encode()) for number in range(2_500)]


def tiles_of(size: int) -> Tiles:
    tiles = Tiles()
    for start in range(0, size - size % TILE_LEAVES, TILE_LEAVES):
        tiles.append(LEAVES[start : start + TILE_LEAVES])
    return tiles


def made(tiles: Tiles, spans: list[tuple[int, int]], size: int) -> list[bytes]:
    opened = {
        tile: LEAVES[tile * TILE_LEAVES : min(size, (tile + 1) * TILE_LEAVES)]
        for tile in cut_tiles(spans)
    }
    assert len(opened) <= 2
    return [tiles.root(start, end, opened) for start, end in spans]


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash each subtree once on either side: the same ones lie in tens of thousands of proofs."""
    of_all = cache(partial(audit_tree._subtree_root, LEAVES))
    of_some = cache(audit_tree._subtree_root)

    def hash_subtree(leaves: Sequence[bytes], start: int, end: int) -> bytes:
        if leaves is LEAVES:
            return of_all(start, end)
        return of_some(tuple(leaves[start:end]), 0, end - start)

    monkeypatch.setattr(audit_tree, "_subtree_root", hash_subtree)


@pytest.mark.usefixtures("remembered")
def test_all_consistency_proofs_up_to_257_leaves_are_the_same() -> None:
    for new in range(1, 258):
        tiles = tiles_of(new)
        for old in range(new + 1):
            spans = consistency_spans(old, new)
            assert made(tiles, spans, new) == consistency_proof(LEAVES, old, new), (old, new)


@pytest.mark.usefixtures("remembered")
def test_all_inclusion_proofs_up_to_257_leaves_are_the_same() -> None:
    for size in range(1, 258):
        tiles = tiles_of(size)
        for index in range(size):
            spans = inclusion_spans(index, size)
            assert made(tiles, spans, size) == inclusion_proof(LEAVES, index, size), (index, size)


EDGES = [511, 512, 513, 767, 768, 769, 1_023, 1_024, 1_025, 1_300, 2_047, 2_048, 2_049, 2_500]


@pytest.mark.parametrize("size", EDGES)
@pytest.mark.parametrize("ahead", [0, 700])
def test_proofs_over_many_tiles_are_the_same(size: int, ahead: int) -> None:
    tiles = tiles_of(min(len(LEAVES), size + ahead))  # it may know more than it is asked about
    for at in [1, 2, 255, 256, 257, 500, *(edge for edge in EDGES if edge < size), size - 1]:
        spans = consistency_spans(at, size)
        assert made(tiles, spans, size) == consistency_proof(LEAVES, at, size)
        spans = inclusion_spans(at, size)
        assert made(tiles, spans, size) == inclusion_proof(LEAVES, at, size)


def test_a_tile_is_complete() -> None:
    with pytest.raises(ValueError, match="256"):
        Tiles().append(LEAVES[:255])
