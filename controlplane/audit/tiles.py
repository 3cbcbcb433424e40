"""The record as C2SP `tlog-tiles`: hashes of the tree, and the leaves themselves, by static paths.

A tile that is full never changes. Hashes are for every reader of the record, also of one realm:
they say nothing of a leaf. Entry bundles hold leaves of all realms: they are for who reads those.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from controlplane.access.authorize import Actor, realms_with
from controlplane.context import Hub
from controlplane.errors import HiddenError
from protocol.audit_tiles import TILE_LEAVES
from storage.unit_of_work import UnitOfWork

_NUMBER = re.compile(r"(?:x[0-9]{3}/)*[0-9]{3}")
_MAX_LEVEL: Final = 6
"""256 to the 6th is more leaves than a record may have."""
ENTRIES: Final = "entries"


class TilePath(NamedTuple):
    """Which tile: `level` None for a bundle of entries; `width` of 256 for a full one."""

    level: int | None
    number: int
    width: int


def parse_tile_path(path: str) -> TilePath:
    """Return the tile that `L/N` or `L/N.p/W` names; N is `x001/x234/067` for 1234067.

    Raises:
        HiddenError: no tile has this path.
    """
    level_text, _, rest = path.partition("/")
    number_text, partial, width_text = rest.partition(".p/")
    level_fits = level_text == ENTRIES or (
        re.fullmatch("[0-9]|[1-5][0-9]|6[0-3]", level_text) is not None
    )
    width_fits = not partial or re.fullmatch("[1-9][0-9]{0,2}", width_text) is not None
    number = int(number_text.replace("x", "").replace("/", "") or 0) if _fits(number_text) else -1
    width = int(width_text) if partial and width_fits else TILE_LEAVES
    canonical = number >= 0 and _spell(number) == number_text
    if not (level_fits and width_fits and canonical) or width > TILE_LEAVES - bool(partial):
        raise HiddenError("no such tile")
    return TilePath(None if level_text == ENTRIES else int(level_text), number, width)


async def load_tile(hub: Hub, reader: Actor, path: str) -> bytes:
    """Return the bytes of a tile of the tree that the newest checkpoint signs.

    Raises:
        HiddenError: no such tile (yet), or not for this reader.
    """
    tile = parse_tile_path(path)
    checkpoint = await hub.record.sign_newest()
    size = 0 if checkpoint is None else checkpoint.size
    if tile.level is None:
        if realms_with(reader, "audit.read") is not None:
            raise HiddenError("no such tile")
        return await _load_entries(hub, tile, size)
    if tile.level > _MAX_LEVEL:
        raise HiddenError("no such tile")
    span = TILE_LEAVES**tile.level
    start = tile.number * TILE_LEAVES * span
    if start + tile.width * span > size:
        raise HiddenError("no such tile")
    if tile.level == 0:
        hashes = await hub.database.read(lambda uow: uow.audit.hashes(start, start + tile.width))
        return b"".join(hashes)
    roots = [(start + at * span, start + (at + 1) * span) for at in range(tile.width)]
    return b"".join(await hub.record.subtree_roots(roots, size))


async def _load_entries(hub: Hub, tile: TilePath, size: int) -> bytes:
    start, end = tile.number * TILE_LEAVES, tile.number * TILE_LEAVES + tile.width
    if end > size:
        raise HiddenError("no such tile")

    def unit(uow: UnitOfWork) -> list[bytes]:
        return [one.leaf for one in uow.audit.leaves(start, end)]

    leaves = await hub.database.read(unit)
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


def _fits(number_text: str) -> bool:
    return len(number_text) <= 24 and _NUMBER.fullmatch(number_text) is not None


def _spell(number: int) -> str:
    text = f"{number:03d}"
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    return "/".join([*(f"x{one}" for one in groups[:-1]), groups[-1]])
