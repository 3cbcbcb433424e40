"""Users, realms, members, API keys and settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A person, or a service account (`kind` is `service`), which never signs in.

    `roles` hold everywhere; roles in a realm are its members'.
    """

    id: str
    name: str
    created_at: datetime
    updated_at: datetime
    email: str | None = None
    roles: tuple[str, ...] = ()
    state: str = "active"
    password_hash: str | None = field(default=None, repr=False)
    operator_did: str | None = None
    revision: int = 1
    kind: str = "person"
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class RealmRecord:
    """A realm; its id is its name."""

    id: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    created_by: str | None = None
    revision: int = 1
    audiences: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A user's role in a realm."""

    realm: str
    user_id: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key by its hash. A key without `user_id` belongs to a machine.

    `issuer_id` is the user who made it: it never allows more than they may, and dies with them.
    """

    id: str
    name: str
    hash: str = field(repr=False)
    created_by: str
    created_at: datetime
    prefix: str = ""
    user_id: str | None = None
    roles: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    realm: str | None = None
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    issuer_id: str | None = None


@dataclass(frozen=True, slots=True)
class SettingRecord:
    """One setting; what is secret in `value` is encrypted by the caller."""

    key: str
    value: Any
    updated_at: datetime
    updated_by: str | None = None
    revision: int = 1
