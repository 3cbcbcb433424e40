"""Proofs over the record at the cost of a few hundred hashes, however long it has grown.

Keeps the upper part of the tree in memory, caught up from the database, and the newest proofs.
Says nothing about who may have one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from protocol.audit_tiles import TILE_LEAVES, Tiles, cut_tiles
from protocol.audit_tree import consistency_spans, inclusion_spans
from storage.database import Database
from storage.unit_of_work import UnitOfWork

_TILES_AT_A_TIME: Final = 16
MAX_KEPT_PROOFS: Final = 256
"""Every agent asks for the same few steps."""


class Proofs:
    """Makes proofs for trees that are on disk; asking for a longer one is the caller's error."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tiles = Tiles()
        self._catching_up = asyncio.Lock()
        self._kept: OrderedDict[tuple[str, int, int], tuple[bytes, ...]] = OrderedDict()

    async def inclusion(self, index: int, size: int) -> tuple[bytes, ...]:
        """Return the audit path of leaf `index` in the tree of `size` leaves.

        Raises:
            ValueError: no such leaf.
            UnavailableError: the database cannot be asked.
        """
        return await self._prove("inclusion", index, size, inclusion_spans(index, size))

    async def consistency(self, old: int, new: int) -> tuple[bytes, ...]:
        """Return the proof that the tree of `new` leaves begins with the one of `old`.

        Raises:
            ValueError: no such trees.
            UnavailableError: the database cannot be asked.
        """
        return await self._prove("consistency", old, new, consistency_spans(old, new))

    async def subtree_roots(self, spans: Sequence[tuple[int, int]], size: int) -> tuple[bytes, ...]:
        """Return the roots of complete subtrees, as start and end, of 256 leaves or more each.

        Args:
            spans: within a tree of `size` leaves, which is on disk.
            size: leaves of that tree.

        Raises:
            UnavailableError: the database cannot be asked.
        """
        await self._catch_up(size)
        return tuple(self._tiles.root(start, end, {}) for start, end in spans)

    async def _prove(
        self, kind: str, small: int, large: int, spans: Sequence[tuple[int, int]]
    ) -> tuple[bytes, ...]:
        key = (kind, small, large)
        known = self._kept.get(key)
        if known is not None:
            self._kept.move_to_end(key)
            return known
        await self._catch_up(large)
        cut = sorted(cut_tiles(spans))

        def unit(uow: UnitOfWork) -> dict[int, list[bytes]]:
            return {
                tile: uow.audit.hashes(tile * TILE_LEAVES, min(large, (tile + 1) * TILE_LEAVES))
                for tile in cut
            }

        opened = await self._database.read(unit) if cut else {}
        proof = tuple(self._tiles.root(start, end, opened) for start, end in spans)
        self._kept[key] = proof
        if len(self._kept) > MAX_KEPT_PROOFS:
            self._kept.popitem(last=False)
        return proof

    async def _catch_up(self, size: int) -> None:
        async with self._catching_up:
            complete = size - size % TILE_LEAVES
            while self._tiles.leaves < complete:
                start = self._tiles.leaves
                end = min(complete, start + _TILES_AT_A_TIME * TILE_LEAVES)
                hashes = await self._database.read(lambda uow: uow.audit.hashes(start, end))  # noqa: B023
                for at in range(0, len(hashes), TILE_LEAVES):
                    self._tiles.append(hashes[at : at + TILE_LEAVES])
