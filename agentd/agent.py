"""The agent put together, and the table from frame to part. Wiring only: no part lives here."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sqlite3
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from agentd.approvals import Approvals
from agentd.clock import Clock, from_ms, to_ms
from agentd.connection import Connection
from agentd.dispatch import Dispatch
from agentd.documents_room import DocumentsRoom
from agentd.errors import StateUnavailableError
from agentd.executors.base import Executor, parse_params
from agentd.executors.registry import load_executors
from agentd.executors.settings import parse_executor_settings
from agentd.faults import fault_point
from agentd.identity import Identity, load_encryption_key, pin_root, replace_root
from agentd.intake import Intake
from agentd.log import log
from agentd.outbox import Outbox
from agentd.outlet import Outlet
from agentd.peers import Peers
from agentd.record_watch import RecordWatch
from agentd.registration import make_registration
from agentd.rotation import Rotation
from agentd.sealed import Sealed
from agentd.settings import AgentSettings
from agentd.standing import Standing
from agentd.state import StateDatabase
from agentd.state.documents import forget_expired
from agentd.state.facts import CLOCK, add_session, get_fact, raise_clock, session_seen
from agentd.state.orders import count_orders, held_intents
from agentd.state.usage import forget_usage
from agentd.steering import Steering
from agentd.tokens import Tokens
from agentd.uploads import Uploads
from agentd.usage import UsageLedger
from agentd.verifier import Verifier
from agentd.workspace import Workspace
from protocol.envelope import Envelope
from protocol.errors import Error, LogForkError
from protocol.join_tokens import JoinToken
from protocol.keys import PublicKey, fingerprint
from protocol.limits_window import nearest_limit
from protocol.messages import (
    ChannelMessageSend,
    CheckpointProof,
    DelegationUpdate,
    ErrorMessage,
    Heartbeat,
    Holds,
    PeerResult,
    Pong,
    Register,
    RegisterAck,
    RegistrationPending,
    ResultAck,
    TokenGrant,
    UploadGrant,
)
from protocol.messages.enrolment import MAX_HELD_DELEGATIONS, MAX_HELD_INTENTS
from protocol.sealing import certify_encryption_key
from protocol.session import AgentSession, HelloAccepted

_HOUSEKEEPING_SECONDS: Final = 30.0
_UPKEEP_ROUNDS: Final = 20
Announce = Callable[..., None]


class Agent:
    """Everything one agent is. An `agentd.connection.Owner`."""

    def __init__(
        self,
        settings: AgentSettings,
        identity: Identity,
        state: StateDatabase,
        *,
        root: PublicKey | None,
        hub_url: str,
        join: JoinToken | None,
        announce: Announce,
        executors: Mapping[str, Executor] | None = None,
    ) -> None:
        self._settings = settings
        self._state = state
        self._join = join
        self._announce = announce
        self._started = time.monotonic()
        highest = get_fact(state.reader, CLOCK)
        self.clock = Clock(from_ms(int(highest)) if highest is not None else None)
        executor_settings = parse_executor_settings(settings.executors, data_dir=settings.data_dir)
        self._executors = load_executors(executor_settings) if executors is None else executors
        self.outlet = Outlet()
        self.rotation = Rotation(settings.data_dir, identity, state, self.outlet, self.clock)
        self.standing = Standing(
            state,
            self.clock,
            agent_did=identity.did,
            labels=settings.labels,
            require_operator_signature=settings.require_operator_signature,
            actions={name: _params_check(item) for name, item in self._executors.items()},
            default_name=settings.name,
        )
        self.standing.root = root
        self.ledger = UsageLedger(state.reader, self.clock.later())
        self.verifier = Verifier(
            state,
            self.standing,
            self.ledger,
            self.clock,
            DocumentsRoom(state.reader, settings.max_documents_per_signer),
        )
        self.outbox = Outbox(
            state,
            self.outlet,
            self.standing,
            self.ledger,
            self.clock,
            identity.key,
            resend_seconds=settings.result_resend_seconds,
        )
        self.approvals = Approvals(
            state,
            self.outlet,
            self.standing,
            self.clock,
            ask_again_seconds=settings.result_resend_seconds,
        )
        self.uploads = Uploads(
            self.outlet,
            hub_url=hub_url,
            insecure=settings.insecure,
            upload_seconds=settings.upload_seconds,
        )
        self.tokens = Tokens(self.outlet)
        self.peers = Peers(
            state=state,
            outlet=self.outlet,
            outbox=self.outbox,
            standing=self.standing,
            verifier=self.verifier,
            clock=self.clock,
            names=settings.peers,
            resend_seconds=settings.result_resend_seconds,
        )
        self.dispatch = Dispatch(
            self._executors,
            state=state,
            verifier=self.verifier,
            approvals=self.approvals,
            ledger=self.ledger,
            outbox=self.outbox,
            outlet=self.outlet,
            uploads=self.uploads,
            peers=self.peers,
            tokens=self.tokens,
            clock=self.clock,
            workspace=Workspace(settings.workspace_dir, hidden=(settings.data_dir,)),
            make_sandbox=executor_settings.make_sandbox,
            max_running=settings.max_running,
        )
        self.sealed = Sealed(load_encryption_key(settings.data_dir))
        self.intake = Intake(
            state=state,
            verifier=self.verifier,
            dispatch=self.dispatch,
            ledger=self.ledger,
            outbox=self.outbox,
            outlet=self.outlet,
            clock=self.clock,
            sealed=self.sealed,
            max_open_orders=settings.max_open_orders,
        )
        self.watch = RecordWatch(
            state,
            self.outlet,
            self.clock,
            proof_seconds=settings.checkpoint_proof_seconds,
            on_fork=self._on_fork,
        )
        self.steering = Steering(
            standing=self.standing,
            verifier=self.verifier,
            approvals=self.approvals,
            intake=self.intake,
            dispatch=self.dispatch,
            watch=self.watch,
            outlet=self.outlet,
            clock=self.clock,
        )
        self._link_tasks: list[asyncio.Task[None]] = []
        self._handlers: dict[type[BaseModel], Callable[[Envelope, Any], Awaitable[None] | None]] = {
            Pong: lambda _, payload: self.watch.take(payload.checkpoint),
            ResultAck: lambda _, payload: self.outbox.take_acks(payload),
            DelegationUpdate: lambda _, payload: self._on_delegations(payload),
            CheckpointProof: lambda _, payload: self.watch.take_proof(payload),
            PeerResult: lambda _, payload: self.peers.take_result(payload),
            UploadGrant: lambda _, payload: self.uploads.take_grant(payload),
            TokenGrant: lambda _, payload: self.tokens.take_grant(payload),
            ErrorMessage: lambda _, payload: self._on_error(payload),
            ChannelMessageSend: lambda _, payload: None,
        }

    # --- life ---

    async def restore(self) -> None:
        """Take up what the last process left."""
        await self.intake.restore()

    async def keep_house(self) -> None:
        """Keep the highest clock on disk, and forget what has expired; until cancelled."""
        rounds = 0
        while True:
            now_ms = to_ms(self.clock.later())
            tidy = rounds % _UPKEEP_ROUNDS == 0
            rounds += 1

            def write(
                connection: sqlite3.Connection, now_ms: int = now_ms, tidy: bool = tidy
            ) -> None:
                raise_clock(connection, now_ms)
                if tidy:
                    forget_expired(connection, now_ms)
                    forget_usage(connection, now_ms)

            try:
                await self._state.write(write)
            except StateUnavailableError as exc:
                log("error", "housekeeping_failed", error=exc.message)
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)

    def report(self) -> dict[str, object]:
        """Return what `/healthz` says."""
        return {
            "ok": True,
            "online": self.outlet.online,
            "agentDid": self.standing.agent_did,
            "name": self.standing.agent_name,
            "policyVersion": self.standing.policy_version,
            "quarantined": self.standing.quarantined,
            "running": len(self.ledger.running),
            "orders": count_orders(self._state.reader),
            "uptimeSeconds": int(time.monotonic() - self._started),
        }

    # --- what a connection asks (agentd.connection.Owner) ---

    def new_session(self) -> AgentSession:
        """Return a session machine with the key and the pin in force."""
        return AgentSession(
            agent_key=self.rotation.key_to_use(),
            root=self.standing.root,
            allow_unknown_root=self._settings.trust_first_hub,
            seen_sessions=lambda session: session_seen(self._state.reader, session),
            revoked=self.standing.is_revoked,
        )

    async def on_hello(self, event: HelloAccepted) -> Register:
        """Pin the root where it was unknown, remember the session, and say who we are."""
        if self.standing.root is None:
            pin_root(self._settings.data_dir, event.root)
            self.standing.root = event.root
            log("warning", "ROOT_TRUSTED_ON_FIRST_USE", root=event.root.did)
            self._announce(
                "connecting",
                trustedFirstHub=True,
                root=event.root.did,
                fingerprint=self.fingerprint,
            )
        elif self.standing.root != event.root:
            # The session has proved that the pinned root named this one. The pin moves first.
            former = self.standing.root.did
            replace_root(self._settings.data_dir, event.root)
            fault_point("rotation_root_pinned")
            self.standing.root = event.root
            log("warning", "root_replaced", root=event.root.did, before=former)
            self._announce(
                "connecting", root=event.root.did, rootBefore=former, fingerprint=self.fingerprint
            )
        session = event.envelope.session or ""
        now_ms = to_ms(self.clock.later())
        await self.standing.greet(
            event.hub, event.delegation, lambda c: add_session(c, session, now_ms)
        )
        # An order on its way to disk must be among those held: the hub may expire what is not.
        self._state.settle()
        return make_registration(
            event.payload.challenge,
            name=self._settings.name,
            labels=self._settings.labels,
            executors=self._executors,
            holds=Holds(
                policy_version=self.standing.policy_version,
                revocation_epoch=self.standing.revocations.epoch or None,
                delegations=tuple(list(self.standing.held)[:MAX_HELD_DELEGATIONS]),
                checkpoint=self.watch.text,
                intents=tuple(held_intents(self._state.reader, MAX_HELD_INTENTS)),
            ),
            encryption=certify_encryption_key(self.sealed.key.public, self.rotation.key_to_use()),
            join=self._join,
        )

    def on_pending(self, connection: Connection, payload: RegistrationPending) -> None:
        """An admin must compare the fingerprint; but not of a key that the hub was never told."""
        if self.rotation.was_taken_for_a_stranger():
            connection.close(1000, "back with the key in force")
            return
        if payload.fingerprint != self.fingerprint:
            log("error", "fingerprint_differs", hub_says=payload.fingerprint)
        self._announce(
            "pending", registrationId=payload.registration_id, fingerprint=self.fingerprint
        )

    async def on_online(self, connection: Connection, payload: RegisterAck) -> None:
        """Take what the hub sends along, then send what waits."""
        if (key := self.rotation.was_registered()) is not None:
            self.outbox.key = key
            self.standing.agent_did = key.public_key.did
        self._join = None
        self.outlet.link = connection
        self._say_fork()
        await self.standing.name(payload.name)
        await self.steering.take_embedded(payload.delegations)
        await self.steering.take_embedded([payload.revocations])
        await self.steering.take_embedded([payload.policy])
        await self.steering.take_log_delegation(payload.log)
        await self.watch.ask_again()
        await self.watch.take(payload.checkpoint)
        await self.rotation.send(connection.hub)
        self._link_tasks.append(asyncio.create_task(self.outbox.keep_sending(), name="outbox"))
        self._link_tasks.append(asyncio.create_task(self.peers.keep_asking(), name="peers"))
        self._link_tasks.append(asyncio.create_task(self.approvals.keep_asking(), name="approvals"))
        self._announce(
            "online",
            name=payload.name,
            agentDid=self.standing.agent_did,
            fingerprint=self.fingerprint,
        )

    async def on_control(self, envelope: Envelope, payload: BaseModel) -> None:
        """Hand a control frame to the part that wants it."""
        handler = self._handlers.get(type(payload))
        if handler is None:
            log("debug", "frame_ignored", type=envelope.type)
            return
        try:
            outcome = handler(envelope, payload)
            if outcome is not None:
                await outcome
        except StateUnavailableError as exc:
            log("error", "frame_not_stored", type=envelope.type, error=exc.message)
        except Error as exc:
            self.outlet.send_error(exc, envelope.id)

    async def on_document(self, envelope: Envelope) -> None:
        """Hand a document on: orders in one way, everything that steers in another."""
        if envelope.type == "intent":
            self.intake.take(envelope)
        else:
            await self.steering.take(envelope)

    def on_offline(self) -> None:
        """The connection is over; what waits for it waits for the next."""
        self.outlet.link = None
        for task in self._link_tasks:
            task.cancel()
        self._link_tasks.clear()
        self.outbox.forget_link()
        self.watch.forget_link()

    def heartbeat(self) -> Heartbeat:
        """Return a sign of life, with what was used of the windows that limits are judged by."""
        used = self.ledger.measure(self.clock.later())
        policy = self.standing.policy
        nearest = None if policy is None else nearest_limit(policy.limits, used)
        return Heartbeat(
            uptime_seconds=int(time.monotonic() - self._started),
            load=os.getloadavg()[0],
            memory_bytes=_memory_bytes(),
            running=tuple(self.ledger.running[:1_000]),
            token_usage={
                "ordersThisHour": used.orders_this_hour,
                "ordersToday": used.orders_today,
                "tokensToday": used.tokens_today,
                "centsToday": used.cents_today,
                **({} if nearest is None else {"nearest": asdict(nearest)}),
            },
        )

    @property
    def fingerprint(self) -> str | None:
        """What an admin compares; None until the root is known."""
        root = self.standing.root
        if root is None:
            return None
        return fingerprint(root, self.rotation.key_in_use.public_key)

    # --- inside ---

    async def _on_delegations(self, payload: DelegationUpdate) -> None:
        await self.steering.take_embedded(payload.added)
        await self.standing.remove(payload.removed)

    async def _on_error(self, payload: ErrorMessage) -> None:
        reply_to = payload.in_reply_to or ""
        log("warning", "hub_error", code=payload.code, detail=payload.message, reply_to=reply_to)
        if self.rotation.take_error(reply_to) or self.outbox.take_error(reply_to, payload.code):
            return
        if self.tokens.take_error(reply_to, payload.code):
            return
        if not await self.peers.take_error(reply_to, payload.code, payload.message):
            self.uploads.take_error(reply_to, payload.code)

    async def _on_fork(self, reason: str) -> None:
        with contextlib.suppress(StateUnavailableError):
            await self.standing.enter_log_fork(reason)
        self.steering.enforce_quarantine()
        self._say_fork()
        self._announce("online" if self.outlet.online else "offline", quarantined="log_fork")

    def _say_fork(self) -> None:
        """Tell the hub why no work is taken: an honest one tells its admins, who can lift it."""
        if (reason := self.standing.log_fork) is not None:
            self.outlet.send_error(LogForkError(reason), None)


def _params_check(executor: Executor) -> Callable[[dict[str, Any]], None]:
    def check(params: dict[str, Any]) -> None:
        parse_params(executor, params)

    return check


def _memory_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
