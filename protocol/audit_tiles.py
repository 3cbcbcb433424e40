"""The upper part of a record's tree: roots of complete subtrees, so that no proof reads every leaf.

Below stand tiles of 256 leaves, which the owner fetches when a proof cuts one open. A complete
subtree never changes, so what is kept here is never wrong, only short. Knows nothing of disks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from protocol.audit_tree import HASH_BYTES, node_hash, root_hash, split_point

TILE_LEAVES: Final = 256
_TILE_BITS: Final = TILE_LEAVES.bit_length() - 1


class Tiles:
    """Roots of all complete tiles from the left and of every complete subtree over them.

    About a quarter of a byte for every leaf.
    """

    def __init__(self) -> None:
        self._levels: list[bytearray] = [bytearray()]

    @property
    def leaves(self) -> int:
        """How many leaves the complete tiles hold."""
        return len(self._levels[0]) // HASH_BYTES * TILE_LEAVES

    def append(self, leaf_hashes: Sequence[bytes]) -> None:
        """Add the next tile.

        Raises:
            ValueError: it is not complete.
        """
        if len(leaf_hashes) != TILE_LEAVES:
            raise ValueError("a tile has 256 leaves")
        root = root_hash(leaf_hashes)
        for level in self._levels:
            level.extend(root)
            if len(level) // HASH_BYTES % 2:
                return
            root = node_hash(bytes(level[-2 * HASH_BYTES : -HASH_BYTES]), root)
        self._levels.append(bytearray(root))

    def root(self, start: int, end: int, opened: Mapping[int, Sequence[bytes]]) -> bytes:
        """Return the root of the subtree over the leaves start <= index < end.

        Args:
            start: as RFC 6962 splits trees: a multiple of the least power of two that is no less
                than `end - start`.
            end: at most `leaves`, or inside an opened tile.
            opened: leaf hashes of tiles by the index of the tile; those of `cut_tiles`.

        Raises:
            KeyError: a tile is missing.
        """
        width = end - start
        if width & (width - 1) == 0 and width >= TILE_LEAVES and end <= self.leaves:
            level = width.bit_length() - 1 - _TILE_BITS
            at = start // width * HASH_BYTES
            return bytes(self._levels[level][at : at + HASH_BYTES])
        if width <= TILE_LEAVES:
            tile, offset = divmod(start, TILE_LEAVES)
            return root_hash(opened[tile][offset : offset + width])
        middle = start + split_point(width)
        return node_hash(self.root(start, middle, opened), self.root(middle, end, opened))


def cut_tiles(spans: Sequence[tuple[int, int]]) -> set[int]:
    """Return the tiles whose leaves are needed for the roots of these subtrees: the cut ones."""
    cut: set[int] = set()
    for start, end in spans:
        if start % TILE_LEAVES:
            cut.add(start // TILE_LEAVES)
        if end % TILE_LEAVES:
            cut.add(end // TILE_LEAVES)
    return cut
