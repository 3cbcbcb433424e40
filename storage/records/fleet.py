"""Agents, registrations and join tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An enrolled agent. `state` is active, quarantined or revoked; `revision` makes its ETag."""

    did: str
    public_key: str
    name: str
    enrolled_at: datetime
    updated_at: datetime
    fingerprint: str = ""
    state: str = "active"
    realms: tuple[str, ...] = ("default",)
    version: str = ""
    capabilities: tuple[str, ...] = ()
    actions: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    llm: dict[str, Any] | None = None
    online: bool = False
    session: str | None = None
    hub: str | None = None
    online_changed_at: datetime | None = None
    last_seen_at: datetime | None = None
    heartbeat: dict[str, Any] | None = None
    quarantine: dict[str, Any] | None = None
    enrolled_by: str | None = None
    revision: int = 1

    @property
    def status(self) -> str:
        """One word for people: revoked, quarantined, online or offline."""
        if self.state != "active":
            return self.state
        return "online" if self.online else "offline"


@dataclass(frozen=True, slots=True)
class RegistrationRecord:
    """A wish to be enrolled. `state` is pending, approved, rejected or expired."""

    id: str
    public_key: str
    did: str
    name: str
    requested_at: datetime
    updated_at: datetime
    expires_at: datetime
    address: str = ""
    fingerprint: str = ""
    state: str = "pending"
    realm: str | None = None
    version: str = ""
    capabilities: tuple[str, ...] = ()
    actions: list[dict[str, Any]] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)
    llm: dict[str, Any] | None = None
    join_token_id: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class JoinTokenRecord:
    """A single-use token. `sealed_secret` is SHA-256 of its secret, encrypted by the caller."""

    id: str
    sealed_secret: bytes = field(repr=False)
    created_by: str
    created_at: datetime
    expires_at: datetime
    realm: str | None = None
    name_pattern: str = "*"
    auto_approve: bool = False
    capabilities: tuple[str, ...] | None = None
    used_at: datetime | None = None
    used_by: str | None = None
    revoked_at: datetime | None = None
