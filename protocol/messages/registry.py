"""One line per message type: its model, its kind, and who may say it.

A message kind that is not here does not exist. Parsing ends in a model or in a `VerificationError`
with a code of SPEC section 3, whatever the payload holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ValidationError

from protocol.errors import BadPayloadError, UnknownTypeError
from protocol.messages import (
    approvals,
    audit,
    channels,
    delegations,
    documents,
    enrolment,
    files,
    intents,
    peers,
    policies,
    presence,
    session,
    tokens,
)
from protocol.messages.fields import WIRE

_MAX_PATH_CHARS: Final = 120


@dataclass(frozen=True, slots=True)
class MessageKind:
    """What the registry knows about a type.

    `before_registration`: may be sent on a connection that is not online yet; the session machine
    says in which order. A document has neither `session` nor `sequence`.
    """

    name: str
    model: type[BaseModel]
    kind: Literal["control", "document"]
    from_hub: bool
    from_agent: bool
    before_registration: bool = False


def _control(
    name: str, model: type[BaseModel], sides: Literal["hub", "agent", "both"], early: bool = False
) -> MessageKind:
    return MessageKind(name, model, "control", sides != "agent", sides != "hub", early)


def _document(name: str, model: type[BaseModel], side: Literal["hub", "agent"]) -> MessageKind:
    return MessageKind(name, model, "document", side == "hub", side == "agent")


_KINDS: Final = (
    _control("hello", session.Hello, "hub", early=True),
    _control("register", enrolment.Register, "agent", early=True),
    _control("registration_pending", enrolment.RegistrationPending, "hub", early=True),
    _control("registration_rejected", enrolment.RegistrationRejected, "hub", early=True),
    _control("register_ack", enrolment.RegisterAck, "hub", early=True),
    _control("heartbeat", presence.Heartbeat, "agent", early=True),
    _control("pong", presence.Pong, "hub", early=True),
    _control("intent_ack", intents.IntentAck, "agent"),
    _control("intent_progress", intents.IntentProgress, "agent"),
    _control("result_ack", intents.ResultAck, "hub"),
    _control("document_ack", documents.DocumentAck, "agent"),
    _control("tool_approval_request", approvals.ToolApprovalRequest, "agent"),
    _control("delegation_update", delegations.DelegationUpdate, "hub"),
    _control("channel_message_send", channels.ChannelMessageSend, "both"),
    _control("peer_intent", peers.PeerIntent, "agent"),
    _control("peer_result", peers.PeerResult, "hub"),
    _control("upload_request", files.UploadRequest, "agent"),
    _control("upload_grant", files.UploadGrant, "hub"),
    _control("token_request", tokens.TokenRequest, "agent"),
    _control("token_grant", tokens.TokenGrant, "hub"),
    _control("checkpoint_request", audit.CheckpointRequest, "agent"),
    _control("checkpoint_proof", audit.CheckpointProof, "hub"),
    _control("drain", session.Drain, "hub", early=True),
    _control("error", session.ErrorMessage, "both", early=True),
    _document("intent", intents.Intent, "hub"),
    _document("result", intents.Result, "agent"),
    _document("intent_cancel", intents.IntentCancel, "hub"),
    _document("policy_update", policies.PolicyUpdate, "hub"),
    _document("delegation", delegations.Delegation, "hub"),
    _document("tool_approval_response", approvals.ToolApprovalResponse, "hub"),
    _document("revocations", delegations.Revocations, "hub"),
    _document("quarantine", delegations.Quarantine, "hub"),
    _document("llm_config", policies.LlmConfig, "hub"),
    _document("skills_config", policies.SkillsConfig, "hub"),
    _document("key_rotation", enrolment.KeyRotation, "agent"),
)

MESSAGES: Final[Mapping[str, MessageKind]] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every message type of v1."""

_TYPES: Final[Mapping[type[BaseModel], str]] = MappingProxyType(
    {kind.model: kind.name for kind in _KINDS}
)


def type_of(payload: BaseModel) -> str:
    """Return the message type that `payload` is the payload of; KeyError for a part of one."""
    return _TYPES[type(payload)]


def parse_payload(type: str, payload: dict[str, Any]) -> BaseModel:
    """Return the frozen model of a payload that came off the wire.

    Raises:
        UnknownTypeError: no such type in v1.
        BadPayloadError: a field is missing, unknown (documents), of the wrong kind or out of its
            bound; the message names the field's path and never its value.
    """
    kind = MESSAGES.get(type)
    if kind is None:
        raise UnknownTypeError("no such message type")
    try:
        return kind.model.model_validate(payload, context=WIRE, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise BadPayloadError(_first_fault(exc)) from exc
    except (ValueError, TypeError, RecursionError) as exc:
        raise BadPayloadError("payload: cannot be read") from exc


def dump_payload(model: BaseModel) -> dict[str, Any]:
    """Return the wire object of a payload: camelCase, absent fields left out, nulls kept."""
    return model.model_dump(mode="json", by_alias=True)


def _first_fault(exc: ValidationError) -> str:
    fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in fault["loc"])
    # An unknown field's name is the sender's own text: cut, and without what breaks a log line.
    shown = path.encode("ascii", "backslashreplace").decode()[:_MAX_PATH_CHARS]
    return f"{shown or 'payload'}: {fault['msg']}"[:500]
