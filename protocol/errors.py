"""Every error of Writ has one root, and every error that crosses the wire has one stable code.

The codes are a contract (SPEC.md lists them; `tests/architecture` compares the list with the
classes). Messages are for people and may change. Facts are carried as attributes, never secrets
or payloads. The other rooms derive their own bases from `Error`; an edge catches `Error` once.

    Error, the root
    |- ProtocolError
    |  |- DecodeError             the bytes are not an envelope
    |  |- VerificationError       an envelope, but not to be acted on        (section 3)
    |  |- SessionStateError       the conversation does not allow this now   (section 4)
    |  |- AuthorityError          nobody who may has asked for this          (section 7)
    |  |- DocumentRefusedError    an authentic document that changes nothing (section 6)
    |  |- DeliveryError           a result or ack that fits nothing          (section 8)
    |  `- KeyFileError, JoinTokenError, WeakKeyError, ConditionError, ProofError
    `- (storage, controlplane and agentd add their own bases)
"""

from __future__ import annotations

from typing import ClassVar


class Error(Exception):
    """Something Writ can name. `code` is stable, `retryable` says whether waiting may help."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    @property
    def message(self) -> str:
        """Text for a person; may change between versions."""
        return str(self) or self.code


class ProtocolError(Error):
    """A rule of the wire protocol does not hold."""

    code = "protocol_error"


# --- rows 2 and 3: bytes ---------------------------------------------------------------------


class DecodeError(ProtocolError):
    """The bytes are not an envelope; nothing about the sender is known."""


class BadJsonError(DecodeError):
    """Not JSON inside the profile of section 3."""

    code = "bad_json"


class BadEnvelopeError(DecodeError):
    """JSON, but not the shape of an envelope; or a bad Multikey, base64 or timestamp form."""

    code = "bad_envelope"


class FrameTooLargeError(DecodeError):
    """More bytes than the limit in force; closes with 1009, without an error frame."""

    code = "frame_too_large"


# --- rows 4 to 11: one envelope --------------------------------------------------------------


class VerificationError(ProtocolError):
    """A well-formed envelope that must not be acted on."""


class WrongKeyError(VerificationError):
    """A control frame signed by another key than the one proved on this socket."""

    code = "wrong_key"


class BadSignatureError(VerificationError):
    """The signature does not hold over the signed bytes."""

    code = "bad_signature"


class WrongAudienceError(VerificationError):
    """Addressed to somebody else."""

    code = "wrong_audience"


class StaleError(VerificationError):
    """A control frame older than the clock skew allows."""

    code = "stale"


class FutureError(VerificationError):
    """Signed later than the receiver's clock plus the skew."""

    code = "future"


class ExpiredError(VerificationError):
    """Its `expires` has come."""

    code = "expired"


class WrongSessionError(VerificationError):
    """A control frame of another connection."""

    code = "wrong_session"


class ReplayError(VerificationError):
    """A sequence number that was already used."""

    code = "replay"


class BadSequenceError(VerificationError):
    """A sequence number that leaves a gap."""

    code = "bad_sequence"


class IdReuseError(VerificationError):
    """Other bytes under a document id that the signer has used before."""

    code = "id_reuse"


class UnknownTypeError(VerificationError):
    """No such message type in v1."""

    code = "unknown_type"


class ForbiddenTypeError(VerificationError):
    """A known type that this side, or this state of the connection, may not send."""

    code = "forbidden_type"


class BadPayloadError(VerificationError):
    """The payload does not fit the model of its type."""

    code = "bad_payload"


class RateLimitedError(VerificationError):
    """Too many, too fast; the same thing may pass later."""

    code = "rate_limited"
    retryable = True


class AuthFailedError(VerificationError):
    """The one answer to a stranger, whatever went wrong."""

    code = "auth_failed"


class DuplicateDocumentError(ProtocolError):
    """The same bytes were seen before: not a wire error, the first answer is due again."""

    code = "duplicate"

    def __init__(self, document_id: str, digest: str) -> None:
        super().__init__(f"document {document_id} was seen before")
        self.document_id = document_id
        self.digest = digest


class SessionStateError(ProtocolError):
    """This end tried what the state of its connection does not allow: a bug, or too late."""

    code = "session_state"


# --- section 7: authority --------------------------------------------------------------------


class AuthorityError(ProtocolError):
    """An authentic order that this agent must not act on; becomes a signed `refused` result."""


class QuarantinedError(AuthorityError):
    """The agent is in quarantine."""

    code = "quarantined"


class UnknownActionError(AuthorityError):
    """No such action on this agent."""

    code = "unknown_action"


class BadParamsError(AuthorityError):
    """The params do not fit the schema of the action."""

    code = "bad_params"


class NoChainError(AuthorityError):
    """A named delegation is not held, or none leads from the root to the signer."""

    code = "no_chain"


class UnknownSignerError(NoChainError):
    """No delegation at all is held for the signer: answered by `error`, stored nowhere."""


class BadChainError(AuthorityError):
    """The chain is broken: signature, parent digest, order, length or a repeated key."""

    code = "bad_chain"


class OperatorRequiredError(AuthorityError):
    """The chain passes through the hub's key, and this agent demands an operator's."""

    code = "operator_required"


class RevokedError(AuthorityError):
    """A key or delegation of the chain is revoked."""

    code = "revoked"


class ChainExpiredError(AuthorityError):
    """A link is outside its own or its parent's lifetime."""

    code = "chain_expired"


class NotAttenuatedError(AuthorityError):
    """A link is wider than its parent."""

    code = "not_attenuated"


class NotGrantedError(AuthorityError):
    """Some link does not cover the action, the realm or this agent."""

    code = "not_granted"


class ConditionFalseError(AuthorityError):
    """A condition of some link is false, or could not be evaluated."""

    code = "condition_false"


class WrongRealmError(AuthorityError):
    """The order's realm is none of the policy's realms."""

    code = "wrong_realm"


class PersonNotGrantedError(AuthorityError):
    """No held delegation to the person on whose behalf it was ordered covers it."""

    code = "person_not_granted"


class NoPolicyError(AuthorityError):
    """The agent holds no policy, so it does nothing."""

    code = "no_policy"


class PolicyExpiredError(AuthorityError):
    """The policy in force has expired."""

    code = "policy_expired"


class PolicyDeniedError(AuthorityError):
    """A deny rule matched, or no allow rule did."""

    code = "policy_denied"

    def __init__(self, message: str = "", *, rule: str | None = None) -> None:
        super().__init__(message or f"denied by {rule or 'default'}")
        self.rule = rule


class OrderRateLimitedError(AuthorityError):
    """Over the orders the policy allows in its window."""

    code = "rate_limited"
    retryable = True


class BudgetExhaustedError(AuthorityError):
    """Over the tokens or money the policy allows in its window."""

    code = "budget_exhausted"
    retryable = True


class ApprovalDeniedError(AuthorityError):
    """A person who may decide has denied it; final."""

    code = "approval_denied"


class ApprovalExpiredError(AuthorityError):
    """Not enough people approved in time."""

    code = "approval_expired"


class OrderExpiredError(AuthorityError):
    """A held or waiting order whose time had gone when it could start."""

    code = "expired"


class OrderCancelledError(AuthorityError):
    """Cancelled before it started."""

    code = "cancelled"


# --- section 6: documents that change nothing ------------------------------------------------


class DocumentRefusedError(ProtocolError):
    """An authentic document that must not take effect; reported in `document_ack`."""


class OldVersionError(DocumentRefusedError):
    """A version that is not higher than the one in force."""

    code = "old_version"


class OldEpochError(DocumentRefusedError):
    """An epoch that is not higher than the one in force."""

    code = "old_epoch"


class NotAuthorisedError(DocumentRefusedError):
    """Its signer holds no chain for the `writ.*` action it needs."""

    code = "not_authorised"


class ForbiddenLiftError(DocumentRefusedError):
    """The hub alone tried to lift a quarantine or remove a revocation."""

    code = "forbidden_lift"


class DocumentExpiredError(DocumentRefusedError):
    """Its `expires` came before it could take effect."""

    code = "expired"


# --- section 8: delivery ---------------------------------------------------------------------


class DeliveryError(ProtocolError):
    """A result or ack that fits no order."""


class UnknownIntentError(DeliveryError):
    """No such intent was ever sent to this agent."""

    code = "unknown_intent"


class BadDigestError(DeliveryError):
    """The result names other bytes than the intent that was sent."""

    code = "bad_digest"


class OutputTooBigError(DeliveryError):
    """An output over the limit for results; it goes by upload instead."""

    code = "output_too_big"


class ResultConflictError(DeliveryError):
    """Another result was already taken for this intent."""

    code = "conflict"


class KeyConflictError(DeliveryError):
    """A second live connection of the same key."""

    code = "key_conflict"


# --- keys, conditions, proofs ----------------------------------------------------------------


class KeyFileError(ProtocolError):
    """A key file that cannot be read, or must not be trusted as it lies."""

    code = "key_file"


class JoinTokenError(ProtocolError):
    """Text that is no join token."""

    code = "bad_join_token"


class WeakKeyError(ProtocolError):
    """A public key that is no valid point, or of small order."""

    code = "weak_key"


class ConditionError(ProtocolError):
    """A condition that cannot be compiled or evaluated."""

    code = "bad_condition"


class ProofError(ProtocolError):
    """An inclusion or consistency proof, or a checkpoint, that does not hold."""

    code = "bad_proof"


class LogForkError(ProofError):
    """Two checkpoints of one log that cannot both be true."""

    code = "log_fork"


def subclasses(base: type[Error] = Error) -> list[type[Error]]:
    """Return every class below `base` that is loaded, depth first, `base` included."""
    found = [base]
    for child in base.__subclasses__():
        found.extend(subclasses(child))
    return found


def by_code(code: str) -> type[Error]:
    """Return the first class that carries `code`; `Error` itself for a code nobody here knows."""
    for cls in subclasses():
        if cls.__dict__.get("code") == code:
            return cls
    return Error
