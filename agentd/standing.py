"""What is in force on this agent: delegations, revocations, policy, quarantine, configuration.

Loaded from disk at start, changed only by documents that hold, disk first and memory after. Hands
out the `AuthorityView` that orders are judged by. Must not know connections or orders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentd.clock import Clock
from agentd.errors import StateError, StateUnavailableError
from agentd.faults import fault_point
from agentd.log import log
from agentd.state import StateDatabase
from agentd.state.documents import (
    add_seen,
    delete_delegation,
    forget_seen,
    load_delegations,
    load_standing,
    put_delegation,
    put_standing,
)
from agentd.state.facts import AGENT_NAME, CHECKPOINT, HUB, LOG_FORK, PROOF_OWED, get_fact, set_fact
from protocol.authority import AuthorityView, Ratchet
from protocol.delegation import Link, RevocationView, verify_link
from protocol.document_authority import authorize_document
from protocol.envelope import Envelope, parse_document
from protocol.errors import Error, NotAuthorisedError
from protocol.keys import PublicKey
from protocol.messages import (
    Delegation,
    LlmConfig,
    PolicyUpdate,
    Quarantine,
    Revocations,
    SkillsConfig,
)
from protocol.policy import Policy, compile_policy
from protocol.verification import Verified, verify_document_offline

MAX_DELEGATIONS: Final = 5_000
"""Held at once; the hub removes what it no longer needs, so more is a fault or an attack."""
Steering = PolicyUpdate | Revocations | Quarantine | LlmConfig | SkillsConfig


class Standing:
    """The documents in force. One instance per process; used on the event loop's thread only."""

    def __init__(
        self,
        state: StateDatabase,
        clock: Clock,
        *,
        agent_did: str,
        labels: Mapping[str, str],
        require_operator_signature: bool,
        actions: Mapping[str, Callable[[dict[str, Any]], None]],
        default_name: str,
    ) -> None:
        self._state = state
        self._clock = clock
        self._labels = dict(labels)
        self._require_operator = require_operator_signature
        self._actions = dict(actions)
        self.agent_did = agent_did
        self.root: PublicKey | None = None
        # The last hub spoken to: an order from before a restart is judged before the next hello.
        self.hub: PublicKey | None = None
        self.hub_delegation_id: str | None = None
        self.held: dict[str, Link] = {}
        self.revocations = RevocationView()
        self.policy: Policy | None = None
        self._policy_envelope: Envelope | None = None
        self.quarantine: Quarantine | None = None
        self.configuration: dict[str, LlmConfig | SkillsConfig] = {}
        self._ratchets: dict[str, Ratchet] = {}
        self.changes = 0
        """Counts every change to what orders are judged by."""
        self.agent_name = get_fact(state.reader, AGENT_NAME) or default_name
        self.log_fork = get_fact(state.reader, LOG_FORK)
        self._load()

    # --- what orders are judged by ---

    @property
    def quarantined(self) -> bool:
        """Whether the agent takes no orders: told so, or because the hub's record has forked."""
        return self.log_fork is not None or (self.quarantine is not None and self.quarantine.active)

    def view(self) -> AuthorityView:
        """Return everything that bears on authority now."""
        if self.root is None:
            raise StateError("no root is pinned")
        return AuthorityView(
            root=self.root,
            agent_did=self.agent_did,
            hub=self.hub,
            hub_delegation_id=self.hub_delegation_id,
            held=self.held,
            revocations=self.revocations,
            policy=self.policy,
            policy_expires=self._policy_envelope.expires if self._policy_envelope else None,
            agent_name=self.agent_name,
            agent_labels=self._labels,
            require_operator_signature=self._require_operator,
            quarantined=self.quarantined,
            actions=self._actions,
            ratchets=self._ratchets,
        )

    @property
    def policy_version(self) -> int | None:
        """Version of the policy in force."""
        return None if self.policy is None else self.policy.version

    def is_revoked(self, delegation: Envelope) -> bool:
        """Whether a delegation, or the key it names, counts for nothing."""
        return (
            delegation.id in self.revocations.delegations
            or delegation.payload.get("subject") in self.revocations.keys
        )

    # --- what changes it ---

    async def greet(self, hub: PublicKey, delegation: Envelope, unit: Callable[..., None]) -> None:
        """Hold the hub's own delegation from `hello`; `unit` is written with it."""

        def write(connection: sqlite3.Connection) -> None:
            unit(connection)
            put_delegation(connection, delegation)
            set_fact(connection, HUB, f"{hub.did} {delegation.id}")

        await self._state.write(write)
        self.changes += 1
        self.hub = hub
        self.hub_delegation_id = delegation.id
        self.held[delegation.id] = verify_link(delegation)

    async def name(self, agent_name: str) -> None:
        """Remember the name the hub gave."""
        if agent_name != get_fact(self._state.reader, AGENT_NAME):
            await self._state.write(lambda connection: set_fact(connection, AGENT_NAME, agent_name))
            self.agent_name = agent_name

    async def take(self, verified: Verified[Any]) -> None:
        """Put a steering document or a delegation in force, on disk and then here.

        Raises:
            DocumentRefusedError: it may not; nothing has changed.
            StateUnavailableError: it could not be written; nothing has changed.
        """
        envelope = verified.envelope
        payload = verified.payload
        authorize_document(verified, self.view(), now=self._clock.later())
        if isinstance(payload, Delegation):
            await self._hold(envelope)
            return
        number = payload.epoch if isinstance(payload, Revocations | Quarantine) else payload.version
        lifts = isinstance(payload, Quarantine) and not payload.active

        def write(connection: sqlite3.Connection) -> None:
            add_seen(connection, envelope, "accepted")
            put_standing(connection, envelope.type, number, envelope)
            if lifts:
                # Whoever lifts it has judged the fork: the record is taken as it now stands.
                set_fact(connection, LOG_FORK, None)
                if self.log_fork is not None:
                    set_fact(connection, CHECKPOINT, None)
                    set_fact(connection, PROOF_OWED, None)

        await self._state.write(write)
        fault_point("document_stored")
        if lifts:
            self.log_fork = None
        self.changes += 1
        self._put(envelope, payload, number)
        log("info", "in_force", type=envelope.type, number=number, id=envelope.id)

    async def remove(self, delegation_ids: tuple[str, ...]) -> None:
        """Hold these delegations no longer; the hub's own stays for the connection's life."""
        gone = [i for i in delegation_ids if i in self.held and i != self.hub_delegation_id]
        if not gone:
            return

        def write(connection: sqlite3.Connection) -> None:
            for delegation_id in gone:
                delete_delegation(connection, delegation_id)
                # Else the same bytes, given again, would be answered as a replay and not be held.
                forget_seen(connection, self.held[delegation_id].envelope)

        await self._state.write(write)
        self.changes += 1
        for delegation_id in gone:
            self.held.pop(delegation_id, None)

    async def enter_log_fork(self, reason: str) -> None:
        """Put the agent into quarantine by itself, until an authorised lift."""
        self.log_fork = reason  # at once: it holds even while the disk is full
        self.changes += 1
        log("error", "log_fork", reason=reason)
        await self._state.write(lambda connection: set_fact(connection, LOG_FORK, reason))

    # --- inside ---

    async def _hold(self, envelope: Envelope) -> None:
        known = self.held.get(envelope.id)
        if known is not None and known.digest != envelope.digest:
            # Orders name delegations by id: another's must not be put out of force by a namesake.
            raise NotAuthorisedError("another delegation is held under this id")
        if len(self.held) >= MAX_DELEGATIONS:
            now = self._clock.later()
            for link in [link for link in self.held.values() if link.expires <= now]:
                del self.held[link.id]
        if len(self.held) >= MAX_DELEGATIONS:
            raise StateUnavailableError(f"more than {MAX_DELEGATIONS} delegations")
        link = verify_link(envelope)

        def write(connection: sqlite3.Connection) -> None:
            add_seen(connection, envelope, "accepted")
            put_delegation(connection, envelope)

        await self._state.write(write)
        self.held[link.id] = link

    def _put(self, envelope: Envelope, payload: Steering, number: int) -> None:
        self._ratchets[envelope.type] = Ratchet(number, envelope.digest)
        match payload:
            case PolicyUpdate():
                self.policy = compile_policy(payload)
                self._policy_envelope = envelope
            case Revocations():
                self.revocations = RevocationView.of(payload)
            case Quarantine():
                self.quarantine = payload
            case _:
                self.configuration[envelope.type] = payload

    def _load(self) -> None:
        try:
            if (hub := get_fact(self._state.reader, HUB)) is not None:
                did, _, self.hub_delegation_id = hub.partition(" ")
                self.hub = PublicKey.parse_did(did)
            for wire in load_delegations(self._state.reader):
                link = verify_link(parse_document(wire))
                self.held[link.id] = link
            for document in load_standing(self._state.reader).values():
                envelope = parse_document(document.wire)
                verified = verify_document_offline(envelope, at=None)
                self._put(envelope, verified.payload, document.number)
        except (Error, sqlite3.Error) as exc:
            raise StateError(
                f"{self._state.path}: a document in force is damaged ({exc}); nothing will be done"
            ) from exc
