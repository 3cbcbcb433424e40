"""The record taken away: written as a folder, and checked there with a root DID and nothing else.

    checkpoint            the signed note over the tree
    log-delegation.json   by which the root made the log's key the log's key
    keys.json             root and log DID, for a reader; the check takes the root from its caller
    leaves.jsonl          every leaf, one exact canonical JSON text a line, in order
    tiles/L/N             the tree's inner hashes: tile N of level L, 256 hashes of 32 bytes each

The tiles let a check name the first leaf that was changed: they are believed only as far as they
lead to the signed root.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.cli.failures import FAILED, USAGE, CliError
from protocol.audit_tree import Tree, leaf_hash, root_hash, verify_inclusion
from protocol.checkpoint import verify_checkpoint
from protocol.delegation import verify_link
from protocol.envelope import parse_document
from protocol.errors import Error
from protocol.keys import PublicKey

TILE_WIDTH = 256
HASH_BYTES = 32
LOG_ACTION = "writ.log"


@dataclass(frozen=True, slots=True)
class RecordReport:
    """A record that holds."""

    size: int
    root_hash: bytes
    origin: str


class BadRecordError(CliError):
    """A record that does not hold; `index` is the first bad leaf, where it can be told."""

    code = "bad_record"

    def __init__(self, message: str, *, index: int | None = None) -> None:
        where = "" if index is None else f" (first bad index {index})"
        super().__init__(message + where, exit_code=FAILED, code="bad_record")
        self.index = index


def write_record(
    lines: Iterable[dict[str, Any]], folder: Path, *, on_leaf: Callable[[int], None]
) -> int:
    """Write an export (header line first, then leaves) as a folder; return the number of leaves.

    Args:
        lines: as `/api/v1/audit/export` sends them.
        folder: made when missing; must be empty.
        on_leaf: called with the count as it grows.
    """
    stream = iter(lines)
    header = next(stream, None)
    if header is None or header.get("kind") != "header":
        raise CliError("the hub sent no record")
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise CliError(f"{folder} is not empty", exit_code=USAGE)
    level: list[bytes] = []
    with (folder / "leaves.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in stream:
            file.write(row["leaf"] + "\n")
            level.append(leaf_hash(row["leaf"].encode()))
            on_leaf(len(level))
    _write_tiles(folder / "tiles", level)
    (folder / "log-delegation.json").write_text(header["logDelegation"])
    keys = {"root": header["root"], "log": header["log"]}
    (folder / "keys.json").write_text(json.dumps(keys, indent=2) + "\n")
    # last, so that a broken-off export is no record
    (folder / "checkpoint").write_text(header["checkpoint"])
    return len(level)


def verify_record(folder: Path, *, root: PublicKey) -> RecordReport:
    """Return what the record in `folder` proves, every check holding.

    The root delegated `writ.log` to a key; that key signed a tree's size and root; the leaves in
    the folder are exactly that tree.

    Raises:
        BadRecordError: something does not hold; with the first bad index where it can be told.
        CliError: the folder is no export.
    """
    log_key = _log_key(_read(folder / "log-delegation.json"), root)
    try:
        checkpoint = verify_checkpoint(_read(folder / "checkpoint"), log_key)
    except Error as exc:
        raise BadRecordError(f"the checkpoint does not hold: {exc.message}") from exc
    hashes = [leaf_hash(line) for line in _leaves(folder / "leaves.jsonl")]
    tree = Tree()
    for one in hashes[: checkpoint.size]:
        tree.append(one)
    if len(hashes) == checkpoint.size and tree.root() == checkpoint.root_hash:
        return RecordReport(checkpoint.size, checkpoint.root_hash, checkpoint.origin)
    index = _first_bad(folder / "tiles", hashes, checkpoint.size, checkpoint.root_hash)
    raise BadRecordError("the leaves are not the tree that was signed", index=index)


def verify_inclusion_answer(answer: dict[str, Any], *, root: PublicKey) -> None:
    """Return when the hub's answer proves its leaf under a checkpoint of the root's log.

    Raises:
        BadRecordError: it does not.
    """
    log_key = _log_key(answer["logDelegation"], root)
    try:
        checkpoint = verify_checkpoint(answer["checkpoint"], log_key)
        verify_inclusion(
            leaf_hash(answer["leaf"].encode()),
            index=answer["index"],
            size=checkpoint.size,
            proof=[base64.b64decode(one) for one in answer["proof"]],
            root=checkpoint.root_hash,
        )
    except (Error, ValueError) as exc:
        raise BadRecordError(f"the proof does not hold: {exc}") from exc


def _log_key(delegation: str, root: PublicKey) -> PublicKey:
    try:
        link = verify_link(parse_document(delegation))
        key = PublicKey.parse_did(link.delegation.subject)
    except Error as exc:
        raise BadRecordError(f"the log's delegation does not hold: {exc.message}") from exc
    if link.envelope.public_key != root:
        raise BadRecordError("the log's delegation is not from the root you trust")
    if all(one.action != LOG_ACTION for one in link.delegation.capabilities):
        raise BadRecordError("the root did not make this key a log")
    return key


def _first_bad(tiles: Path, hashes: Sequence[bytes], size: int, root: bytes) -> int | None:
    """Return the first leaf that differs from tiles that lead to `root`; None if none does."""
    missing = min(len(hashes), size)
    kept = _read_level(tiles / "0")
    if len(kept) == size and root_hash(kept) == root:
        for index in range(missing):
            if hashes[index] != kept[index]:
                return index
        return missing
    # the tiles of the leaves were changed too: find the first subtree that a higher level denies
    above = _read_level(tiles / "1")
    for number in range(len(above)):
        start = number * TILE_WIDTH
        if root_hash(hashes[start : start + TILE_WIDTH]) != above[number]:
            return start
    return None


def _write_tiles(folder: Path, level: list[bytes]) -> None:
    number = 0
    while True:
        target = folder / str(number)
        target.mkdir(parents=True)
        for start in range(0, len(level), TILE_WIDTH):
            data = b"".join(level[start : start + TILE_WIDTH])
            (target / f"{start // TILE_WIDTH:09d}").write_bytes(data)
        if len(level) < TILE_WIDTH:
            return
        full = len(level) // TILE_WIDTH
        level = [root_hash(level[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(full)]
        number += 1


def _read_level(folder: Path) -> list[bytes]:
    if not folder.is_dir():
        return []
    data = b"".join(path.read_bytes() for path in sorted(folder.iterdir()))
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def _leaves(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield line.removesuffix(b"\n")
    except OSError as exc:
        raise CliError(f"{path} cannot be read: {exc.strerror}", exit_code=USAGE) from exc


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise CliError(f"{path} cannot be read", exit_code=USAGE) from exc
