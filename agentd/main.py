"""One agent process: opens what it needs, runs until told to stop, and leaves things in order.

`run_agent` is the whole of it; the command line only gathers settings and prints.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agentd.agent import Agent
from agentd.clock import to_ms
from agentd.connection import Connection, End, Outcome
from agentd.errors import AlreadyRunningError, IdentityError, SettingsError, StateUnavailableError
from agentd.faults import check_armed
from agentd.health import HealthServer
from agentd.identity import (
    Identity,
    InstanceLock,
    ensure_data_dir,
    has_key,
    load_former_roots,
    load_identity,
    pin_root,
)
from agentd.log import configure_log, log
from agentd.settings import AgentSettings, parse_hub_addresses
from agentd.state import StateDatabase
from agentd.state.facts import raise_clock
from agentd.supervisor import keep_connected
from protocol.join_tokens import JoinToken, parse_join_token
from protocol.keys import PublicKey

HEALTH_FILE: Final = "health.port"
Emit = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to, whom to believe there, and with what introduction."""

    hub_urls: tuple[str, ...]
    root: PublicKey | None
    join: JoinToken | None


def decide_destination(settings: AgentSettings, pinned: PublicKey | None) -> Destination:
    """Return the hub's URLs and the root to believe, from settings and the pin.

    Raises:
        SettingsError: no hub is named, or nothing says whom to believe.
        HubAddressError: no usable address.
        JoinTokenError: not a join token.
    """
    join = None
    if settings.join is not None and settings.join.get_secret_value().strip():
        join = parse_join_token(settings.join.get_secret_value())
    address = settings.hub or (join.hub if join else "")
    if not address:
        raise SettingsError("no hub: pass --hub URL or --join TOKEN, or `writ agent join` first")
    named = PublicKey.parse_did(settings.root) if settings.root else join.root if join else None
    if join is not None and named != join.root:
        raise SettingsError("--root and the join token name different roots")
    root = pinned or named
    former = load_former_roots(settings.data_dir) if pinned is not None else []
    if named is not None and root != named and named.did not in former:
        raise IdentityError(f"another root is pinned: {root.did if root else None}")
    if root is None and not settings.trust_first_hub:
        raise SettingsError(
            "whom to believe? pass --root DID or --join TOKEN (or --trust-first-hub)"
        )
    return Destination(parse_hub_addresses(address, insecure=settings.insecure), root, join)


def open_identity(settings: AgentSettings) -> tuple[Identity, StateDatabase]:
    """Return identity and state of the data folder; both are made on the first start.

    Raises:
        IdentityError, StateError, StateUnavailableError: they cannot be trusted as they lie.
    """
    ensure_data_dir(settings.data_dir)
    # The state is made before the key: a key without a state means a state was lost.
    create = settings.accept_empty_state or not has_key(settings.data_dir)
    state = StateDatabase.open(settings.data_dir, create=create)
    try:
        return load_identity(settings.data_dir, passphrase=key_passphrase(settings)), state
    except BaseException:
        state.close()
        raise


def key_passphrase(settings: AgentSettings) -> bytes | None:
    """Return the passphrase of the key file, or None."""
    secret = settings.key_passphrase
    return None if secret is None else secret.get_secret_value().encode()


async def run_agent(
    settings: AgentSettings, emit: Emit, *, until: Callable[[str, Agent], bool] | None = None
) -> None:
    """Run one agent until SIGTERM or SIGINT, or until `until` says so.

    Args:
        settings: of this agent.
        emit: called with what a script reads: who the agent is, then each change of state.
        until: called with each new state; true ends the run. For `join` and `rotate-key`.

    Raises:
        AgentError, JoinTokenError: it could not start.
    """
    check_armed()
    configure_log(level=settings.log_level, form=settings.log_format)
    ensure_data_dir(settings.data_dir)
    with InstanceLock(settings.data_dir):
        identity, state = open_identity(settings)
        try:
            destination = decide_destination(settings, identity.root)
            if identity.root is None and destination.root is not None:
                pin_root(settings.data_dir, destination.root)
                identity = Identity(identity.key, identity.next_key, destination.root)
            await _run(settings, identity, state, destination, emit, until)
        finally:
            state.close()


async def _run(
    settings: AgentSettings,
    identity: Identity,
    state: StateDatabase,
    destination: Destination,
    emit: Emit,
    until: Callable[[str, Agent], bool] | None,
) -> None:
    stopping = asyncio.Event()

    def announce(condition: str, **facts: object) -> None:
        emit({"state": condition} | {k: v for k, v in facts.items() if v is not None})
        if until is not None and until(condition, agent):
            stopping.set()

    agent = Agent(
        settings,
        identity,
        state,
        root=destination.root,
        hub_url=destination.hub_urls[0],
        join=destination.join,
        announce=announce,
    )
    emit({"agentDid": identity.did, "fingerprint": agent.fingerprint})
    await agent.restore()
    runner = _Runner(settings, agent, destination.hub_urls, stopping)
    health = HealthServer(agent.report)
    await _start_health(health, settings)
    house = asyncio.create_task(agent.keep_house(), name="house")
    connected = asyncio.create_task(
        keep_connected(runner.attempt, settings=settings, announce=announce, stopping=stopping),
        name="supervisor",
    )
    with runner.signals():
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({connected, waiting}, return_when=asyncio.FIRST_COMPLETED)
        log("info", "stopping")
        stopping.set()
        await agent.dispatch.close(settings.shutdown_grace_seconds)
        await runner.hang_up()
        for task in (house, connected, waiting):
            task.cancel()
        ended = await asyncio.gather(house, connected, return_exceptions=True)
    await health.stop()
    (settings.data_dir / HEALTH_FILE).unlink(missing_ok=True)
    with contextlib.suppress(StateUnavailableError):
        await state.write(lambda c: raise_clock(c, to_ms(agent.clock.later())))
    for outcome in ended:
        if isinstance(outcome, Exception):
            raise outcome


class _Runner:
    """The connection of the moment, and what signals do to it.

    Of several addresses one after the other is tried, beginning anywhere: a fleet spreads over
    them, and whoever loses one hub process goes on to the next.
    """

    def __init__(
        self,
        settings: AgentSettings,
        agent: Agent,
        hub_urls: tuple[str, ...],
        stopping: asyncio.Event,
    ) -> None:
        self._settings = settings
        self._agent = agent
        self._hub_urls = hub_urls
        self._turn = random.randrange(len(hub_urls))  # noqa: S311
        self._stopping = stopping
        self._connection: Connection | None = None

    async def attempt(self) -> Outcome:
        """Make one attempt at being connected."""
        hub_url = self._hub_urls[self._turn % len(self._hub_urls)]
        self._turn += 1
        self._agent.uploads.dial(hub_url)
        self._connection = Connection(
            hub_url, settings=self._settings, clock=self._agent.clock, owner=self._agent
        )
        try:
            outcome = await self._connection.run()
        finally:
            self._connection = None
        if outcome.end in (End.REFUSED, End.REJECTED):
            self._agent.rotation.was_turned_away()
        return outcome

    async def hang_up(self) -> None:
        """Close the connection after what is queued has been sent; bounded."""
        connection = self._connection
        if connection is None:
            return
        connection.close(1000, "the agent stops")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                while self._connection is connection:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """Stop on SIGTERM and SIGINT; come back with the next key on SIGHUP."""
        loop = asyncio.get_running_loop()
        handlers: dict[signal.Signals, Callable[[], None]] = {
            signal.SIGTERM: self._stopping.set,
            signal.SIGINT: self._stopping.set,
            signal.SIGHUP: self._come_back,
        }
        installed = []
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
                loop.add_signal_handler(number, handler)  # only on the main thread
                installed.append(number)
        try:
            yield
        finally:
            for number in installed:
                loop.remove_signal_handler(number)

    def _come_back(self) -> None:
        self._agent.rotation.look_for_next(key_passphrase(self._settings))
        if self._connection is not None:
            self._connection.close(1000, "back in a moment")


async def _start_health(health: HealthServer, settings: AgentSettings) -> None:
    if settings.health_port < 0:
        return
    try:
        await health.start(settings.health_port)
    except OSError as exc:
        log("error", "no_health_endpoint", port=settings.health_port, error=str(exc))
        return
    (settings.data_dir / HEALTH_FILE).write_text(f"{health.port}\n", "ascii")


def read_health_port(data_dir: Path) -> int | None:
    """Return the port a running agent serves `/healthz` on, or None."""
    try:
        return int((data_dir / HEALTH_FILE).read_text("ascii"))
    except (OSError, ValueError):
        return None


def read_running_pid(data_dir: Path) -> int | None:
    """Return the process that holds the data folder, or None when nobody does."""
    lock = InstanceLock(data_dir)
    try:
        lock.acquire()
    except AlreadyRunningError:
        return _pid_in(data_dir)
    except OSError:
        return None
    lock.release()
    return None


def _pid_in(data_dir: Path) -> int | None:
    try:
        pid = int((data_dir / "lock").read_text("ascii"))
        os.kill(pid, 0)
        return pid
    except (OSError, ValueError):
        return None
