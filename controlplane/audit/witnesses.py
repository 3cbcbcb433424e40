"""Witnesses: who saw a checkpoint, in their own signed words, kept and shown with the record.

The hub checks a cosignature so that it shows none that does not hold; what it is worth is for who
trusts the witness's key to say. A hub cannot make one, and a witness signs no second record.
"""

from __future__ import annotations

from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.context import Hub
from controlplane.errors import InvalidFieldError
from protocol.cosignature import WitnessKey, parse_witness_key, verify_cosignature
from protocol.errors import BadEnvelopeError, ProofError, WeakKeyError
from protocol.signed_note import parse_note
from protocol.timestamps import format_timestamp
from storage.records import Checkpoint, Cosignature
from storage.unit_of_work import UnitOfWork


async def take_cosignature(
    hub: Hub, actor: Actor, *, size: int, key: str, line: str
) -> Cosignature:
    """Keep a witness's word on the checkpoint of `size` leaves; the newest of each witness stays.

    Raises:
        AccessDeniedError: the caller may not hand one in.
        InvalidFieldError: no such checkpoint or key, or the signature does not hold.
    """
    authorize(actor, "audit.witness")
    witness = _named(key)
    checkpoint = await hub.database.read(lambda uow: uow.audit.checkpoint(size))
    if checkpoint is None:
        raise InvalidFieldError("no checkpoint of this size", pointer="/size")
    note = checkpoint.text + line
    try:
        if parse_note(note).text != parse_note(checkpoint.text).text or line.count("\n") != 1:
            raise ProofError("not one line of a signed note")
        verify_cosignature(note, witness)
    except ProofError as exc:
        raise InvalidFieldError(exc.message, pointer="/cosignature") from exc
    now = clock.now()
    did, name = witness.key.did, str(witness.name)
    word = Cosignature(did, name, size, checkpoint.text, line, now)
    await hub.database.write(lambda uow: uow.audit.save_cosignature(word))
    return word


async def load_cosignatures(hub: Hub, upto: int) -> list[Cosignature]:
    """Return the newest word of each witness on checkpoints of at most `upto` leaves."""

    def unit(uow: UnitOfWork) -> list[Cosignature]:
        return [one for one in uow.audit.cosignatures() if one.size <= upto]

    return await hub.database.read(unit)


def cosignature_view(word: Cosignature) -> dict[str, Any]:
    """Return a cosignature with the note that proves it."""
    return {
        "key": word.key,
        "name": word.name,
        "size": word.size,
        "at": format_timestamp(word.at),
        "checkpoint": cosigned_note(word),
    }


def cosigned_note(word: Cosignature) -> str:
    """Return the checkpoint that a witness saw, with its line below the log's own."""
    return word.checkpoint + word.line


def with_cosignatures(checkpoint: Checkpoint, words: list[Cosignature]) -> str:
    """Return a checkpoint with the line of every witness that saw this very one."""
    lines = [one.line for one in words if one.size == checkpoint.size]
    return checkpoint.text + "".join(lines)


def _named(key: str) -> WitnessKey:
    try:
        witness = parse_witness_key(key)
        witness.key.check_point()
    except (BadEnvelopeError, WeakKeyError) as exc:
        raise InvalidFieldError("not the verifier key of a witness", pointer="/key") from exc
    if witness.name is None:
        raise InvalidFieldError("the key with its name: name+hash+key", pointer="/key")
    return witness
