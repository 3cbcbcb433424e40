"""A witness of the record, on a machine the hub has no hand on (C2SP tlog-cosignature).

Remembers the highest checkpoint it has seen, believes another only with the proof that it grew out
of that one, and only then signs it. What it remembers is on disk before its word leaves the
machine, so it never speaks for two records, whenever it is stopped. Knows no leaf.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controlplane.cli.client import HubClient
from controlplane.cli.failures import CONFLICT, FAILED, CliError
from controlplane.cli.record import BadRecordError, log_key_of
from protocol.audit_tree import verify_consistency
from protocol.base64_text import decode_base64
from protocol.checkpoint import Checkpoint, parse_checkpoint, verify_checkpoint
from protocol.cosignature import cosign, format_witness_key
from protocol.errors import Error
from protocol.keys import PublicKey, SigningKey


class LogForkError(CliError):
    """The hub shows a record that does not contain what this witness has seen of it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=FAILED, code="log_fork")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint this witness has just signed; `before` is the size of the one before it."""

    size: int
    before: int | None
    root_hash: bytes
    origin: str


@dataclass(frozen=True, slots=True)
class Witness:
    """Who signs, under which name, for which root's log, and where it remembers.

    Attributes:
        root: whose log it is.
        signer: the witness's own key.
        name: of the key in the note.
        state: file with the highest checkpoint seen.
    """

    root: PublicKey
    signer: SigningKey
    name: str
    state: Path

    @property
    def verifier(self) -> str:
        """The key that `writ audit verify --witness` takes."""
        return format_witness_key(self.name, self.signer.public_key)

    def watch_once(self, client: HubClient, *, unix_seconds: int) -> Cosigned:
        """Look at the newest checkpoint, sign it, and hand the signature to the hub.

        Raises:
            LogForkError: it does not follow from what was seen before; nothing is signed, and the
                two checkpoints that contradict each other are kept beside the state.
            CliError: the hub cannot be asked, or answers with something else.
        """
        with self._alone():
            kept_text = self._load()
            answer = client.get("/audit/checkpoint")
            text, seen = self._believe(answer)
            before = None if kept_text is None else parse_checkpoint(kept_text)
            if before is not None:
                self._check_follows(client, before, seen, kept_text or "", text)
            line = cosign(text, name=self.name, signer=self.signer, unix_seconds=unix_seconds)
            self._save(text)
            client.post(
                "/audit/cosignatures",
                {"size": seen.size, "key": self.verifier, "cosignature": line},
            )
        return Cosigned(
            seen.size, None if before is None else before.size, seen.root_hash, seen.origin
        )

    def _believe(self, answer: Any) -> tuple[str, Checkpoint]:
        try:
            text = str(answer["checkpoint"])
            log_key = log_key_of(str(answer["logDelegation"]), self.root)
        except (KeyError, TypeError) as exc:
            raise CliError("the hub answers with no checkpoint") from exc
        try:
            return text, verify_checkpoint(text, log_key)
        except Error as exc:
            raise BadRecordError(f"the checkpoint does not hold: {exc.message}") from exc

    def _check_follows(
        self, client: HubClient, kept: Checkpoint, seen: Checkpoint, kept_text: str, text: str
    ) -> None:
        why = None
        if seen.origin != kept.origin:
            why = f"the record is called {seen.origin} and was {kept.origin}"
        elif seen.size < kept.size:
            why = f"the record shrank from {kept.size} to {seen.size} leaves"
        elif seen.size == kept.size and seen.root_hash != kept.root_hash:
            why = f"there are two records of {kept.size} leaves"
        elif seen.size > kept.size:
            answer = client.get("/audit/proof/consistency", old=kept.size, new=seen.size)
            try:
                verify_consistency(
                    old_size=kept.size,
                    new_size=seen.size,
                    old_root=kept.root_hash,
                    new_root=seen.root_hash,
                    proof=[decode_base64(one, size_bytes=32) for one in answer["proof"]],
                )
            except (Error, KeyError, TypeError) as exc:
                why = f"the record of {seen.size} leaves does not contain the {kept.size} before"
                raise self._forked(client, why, kept_text, text) from exc
        if why is not None:
            raise self._forked(client, why, kept_text, text)

    def _load(self) -> str | None:
        try:
            held = json.loads(self.state.read_bytes())
            if held["root"] != self.root.did:
                raise CliError(f"{self.state} is about another root", exit_code=CONFLICT)
            text = str(held["checkpoint"])
            parse_checkpoint(text)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, Error) as exc:
            if isinstance(exc, CliError):
                raise
            # To begin anew would be to forget what was seen: a person decides that.
            raise CliError(f"{self.state} cannot be read; a witness never guesses") from exc
        return text

    def _save(self, text: str) -> None:
        content = json.dumps({"root": self.root.did, "checkpoint": text}, indent=2) + "\n"
        _write_durably(self.state, content)

    def _forked(self, client: HubClient, why: str, kept: str, seen: str) -> LogForkError:
        """Keep the proof here first, then hand it to the hub, which may not be who forked."""
        self._keep_evidence(kept, seen)
        try:
            report_fork(client, seen_before=kept, shown_now=seen)
        except CliError as exc:
            return LogForkError(f"{why}; the hub does not record it ({exc.message})")
        return LogForkError(f"{why}; the proof is on its record now")

    def _keep_evidence(self, kept: str, seen: str) -> None:
        content = json.dumps(
            {"root": self.root.did, "seenBefore": kept, "shownNow": seen}, indent=2
        )
        _write_durably(self.state.with_suffix(".fork.json"), content + "\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Two of one witness could sign two records; the second one waits for the first."""
        try:
            self.state.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.state.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as exc:
            raise CliError(f"{self.state} cannot be kept: {exc.strerror}") from exc
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def report_fork(client: HubClient, *, seen_before: str, shown_now: str) -> Any:
    """Hand the hub two checkpoints that cannot both be true; it checks them and records them."""
    body = {"seenBefore": seen_before, "shownNow": shown_now}
    return client.post("/audit/fork-reports", body)


def _write_durably(path: Path, content: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as exc:
        raise CliError(f"{path} cannot be written: {exc.strerror}") from exc
