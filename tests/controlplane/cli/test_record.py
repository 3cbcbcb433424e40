"""A record taken away proves itself, and names the first leaf that was changed."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.cli.record import BadRecordError, verify_record, write_record
from protocol.audit_tree import Tree, leaf_hash
from protocol.checkpoint import seal_checkpoint
from protocol.envelope import seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROOT = SigningKey.from_seed(bytes([1]) * 32)
LOG = SigningKey.from_seed(bytes([2]) * 32)
OTHER = SigningKey.from_seed(bytes([3]) * 32)


def _delegation(signer: SigningKey, action: str = "writ.log") -> str:
    envelope = seal_document(
        type="delegation",
        id=format_uuid7(NOW, bytes(10)),
        timestamp=NOW,
        expires=NOW + timedelta(days=1),
        audience="*",
        payload={
            "subject": LOG.public_key.did,
            "capabilities": [{"action": action}],
            "conditions": [],
            "notBefore": format_timestamp(NOW),
            "maxDepth": 0,
            "parent": None,
        },
        signer=signer,
    )
    return envelope.wire.decode()


def _export(size: int, *, delegation: str | None = None, signer: SigningKey = LOG) -> list[Any]:
    leaves = [f'{{"index":{number}}}' for number in range(size)]
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf.encode()))
    header = {
        "kind": "header",
        "checkpoint": seal_checkpoint("test/log", size, tree.root(), signer),
        "root": ROOT.public_key.did,
        "log": LOG.public_key.did,
        "logDelegation": delegation or _delegation(ROOT),
    }
    return [header, *({"kind": "leaf", "index": n, "leaf": leaf} for n, leaf in enumerate(leaves))]


def _write(folder: Path, export: list[Any]) -> Path:
    write_record(export, folder, on_leaf=lambda count: None)
    return folder


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 600])
def test_an_untouched_record_holds(tmp_path: Path, size: int) -> None:
    folder = _write(tmp_path / "record", _export(size))
    assert verify_record(folder, root=ROOT.public_key).size == size


@pytest.mark.parametrize("index", [0, 255, 256, 511, 599])
def test_a_changed_leaf_is_found_by_index(tmp_path: Path, index: int) -> None:
    folder = _write(tmp_path / "record", _export(600))
    leaves = folder / "leaves.jsonl"
    lines = leaves.read_text().splitlines()
    lines[index] = '{"index":-1}'
    leaves.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadRecordError) as caught:
        verify_record(folder, root=ROOT.public_key)
    assert caught.value.index == index


def test_a_leaf_cut_off_the_end_is_found_by_index(tmp_path: Path) -> None:
    folder = _write(tmp_path / "record", _export(10))
    leaves = folder / "leaves.jsonl"
    leaves.write_text("\n".join(leaves.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(BadRecordError) as caught:
        verify_record(folder, root=ROOT.public_key)
    assert caught.value.index == 9


def test_leaf_and_tile_changed_together_are_found_by_the_level_above(tmp_path: Path) -> None:
    folder = _write(tmp_path / "record", _export(600))
    forged = _export(600)
    forged[1 + 300]["leaf"] = '{"index":-1}'
    other = _write(tmp_path / "forged", forged)
    shutil.copy(other / "leaves.jsonl", folder / "leaves.jsonl")
    shutil.rmtree(folder / "tiles" / "0")
    shutil.copytree(other / "tiles" / "0", folder / "tiles" / "0")
    with pytest.raises(BadRecordError) as caught:
        verify_record(folder, root=ROOT.public_key)
    assert caught.value.index == 256


def test_another_root_is_not_believed(tmp_path: Path) -> None:
    folder = _write(tmp_path / "record", _export(3))
    with pytest.raises(BadRecordError, match="not from the root"):
        verify_record(folder, root=OTHER.public_key)


def test_a_log_the_root_did_not_make_a_log_is_not_believed(tmp_path: Path) -> None:
    export = _export(3, delegation=_delegation(ROOT, action="writ.route"))
    folder = _write(tmp_path / "record", export)
    with pytest.raises(BadRecordError, match="a log"):
        verify_record(folder, root=ROOT.public_key)


def test_a_checkpoint_of_another_key_is_not_believed(tmp_path: Path) -> None:
    folder = _write(tmp_path / "record", _export(3, signer=OTHER))
    with pytest.raises(BadRecordError, match="checkpoint"):
        verify_record(folder, root=ROOT.public_key)
