"""Forks of the record, reported by who has seen two: a witness, a browser, who keeps checkpoints.

An accusation is not believed, it is checked: the log's key has signed both checkpoints, and they
contradict each other, or the record as it stands does not contain one of them. Then the proof is a
leaf of its own, once. A hub that forks on purpose will not write that down: who reports keeps the
two checkpoints, and shows them to others.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import structlog

from controlplane import clock
from controlplane.access.authorize import Actor, authorize
from controlplane.audit.service import newest_checkpoint
from controlplane.context import Hub
from controlplane.errors import InvalidFieldError, StateConflictError
from protocol.audit_tree import verify_consistency
from protocol.base64_text import encode_base64
from protocol.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from protocol.errors import Error, ProofError
from protocol.keys import PublicKey
from protocol.signed_note import note_key_id, parse_note
from storage.records import AuditFilter
from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

KIND: Final = "audit.fork_reported"
MAX_REPORTS: Final = 100
"""Only who has the log's key can make more of them, and ten say what a thousand say."""
MAX_BODY_CHARS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint that the log's key has signed; `note` has its line and no other."""

    checkpoint: Checkpoint
    note: str


@dataclass(frozen=True, slots=True)
class ForkReport:
    """What was proved. `id` is the leaf's subject: the same proof has the same one."""

    id: str
    why: str
    seen_before: str
    shown_now: str


async def report_fork(hub: Hub, actor: Actor, *, seen_before: str, shown_now: str) -> ForkReport:
    """Return the report as it is on the record now; the same one again changes nothing.

    Raises:
        AccessDeniedError: the caller may not read the record.
        InvalidFieldError: no checkpoint of this log, or both can be true.
        StateConflictError: there are as many reports as there may be.
        RecordDamagedError: the record cannot be compared: its leaves were changed.
    """
    authorize(actor, "audit.read")
    log_key = hub.identity.log_key.public_key
    before = _read(seen_before, log_key, "/seenBefore")
    after = _read(shown_now, log_key, "/shownNow")
    why = contradiction(before.checkpoint, after.checkpoint)
    if why is None:
        why = await _missing(hub, before.checkpoint) or await _missing(hub, after.checkpoint)
    if why is None:
        raise InvalidFieldError("both can be true: the record contains them", pointer="/shownNow")
    report = ForkReport(_id_of(before, after), why, before.note, after.note)

    def unit(uow: UnitOfWork) -> bool:
        if uow.audit.of_subject(report.id):
            return False
        if len(uow.audit.list(AuditFilter(kind=KIND), limit=MAX_REPORTS).items) >= MAX_REPORTS:
            raise StateConflictError(f"{MAX_REPORTS} forks are on the record already")
        data: dict[str, Any] = {
            "why": why,
            "seenBefore": report.seen_before,
            "shownNow": report.shown_now,
            "sizes": [before.checkpoint.size, after.checkpoint.size],
        }
        uow.audit.append("audit.fork_reported", actor.subject, report.id, data, at=clock.now())
        return True

    if await hub.database.write(unit):
        log.critical("log_fork_reported", why=why, by=actor.subject)
        hub.events.emit(KIND, realm=None, data={"why": why}, subject=report.id)
    return report


def contradiction(one: Checkpoint, other: Checkpoint) -> str | None:
    """Return how two checkpoints of one key contradict each other on their face, or None. Pure."""
    if one.origin != other.origin:
        return "two_names"
    if one.size == other.size and one.root_hash != other.root_hash:
        return "two_roots"
    return None


async def _missing(hub: Hub, checkpoint: Checkpoint) -> str | None:
    """Return why the record as it stands does not contain a checkpoint that was signed, or None."""
    newest = parse_checkpoint((await newest_checkpoint(hub)).text)
    if (face := contradiction(checkpoint, newest)) is not None:
        return face
    if checkpoint.size > newest.size:
        return "cut_short"
    proof = await hub.record.prove_consistency(checkpoint.size, newest.size)
    try:
        verify_consistency(
            old_size=checkpoint.size,
            new_size=newest.size,
            old_root=checkpoint.root_hash,
            new_root=newest.root_hash,
            proof=list(proof),
        )
    except Error:
        return "not_contained"
    return None


def _read(note: str, log_key: PublicKey, pointer: str) -> Signed:
    try:
        checkpoint = verify_checkpoint(note, log_key)
    except ProofError as exc:
        raise InvalidFieldError(f"not of this record: {exc.message}", pointer=pointer) from exc
    parsed = parse_note(note)
    if len(parsed.text) > MAX_BODY_CHARS:
        raise InvalidFieldError("longer than a checkpoint is", pointer=pointer)
    # Lines of others say nothing here, and would make of one proof as many as somebody likes.
    key_id = note_key_id(checkpoint.origin, log_key)
    own = next(
        one for one in parsed.signatures if one.name == checkpoint.origin and one.key_id == key_id
    )
    line = f"\u2014 {own.name} {encode_base64(own.key_id + own.signature)}\n"
    return Signed(checkpoint, f"{parsed.text}\n{line}")


def _id_of(one: Signed, other: Signed) -> str:
    bodies = sorted(parse_note(each.note).text for each in (one, other))
    return "fork:" + hashlib.sha256("\0".join(bodies).encode()).hexdigest()[:32]
