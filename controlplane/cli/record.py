"""The record taken away: written as a folder, and checked there with a root DID and nothing else.

    checkpoint            the signed note over the tree
    log-delegation.json   by which the root made the log's key the log's key
    keys.json             root and log DID, for a reader; the check takes the root from its caller
    leaves.jsonl          every leaf, one exact canonical JSON text a line, in order; where only
    shown.jsonl           some are shown, these are here instead
    personal.jsonl        what is still there of what leaves keep salted hashes of, with the salts
    cosigned.json         earlier checkpoints with the lines of witnesses
    tiles/L/N             the tree's inner hashes: tile N of level L, 256 hashes of 32 bytes each

The tiles let a check name the first leaf that was changed: they are believed only as far as they
lead to the signed root.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.cli.failures import FAILED, USAGE, CliError
from protocol.audit_leaf import parse_leaf, verify_personal
from protocol.audit_tree import leaf_hash, root_hash, verify_inclusion
from protocol.checkpoint import verify_checkpoint
from protocol.cosignature import WitnessKey, verify_cosignature
from protocol.delegation import verify_link
from protocol.envelope import parse_document
from protocol.errors import Error
from protocol.keys import PublicKey

TILE_WIDTH = 256
HASH_BYTES = 32
LOG_ACTION = "writ.log"
LEAVES = "leaves.jsonl"
SHOWN = "shown.jsonl"
PERSONAL = "personal.jsonl"
COSIGNED = "cosigned.json"


@dataclass(frozen=True, slots=True)
class RecordReport:
    """A record that holds.

    Attributes:
        size: leaves of the tree.
        root_hash: of the tree.
        origin: name of the log.
        shown: leaves whose text is there; the others are hashes.
        personal: values beside leaves that nobody has erased.
        witnessed: the first so many leaves are vouched for by every witness that was demanded.
    """

    size: int
    root_hash: bytes
    origin: str
    shown: int
    personal: int
    witnessed: int | None


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
    whole = header.get("whole", True)
    level: list[bytes] = []
    with (
        (folder / (LEAVES if whole else SHOWN)).open("w", encoding="utf-8", newline="\n") as file,
        (folder / PERSONAL).open("w", encoding="utf-8", newline="\n") as beside,
    ):
        for row in stream:
            if row["kind"] == "hashes":
                level += [base64.b64decode(one) for one in row["hashes"]]
                continue
            file.write(row["leaf"] + "\n")
            noted = row.get("hash")
            # As the hub noted it beside the leaf: should they differ, the check says where.
            own = leaf_hash(row["leaf"].encode())
            level.append(own if noted is None else base64.b64decode(noted))
            for field, value in row.get("personal", {}).items():
                beside.write(json.dumps({"index": row["index"], "field": field, **value}) + "\n")
            on_leaf(len(level))
    _write_tiles(folder / "tiles", level)
    (folder / "log-delegation.json").write_text(header["logDelegation"])
    keys = {"root": header["root"], "log": header["log"]}
    (folder / "keys.json").write_text(json.dumps(keys, indent=2) + "\n")
    (folder / COSIGNED).write_text(json.dumps(header.get("cosigned", []), indent=2) + "\n")
    # last, so that a broken-off export is no record
    (folder / "checkpoint").write_text(header["checkpoint"])
    return len(level)


def verify_record(
    folder: Path, *, root: PublicKey, witnesses: Sequence[WitnessKey] = ()
) -> RecordReport:
    """Return what the record in `folder` proves, every check holding.

    The root delegated `writ.log` to a key; that key signed a tree's size and root; the leaves in
    the folder are exactly that tree, or as many of its leaves as are shown stand in it. Personal
    values beside leaves are those that the leaves were made with. Each witness has cosigned an
    earlier or this state of the same tree.

    Raises:
        BadRecordError: something does not hold; with the first bad index where it can be told.
        CliError: the folder is no export.
    """
    log_key = log_key_of(_read(folder / "log-delegation.json"), root)
    try:
        checkpoint = verify_checkpoint(_read(folder / "checkpoint"), log_key)
    except Error as exc:
        raise BadRecordError(f"the checkpoint does not hold: {exc.message}") from exc
    tiles = folder / "tiles"
    if (folder / LEAVES).exists():
        lines = list(_leaves(folder / LEAVES))
        hashes = [leaf_hash(line) for line in lines]
        if len(hashes) != checkpoint.size or root_hash(hashes) != checkpoint.root_hash:
            index = _first_bad(tiles, hashes, checkpoint.size, checkpoint.root_hash)
            raise BadRecordError("the leaves are not the tree that was signed", index=index)
        shown = dict(enumerate(lines))
    else:
        hashes = _read_level(tiles / "0")
        if len(hashes) != checkpoint.size or root_hash(hashes) != checkpoint.root_hash:
            index = _denied_above(tiles, hashes)
            raise BadRecordError("the hashes are not the tree that was signed", index=index)
        shown = _shown(folder / SHOWN, hashes)
    witnessed = [_witnessed(folder, one, log_key, hashes) for one in witnesses]
    return RecordReport(
        checkpoint.size,
        checkpoint.root_hash,
        checkpoint.origin,
        shown=len(shown),
        personal=_check_personal(folder / PERSONAL, shown),
        witnessed=min(witnessed) if witnessed else None,
    )


def _shown(path: Path, hashes: Sequence[bytes]) -> dict[int, bytes]:
    shown: dict[int, bytes] = {}
    for line in _leaves(path):
        index = _index_of(line)
        if index is None or not 0 <= index < len(hashes) or leaf_hash(line) != hashes[index]:
            raise BadRecordError("a leaf is not in the tree that was signed", index=index)
        shown[index] = line
    return shown


def _index_of(line: bytes) -> int | None:
    try:
        index = json.loads(line)["index"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return index if type(index) is int else None


def _check_personal(path: Path, shown: Mapping[int, bytes]) -> int:
    """Return how many personal values there are, each the one its leaf was made with."""
    if not path.exists():
        return 0
    count = 0
    for line in _leaves(path):
        index = _index_of(line)
        if index is None or index not in shown:
            raise BadRecordError("a personal value beside no leaf", index=index)
        try:
            row = json.loads(line)
            salt = base64.b64decode(row["salt"])
            verify_personal(parse_leaf(shown[index]), row["field"], salt=salt, value=row["value"])
        except (Error, ValueError, KeyError, TypeError) as exc:
            raise BadRecordError("a personal value is not the leaf's", index=index) from exc
        count += 1
    return count


def _witnessed(
    folder: Path, witness: WitnessKey, log_key: PublicKey, hashes: Sequence[bytes]
) -> int:
    """Return how many leaves `witness` has vouched for; what it saw is the start of these."""
    notes = json.loads(_read(folder / COSIGNED)) if (folder / COSIGNED).exists() else []
    for note in notes if isinstance(notes, list) else []:
        try:
            verify_cosignature(str(note), witness)
            seen = verify_checkpoint(str(note), log_key)
        except Error:
            continue
        if seen.size > len(hashes) or root_hash(hashes, seen.size) != seen.root_hash:
            raise BadRecordError(f"the witness saw another record of {seen.size} leaves")
        return seen.size
    raise BadRecordError(f"no cosignature of the witness {witness.name or witness.key.did}")


def verify_inclusion_answer(answer: dict[str, Any], *, root: PublicKey) -> None:
    """Return when the hub's answer proves its leaf under a checkpoint of the root's log.

    Raises:
        BadRecordError: it does not.
    """
    log_key = log_key_of(answer["logDelegation"], root)
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


def log_key_of(delegation: str, root: PublicKey) -> PublicKey:
    """Return the key that `root` made the log's key by this delegation; else `BadRecordError`."""
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
    return _denied_above(tiles, hashes)


def _denied_above(tiles: Path, hashes: Sequence[bytes]) -> int | None:
    """Return where the first subtree begins that the level above denies; None if none does."""
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
