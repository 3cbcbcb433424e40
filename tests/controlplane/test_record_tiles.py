"""The record over REST as C2SP tlog-tiles, at every width, and only to who may read it."""

from __future__ import annotations

import pytest

from controlplane.audit.tiles import TilePath, parse_tile_path
from controlplane.errors import HiddenError
from protocol.audit_tree import leaf_hash, root_hash
from protocol.checkpoint import verify_checkpoint
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hubs import ServedHub


async def grow(served: ServedHub, size: int) -> None:
    def unit(uow: UnitOfWork) -> None:
        for number in range(size - uow.audit.size()):
            uow.audit.append("k", "hub", str(number), {})

    await served.hub.database.write(unit)


async def test_the_tiles_lead_to_the_root_that_the_checkpoint_signs(served: ServedHub) -> None:
    await grow(served, 600)
    client = served.client
    note = await client.get("/api/v1/audit/checkpoint", headers={"Accept": "text/plain"})
    assert note.headers["content-type"].startswith("text/plain")
    signed = verify_checkpoint(note.data.decode(), served.hub.identity.log_key.public_key)
    last = signed.size - 512
    assert 88 <= last < 256

    async def tile(path: str) -> bytes:
        answer = await client.get(f"/api/v1/audit/tile/{path}")
        assert answer.status == 200, path
        assert ("immutable" in answer.headers.get("cache-control", "")) == (".p" not in path)
        return answer.data

    level = b"".join([await tile("0/000"), await tile("0/001"), await tile(f"0/002.p/{last}")])
    hashes = [level[at : at + 32] for at in range(0, len(level), 32)]
    assert len(hashes) == signed.size
    assert root_hash(hashes) == signed.root_hash
    above = await tile("1/000.p/2")
    assert above == root_hash(hashes[:256]) + root_hash(hashes[256:512])
    assert await tile("1/000.p/1") == above[:32]
    assert await tile("0/002.p/7") == level[512 * 32 : 519 * 32]
    entries = await tile("entries/001")
    leaves = []
    while entries:
        length = int.from_bytes(entries[:2], "big")
        leaves.append(entries[2 : 2 + length])
        entries = entries[2 + length :]
    assert [leaf_hash(leaf) for leaf in leaves] == hashes[256:512]
    for path in ("0/002", "0/003", "0/002.p/255", "1/000", "1/001.p/1", "2/000.p/1", "entries/002"):
        assert (await client.get(f"/api/v1/audit/tile/{path}")).status == 404, path


async def test_a_reader_of_a_realm_gets_hashes_and_no_entries(served: ServedHub) -> None:
    owner = await served.owner()
    await owner.post("/api/v1/realms", {"id": "lab"})
    auditor = await served.person("zoe", "auditor", "lab")
    member = await served.person("ben", "member", "lab")
    assert (await auditor.get("/api/v1/audit/tile/0/000.p/3")).status == 200
    assert (await auditor.get("/api/v1/audit/tile/entries/000.p/3")).status == 404
    assert (await owner.get("/api/v1/audit/tile/entries/000.p/3")).status == 200
    assert (await member.get("/api/v1/audit/tile/0/000.p/3")).status == 403


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/000", TilePath(0, 0, 256)),
        ("63/000", TilePath(63, 0, 256)),
        ("entries/x001/x234/067", TilePath(None, 1_234_067, 256)),
        ("1/x001/000.p/255", TilePath(1, 1_000, 255)),
    ],
)
def test_a_tile_is_named_as_the_specification_spells(path: str, tile: TilePath) -> None:
    assert parse_tile_path(path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("", "0", "0/", "0/0", "0/1000", "0/x000/001", "0/x001/x000", "0/001/000", "00/000"),
        *("64/000", "-1/000", "data/000", "0/000.p/0", "0/000.p/256", "0/000.p/", "0/000.p/01"),
        *("0/000.p/1/2", "0/000/", "0/../000", "0/x999/" * 9 + "000", "0/\u0660\u0660\u0660"),
    ],
)
def test_what_is_no_tile_is_not_found(path: str) -> None:
    with pytest.raises(HiddenError):
        parse_tile_path(path)
