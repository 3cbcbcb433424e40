"""Sessions, invitations, device logins, passkeys, identities and half-done sign-ins."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """Somebody signed in. `hash` is the hex SHA-256 of what they hold."""

    id: str
    hash: str = field(repr=False)
    user_id: str
    method: str
    created_at: datetime
    authenticated_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    address: str = ""
    client: str = ""
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class InvitationRecord:
    """An invitation by link; used once. Without `realm` its role is held everywhere."""

    id: str
    hash: str = field(repr=False)
    role: str
    created_by: str
    issuer_id: str
    created_at: datetime
    expires_at: datetime
    email: str | None = None
    realm: str | None = None
    used_at: datetime | None = None
    used_by: str | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeviceLoginRecord:
    """A machine that waits for its person. `state` is pending, approved, denied or used."""

    id: str
    device_hash: str = field(repr=False)
    user_hash: str = field(repr=False)
    client: str
    address: str
    created_at: datetime
    expires_at: datetime
    state: str = "pending"
    user_id: str | None = None
    polled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PasskeyRecord:
    """A WebAuthn credential: its id in base64url, its COSE public key, its counter."""

    id: str
    credential_id: str
    user_id: str
    name: str
    public_key: bytes
    created_at: datetime
    sign_count: int = 0
    backed_up: bool = False
    transports: tuple[str, ...] = ()
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PersonKeyRecord:
    """A key that a person signs with, by its DID."""

    id: str
    did: str
    user_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IdentityRecord:
    """Who a user is at an OpenID provider."""

    issuer: str
    subject: str
    user_id: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CeremonyRecord:
    """A sign-in that has begun; what is needed to end it."""

    hash: str = field(repr=False)
    kind: str
    data: Any = field(repr=False)
    created_at: datetime
    expires_at: datetime
