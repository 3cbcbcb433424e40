"""Frozen records: what goes into the database and what comes out; rows never leave this room.

All times are aware datetimes in UTC, whole milliseconds. Documents are `bytes`, exactly as signed.
"""

from storage.records.audit import (
    AuditFilter,
    AuditLeaf,
    Checkpoint,
    Cosignature,
    PersonalValue,
)
from storage.records.delivery import (
    Begin,
    FileRecord,
    IdempotencyOutcome,
    InProgress,
    Mismatch,
    OutboxRecord,
    Replay,
)
from storage.records.fleet import AgentRecord, JoinTokenRecord, RegistrationRecord
from storage.records.intents import (
    DocumentAckRecord,
    DocumentRecord,
    IntentRecord,
    ProgressRecord,
)
from storage.records.people import (
    ApiKeyRecord,
    MemberRecord,
    RealmRecord,
    SettingRecord,
    UserRecord,
)
from storage.records.permits import (
    AgentPolicyRecord,
    ApprovalDecisionRecord,
    ApprovalRecord,
    DelegationRecord,
    PolicyLayerRecord,
    PolicyRecord,
    RevocationsRecord,
)
from storage.records.processes import HubProcessRecord, LeaseRecord
from storage.records.secrets import (
    DataKeyRecord,
    SealedRow,
    TokenKeyRecord,
    WrappingKeyRecord,
)
from storage.records.sign_in import (
    CeremonyRecord,
    DeviceLoginRecord,
    IdentityRecord,
    InvitationRecord,
    PasskeyRecord,
    PersonKeyRecord,
    SessionRecord,
)
from storage.records.telling import DeliveryRecord, NotificationRecord, WebhookRecord

__all__ = [
    "AgentPolicyRecord",
    "AgentRecord",
    "ApiKeyRecord",
    "ApprovalDecisionRecord",
    "ApprovalRecord",
    "AuditFilter",
    "AuditLeaf",
    "Begin",
    "CeremonyRecord",
    "Checkpoint",
    "Cosignature",
    "DataKeyRecord",
    "DelegationRecord",
    "DeliveryRecord",
    "DeviceLoginRecord",
    "DocumentAckRecord",
    "DocumentRecord",
    "FileRecord",
    "HubProcessRecord",
    "IdempotencyOutcome",
    "IdentityRecord",
    "InProgress",
    "IntentRecord",
    "InvitationRecord",
    "JoinTokenRecord",
    "LeaseRecord",
    "MemberRecord",
    "Mismatch",
    "NotificationRecord",
    "OutboxRecord",
    "PasskeyRecord",
    "PersonKeyRecord",
    "PersonalValue",
    "PolicyLayerRecord",
    "PolicyRecord",
    "ProgressRecord",
    "RealmRecord",
    "RegistrationRecord",
    "Replay",
    "RevocationsRecord",
    "SealedRow",
    "SessionRecord",
    "SettingRecord",
    "TokenKeyRecord",
    "UserRecord",
    "WebhookRecord",
    "WrappingKeyRecord",
]
