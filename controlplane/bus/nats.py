"""The bus over NATS: plain messages for what is of use now, a JetStream stream for what is kept.

Everything is sealed as the hub's own secrets are: whoever can listen on the NATS server learns how
much is said and when, and can forge nothing. A server without JetStream still carries everything;
only who was away then hears nothing of it. Knows nothing of what is said.

`nats-py` (extra `nats`) is imported by this module alone, and this module only for `--bus-url`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import nats.errors
import nats.js.errors
import orjson
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)

from controlplane import clock
from controlplane.bus.base import (
    EVENTS,
    HINTS,
    KEPT_BYTES,
    KEPT_SECONDS,
    Answerer,
    BusUnavailableError,
    Listener,
    Message,
    NoAnswerError,
    Sealer,
    tell,
)
from controlplane.errors import SecretError
from controlplane.telemetry import BusMetrics

log = structlog.get_logger(__name__)

PACKET_BYTES: Final = 256 * 1024
"""What goes into one NATS message, unless a single message is longer."""
MAX_MESSAGE_BYTES: Final = 768 * 1024
"""Sealed it must stay below the megabyte that servers take."""
MAX_WAITING_MESSAGES: Final = 20_000
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
MAX_HELD_PACKETS: Final = 2_000
"""What is said while the kept events are read waits behind them."""
MAX_QUESTIONS: Final = 100
"""Questions of others that are answered at a time."""
CONNECT_SECONDS: Final = 2
LONGEST_PAUSE_SECONDS: Final = 2.0
KEPT_TRIES: Final = 3
"""A server that has just started may not have found its streams yet."""
CHECK_SECONDS: Final = 2.0
CLOSE_SECONDS: Final = 2.0
OVERLAP: Final = timedelta(seconds=30)
"""How far before the loss of the link kept events are heard again: clocks differ."""
_PING_SECONDS: Final = 5
_TOPICS: Final = (HINTS, EVENTS)


@dataclass(slots=True)
class _Waiting:
    """Messages of one topic on their way out."""

    messages: deque[bytes] = field(default_factory=deque)
    bytes: int = 0


class NatsBus:
    """A member's place; see `controlplane.bus.base.Bus`.

    Args:
        url: one or several `nats://[user:password@]host:port` or `tls://`, with commas.
        member: this process's name on the bus.
        hub: DID of the hub whose processes these are; other hubs may use the same server.
        secrets: seals what is said.
        metrics: what is counted.
        credentials: file with a NATS user's JWT and seed.
    """

    def __init__(
        self,
        url: str,
        *,
        member: str,
        hub: str,
        secrets: Sealer,
        metrics: BusMetrics,
        credentials: Path | None = None,
    ) -> None:
        self._servers = [one.strip() for one in url.split(",") if one.strip()]
        self._member = member
        self._secrets = secrets
        self._metrics = metrics
        self._credentials = credentials
        name = hashlib.sha256(hub.encode()).hexdigest()[:16]
        self._prefix = f"writ.{name}"
        self._stream = f"WRIT_{name}_EVENTS"
        self._waiting = {topic: _Waiting() for topic in _TOPICS}
        self._unsaid: list[tuple[str, bytes]] = []
        self._wanted = asyncio.Event()
        self._listeners: dict[str, list[Listener]] = {topic: [] for topic in _TOPICS}
        self._answerer: Answerer | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._client: Client | None = None
        self._held: list[bytes] | None = None
        self._lost_at: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def is_alone(self) -> bool:
        """Never: others may come at any time."""
        return False

    @property
    def is_linked(self) -> bool:
        """Whether the connection to the server stands."""
        return self._client is not None and self._client.is_connected

    def listen(self, topic: str, listener: Listener) -> None:
        """Remember who listens."""
        self._listeners[topic].append(listener)

    def answer(self, answerer: Answerer) -> None:
        """Remember who answers."""
        self._answerer = answerer

    async def start(self) -> None:
        """Begin to connect, and never give up."""
        self._task = asyncio.create_task(self._keep_linked(), name="bus")

    async def close(self) -> None:
        """Say what waits and disconnect."""
        if self.is_linked:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._say_all(self._linked())
                    await self._linked().flush(timeout=1)
        self._closed = True
        tasks = {task for task in (self._task, *self._questions) if task is not None}
        # The library swallows a cancellation that meets an answer, so one may not be enough.
        for _ in range(5):
            for task in tasks:
                task.cancel()
            if not tasks or (await asyncio.wait(tasks, timeout=CLOSE_SECONDS / 4))[1] == set():
                break

    async def check(self) -> None:
        """Return when the server answers."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._linked().flush(timeout=1)
        except (nats.errors.Error, TimeoutError, OSError) as exc:
            raise BusUnavailableError("the bus does not answer") from exc

    # --- saying ------------------------------------------------------------------------------

    def publish(self, topic: str, message: Message) -> None:
        """Queue `message`; over the bound it is dropped, and counted."""
        packed = orjson.dumps(message, default=str)
        waiting = self._waiting[topic]
        if (
            len(packed) > MAX_MESSAGE_BYTES
            or len(waiting.messages) >= MAX_WAITING_MESSAGES
            or waiting.bytes + len(packed) > MAX_WAITING_BYTES
        ):
            self._metrics.dropped.labels(topic).inc()
            return
        waiting.messages.append(packed)
        waiting.bytes += len(packed)
        self._wanted.set()

    async def ask(self, member: str, question: Message, *, timeout_seconds: float) -> Message:
        """Ask one member over NATS request and reply."""
        place = f"{self._prefix}.ask.{member}"
        sealed = self._secrets.seal(orjson.dumps(question), place=place)
        try:
            reply = await self._linked().request(place, sealed, timeout=timeout_seconds)
            answer: Message = orjson.loads(self._secrets.open(reply.data, place=place + ".answer"))
            return answer
        except (nats.errors.NoRespondersError, nats.errors.TimeoutError, TimeoutError) as exc:
            raise NoAnswerError("no answer") from exc
        except (nats.errors.Error, OSError) as exc:
            raise BusUnavailableError("the bus was lost meanwhile") from exc
        except (SecretError, ValueError) as exc:
            raise NoAnswerError("an answer that is none") from exc

    async def _say_all(self, client: Client) -> None:
        for topic, waiting in self._waiting.items():
            while waiting.messages:
                self._unsaid.append((f"{self._prefix}.{topic}", self._pack(topic, waiting)))
        for subject, packet in self._unsaid:
            await client.publish(subject, packet)
        # Said is what the server has; so too the bound of what waits stands before the socket.
        await client.flush(timeout=_PING_SECONDS)
        self._unsaid.clear()

    def _pack(self, topic: str, waiting: _Waiting) -> bytes:
        group = [waiting.messages.popleft()]
        size = len(group[0])
        while waiting.messages and size + len(waiting.messages[0]) < PACKET_BYTES:
            group.append(waiting.messages.popleft())
            size += len(group[-1])
        waiting.bytes -= size
        self._metrics.sent.labels(topic).inc(len(group))
        head = orjson.dumps(self._member)
        return self._secrets.seal(
            b'{"from":' + head + b',"said":[' + b",".join(group) + b"]}",
            place=f"{self._prefix}.{topic}",
        )

    # --- being linked ------------------------------------------------------------------------

    def _linked(self) -> Client:
        if self._client is None or not self._client.is_connected:
            raise BusUnavailableError("the bus is away")
        return self._client

    async def _keep_linked(self) -> None:
        failures = 0
        while not self._closed:
            client, gone = Client(), asyncio.Event()
            try:
                await self._link(client, gone)
                failures = 0
                await self._serve(client, gone)
            except asyncio.CancelledError:
                raise
            except Exception as exc:
                if failures == 0:
                    log.warning("bus_away", error=type(exc).__name__)
            finally:
                if self._client is client:
                    self._lost_at = time.monotonic()
                self._client = None
                self._metrics.linked.set(0)
                with contextlib.suppress(Exception):
                    await client.close()
            pause = min(LONGEST_PAUSE_SECONDS, 0.1 * 2**failures)
            failures = min(failures + 1, 10)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311

    async def _link(self, client: Client, gone: asyncio.Event) -> None:
        async def ended() -> None:
            gone.set()

        async def failed(exc: Exception) -> None:
            if isinstance(exc, nats.errors.SlowConsumerError):
                self._metrics.dropped.labels("inbound").inc()

        # A connection is made anew, never mended: subscriptions and kept events come with it.
        async with asyncio.timeout(CONNECT_SECONDS * 2 * len(self._servers)):
            await client.connect(
                servers=self._servers,
                name=f"writ {self._member}",
                allow_reconnect=False,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=_PING_SECONDS,
                max_outstanding_pings=2,
                no_echo=True,
                closed_cb=ended,
                disconnected_cb=ended,
                error_cb=failed,
                user_credentials=str(self._credentials) if self._credentials else None,
            )
        self._held = []
        try:
            await client.subscribe(f"{self._prefix}.{HINTS}", cb=self._take_hints)
            await client.subscribe(f"{self._prefix}.{EVENTS}", cb=self._take_events)
            await client.subscribe(f"{self._prefix}.ask.{self._member}", cb=self._take_question)
            await client.flush(timeout=CONNECT_SECONDS)
            self._client = client
            self._metrics.linked.set(1)
            await self._catch_up(client)
        finally:
            held, self._held = self._held, None
            for packet in held:
                self._hear(EVENTS, packet)
        log.info("bus_linked", server=client.connected_url and client.connected_url.hostname)

    async def _serve(self, client: Client, gone: asyncio.Event) -> None:
        ended = asyncio.ensure_future(gone.wait())
        self._wanted.set()  # what the connection before this one left unsaid
        try:
            while not gone.is_set() and not self._closed:
                wanted = asyncio.ensure_future(self._wanted.wait())
                try:
                    await asyncio.wait({wanted, ended}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    wanted.cancel()
                self._wanted.clear()
                await self._say_all(client)
        finally:
            ended.cancel()

    async def _catch_up(self, client: Client) -> None:
        """Hear what is kept and was said while this member was away; all of it the first time."""
        since = None
        if self._lost_at is not None:
            away = timedelta(seconds=time.monotonic() - self._lost_at)
            since = clock.now() - away - OVERLAP
        for _ in range(KEPT_TRIES):
            try:
                await self._hear_kept(client, since)
                return
            except (nats.errors.Error, nats.js.errors.Error, TimeoutError) as exc:
                log.warning("bus_keeps_nothing", error=type(exc).__name__)

    async def _hear_kept(self, client: Client, since: datetime | None) -> None:
        js = client.jetstream(timeout=CONNECT_SECONDS)
        await self._make_stream(js)
        pull = await js.pull_subscribe(
            f"{self._prefix}.{EVENTS}",
            stream=self._stream,
            config=ConsumerConfig(
                deliver_policy=(
                    DeliverPolicy.ALL if since is None else DeliverPolicy.BY_START_TIME
                ),
                opt_start_time=since,
                ack_policy=AckPolicy.NONE,
                inactive_threshold=30,
                mem_storage=True,
            ),
        )
        left = (await pull.consumer_info()).num_pending or 0
        while left > 0:
            some = await pull.fetch(min(left, 100), timeout=CONNECT_SECONDS)
            for one in some:
                self._hear(EVENTS, one.data)
            left -= len(some)
        await pull.unsubscribe()

    async def _make_stream(self, js: Any) -> None:
        config = StreamConfig(
            name=self._stream,
            subjects=[f"{self._prefix}.{EVENTS}"],
            retention=RetentionPolicy.LIMITS,
            discard=DiscardPolicy.OLD,
            max_age=KEPT_SECONDS,
            max_bytes=KEPT_BYTES,
            storage=StorageType.MEMORY,
        )
        try:
            await js.stream_info(self._stream)
        except nats.js.errors.NotFoundError:
            await js.add_stream(config)

    # --- hearing -----------------------------------------------------------------------------

    async def _take_hints(self, message: Msg) -> None:
        self._hear(HINTS, message.data)

    async def _take_events(self, message: Msg) -> None:
        if self._held is None:
            self._hear(EVENTS, message.data)
        elif len(self._held) < MAX_HELD_PACKETS:
            self._held.append(message.data)

    def _hear(self, topic: str, packet: bytes) -> None:
        try:
            opened = orjson.loads(self._secrets.open(packet, place=f"{self._prefix}.{topic}"))
            member, said = opened["from"], opened["said"]
        except (SecretError, ValueError, KeyError, TypeError):
            self._metrics.dropped.labels("unreadable").inc()
            return
        if member == self._member:
            return
        self._metrics.heard.labels(topic).inc(len(said))
        for message in said:
            tell(self._listeners[topic], message)

    async def _take_question(self, message: Msg) -> None:
        if self._answerer is None or len(self._questions) >= MAX_QUESTIONS:
            return
        # Answered beside everything else: a question may wait for an agent's answer.
        task = asyncio.create_task(self._reply(message, self._answerer), name="bus question")
        self._questions.add(task)
        task.add_done_callback(self._questions.discard)

    async def _reply(self, message: Msg, answerer: Answerer) -> None:
        place = f"{self._prefix}.ask.{self._member}"
        try:
            question = orjson.loads(self._secrets.open(message.data, place=place))
            packed = orjson.dumps(await answerer(question))
            await message.respond(self._secrets.seal(packed, place=place + ".answer"))
        except (SecretError, ValueError, TypeError):
            self._metrics.dropped.labels("unreadable").inc()
        except Exception as exc:
            log.warning("question_unanswered", error=type(exc).__name__)


async def check_server(url: str, credentials: Path | None) -> None:
    """Return when the server lets us in; `BusUnavailableError` when it does not."""
    client = Client()
    servers = [one.strip() for one in url.split(",") if one.strip()]

    async def failed(exc: Exception) -> None:
        """Say nothing: whoever asked is told."""

    try:
        async with asyncio.timeout(CONNECT_SECONDS * 2):
            await client.connect(
                servers=servers,
                allow_reconnect=False,
                connect_timeout=CONNECT_SECONDS,
                error_cb=failed,
                user_credentials=str(credentials) if credentials else None,
            )
            await client.flush(timeout=CONNECT_SECONDS)
    except (nats.errors.Error, TimeoutError, OSError) as exc:
        raise BusUnavailableError("the server of the bus does not answer") from exc
    finally:
        with contextlib.suppress(Exception):
            await client.close()
