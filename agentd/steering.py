"""Takes documents that are not intents: each is proved, judged, stored and answered, in order.

The one table from document type to what it does. Must not know sockets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from agentd.approvals import Approvals
from agentd.clock import Clock
from agentd.dispatch import Dispatch
from agentd.errors import OrderNotHereError, StateUnavailableError
from agentd.intake import Intake
from agentd.log import log
from agentd.orders import Ending
from agentd.outlet import Outlet
from agentd.record_watch import RecordWatch
from agentd.standing import Standing
from agentd.verifier import Verifier
from protocol.envelope import Envelope, envelope_from_value
from protocol.errors import (
    DocumentRefusedError,
    DuplicateDocumentError,
    Error,
    ForbiddenTypeError,
    NotAuthorisedError,
)
from protocol.ids import parse_id
from protocol.messages import DocumentAck, DocumentAckItem, ResultStatus
from protocol.verification import Side, Verified, verify_document

_MAX_ITEMS = 500


class Steering:
    """Applies documents and answers each by a line in `document_ack`."""

    def __init__(
        self,
        *,
        standing: Standing,
        verifier: Verifier,
        approvals: Approvals,
        intake: Intake,
        dispatch: Dispatch,
        watch: RecordWatch,
        outlet: Outlet,
        clock: Clock,
    ) -> None:
        self._standing = standing
        self._verifier = verifier
        self._approvals = approvals
        self._intake = intake
        self._dispatch = dispatch
        self._watch = watch
        self._outlet = outlet
        self._clock = clock

    async def take(self, envelope: Envelope) -> None:
        """Apply one document from the socket and answer it."""
        self._answer([await self._apply(envelope)])

    async def take_embedded(self, values: Iterable[dict[str, Any] | None]) -> None:
        """Apply the documents of a frame in their order (nulls left out), and answer them.

        A delegation whose parent comes later in the same frame is taken after it.
        """
        envelopes = [
            envelope
            for value in values
            if value is not None and (envelope := self._parse(value)) is not None
        ]
        answers: list[DocumentAckItem | None] = []
        waiting = envelopes
        while waiting:
            left: list[Envelope] = []
            refused: list[DocumentAckItem | None] = []
            for envelope in waiting:
                item = await self._apply(envelope)
                if item is not None and item.code == "not_authorised":
                    left.append(envelope)
                    refused.append(item)
                else:
                    answers.append(item)
            if len(left) == len(waiting):
                answers += refused
                break
            waiting = left
        self._answer(answers)

    async def take_log_delegation(self, value: dict[str, Any] | None) -> None:
        """Believe the root about its log key, and answer the document."""
        envelope = None if value is None else self._parse(value)
        if envelope is None:
            return
        view = self._standing.view()
        try:
            verified: Verified[Any] = verify_document(
                envelope,
                audience=view.agent_did,
                now=self._clock.later(),
                replay=None,
                sender=Side.HUB,
            )
            if self._standing.is_revoked(envelope) or envelope.type != "delegation":
                raise NotAuthorisedError("the log's delegation does not count")
            await self._watch.take_log_delegation(verified, view.root, view.agent_did)
            self._answer([_item(envelope)])
        except DocumentRefusedError as exc:
            self._answer([_item(envelope, exc.code)])
        except StateUnavailableError as exc:
            log("error", "document_not_stored", id=envelope.id, error=exc.message)
        except Error as exc:
            self._outlet.send_error(exc, envelope.id)

    async def _apply(self, envelope: Envelope) -> DocumentAckItem | None:
        """Return the line that answers a document, or None when it was answered otherwise."""
        try:
            verified = self._verifier.verify(envelope)
            await self._act(verified)
            return _item(envelope)
        except DuplicateDocumentError:
            first = self._verifier.first_answer(envelope)
            return _item(envelope, first.code if first is not None else None)
        except DocumentRefusedError as exc:
            log("warning", "document_refused", type=envelope.type, id=envelope.id, why=exc.message)
            return _item(envelope, exc.code)
        except StateUnavailableError as exc:
            # No answer: the hub sends it again, and by then there may be room on the disk.
            log("error", "document_not_stored", id=envelope.id, error=exc.message)
            return None
        except OrderNotHereError as exc:
            # Nor here: an order that was turned down for want of room comes again, and the cancel
            # behind it. Until it has ended, that is: then the hub says neither any more.
            log("info", "document_too_early", id=envelope.id, why=exc.message)
            return None
        except Error as exc:
            log("warning", "document_turned_down", id=envelope.id, code=exc.code)
            self._outlet.send_error(exc, envelope.id)
            return None

    async def _act(self, verified: Verified[Any]) -> None:
        match verified.envelope.type:
            case "tool_approval_response":
                await self._approvals.take(verified)
            case "intent_cancel":
                await self._intake.cancel(verified, self._standing.view())
            case "quarantine":
                await self._standing.take(verified)
                self.enforce_quarantine()
            case "policy_update" | "revocations" | "delegation" | "llm_config" | "skills_config":
                await self._standing.take(verified)
            case other:
                raise ForbiddenTypeError(f"{other} does not come like this")

    def enforce_quarantine(self) -> None:
        """End what runs, when the agent is in quarantine."""
        if self._standing.quarantined:
            self._dispatch.stop_running(
                Ending(
                    ResultStatus.INTERRUPTED,
                    code="quarantined",
                    message="stopped: the agent is in quarantine",
                )
            )

    def _parse(self, value: dict[str, Any]) -> Envelope | None:
        try:
            return envelope_from_value(value)
        except Error as exc:
            log("warning", "document_unreadable", code=exc.code)
            self._outlet.send_error(exc, _readable_id(value))
            return None

    def _answer(self, items: Sequence[DocumentAckItem | None]) -> None:
        lines = tuple(item for item in items if item is not None)
        for start in range(0, len(lines), _MAX_ITEMS):
            self._outlet.send(DocumentAck(documents=lines[start : start + _MAX_ITEMS]))


def _readable_id(value: dict[str, Any]) -> str | None:
    try:
        return parse_id(value.get("id"))
    except Error:
        return None


def _item(envelope: Envelope, code: str | None = None) -> DocumentAckItem:
    return DocumentAckItem.model_validate(
        {
            "id": envelope.id,
            "digest": envelope.digest,
            "state": "accepted" if code is None else "refused",
            "code": code,
        }
    )
