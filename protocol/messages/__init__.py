"""The payloads of every message, one file per conversation; `registry` lists them all."""

from protocol.messages.approvals import ToolApprovalRequest, ToolApprovalResponse
from protocol.messages.audit import CheckpointProof, CheckpointRequest
from protocol.messages.channels import Attachment, ChannelMessageSend
from protocol.messages.delegations import (
    Capability,
    Delegation,
    DelegationUpdate,
    Quarantine,
    Revocations,
)
from protocol.messages.documents import DocumentAck, DocumentAckItem
from protocol.messages.enrolment import (
    ActionDeclaration,
    Holds,
    Join,
    KeyRotation,
    Register,
    RegisterAck,
    RegistrationPending,
    RegistrationRejected,
)
from protocol.messages.files import UploadGrant, UploadRequest
from protocol.messages.intents import (
    Intent,
    IntentAck,
    IntentAckItem,
    IntentCancel,
    IntentProgress,
    IntentState,
    OutputFile,
    Result,
    ResultAck,
    ResultAckItem,
    ResultDecision,
    ResultError,
    ResultStatus,
)
from protocol.messages.peers import PeerIntent, PeerResult
from protocol.messages.policies import (
    ApprovalRule,
    LlmConfig,
    PolicyLimits,
    PolicyRule,
    PolicyUpdate,
    SkillsConfig,
)
from protocol.messages.presence import Heartbeat, Pong
from protocol.messages.registry import MESSAGES, MessageKind, dump_payload, parse_payload, type_of
from protocol.messages.session import Drain, ErrorMessage, Hello, HelloLimits
from protocol.messages.tokens import TokenGrant, TokenRequest

__all__ = [
    "MESSAGES",
    "ActionDeclaration",
    "ApprovalRule",
    "Attachment",
    "Capability",
    "ChannelMessageSend",
    "CheckpointProof",
    "CheckpointRequest",
    "Delegation",
    "DelegationUpdate",
    "DocumentAck",
    "DocumentAckItem",
    "Drain",
    "ErrorMessage",
    "Heartbeat",
    "Hello",
    "HelloLimits",
    "Holds",
    "Intent",
    "IntentAck",
    "IntentAckItem",
    "IntentCancel",
    "IntentProgress",
    "IntentState",
    "Join",
    "KeyRotation",
    "LlmConfig",
    "MessageKind",
    "OutputFile",
    "PeerIntent",
    "PeerResult",
    "PolicyLimits",
    "PolicyRule",
    "PolicyUpdate",
    "Pong",
    "Quarantine",
    "Register",
    "RegisterAck",
    "RegistrationPending",
    "RegistrationRejected",
    "Result",
    "ResultAck",
    "ResultAckItem",
    "ResultDecision",
    "ResultError",
    "ResultStatus",
    "Revocations",
    "SkillsConfig",
    "TokenGrant",
    "TokenRequest",
    "ToolApprovalRequest",
    "ToolApprovalResponse",
    "UploadGrant",
    "UploadRequest",
    "dump_payload",
    "parse_payload",
    "type_of",
]
