"""The process: one port, uvicorn, and an end that is told to the agents and takes bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator

import structlog
import uvicorn

from controlplane.app import RunningHub, open_hub
from controlplane.errors import HubError
from controlplane.http_patience import ClientProtocol
from controlplane.hub.lifecycle import drain
from controlplane.hub.transport import AgentProtocol
from controlplane.people.sign_in_links import (
    SignInLink,
    first_owner_waits,
    write_sign_in_link,
)
from controlplane.settings import HubSettings
from controlplane.telemetry import configure_logging

log = structlog.get_logger(__name__)

_BACKLOG = 2_048
_COLLECT_AFTER = (10_000, 20, 10)
"""New objects until the young are looked at, and how many such looks until the older ones are.

Of the oldest Python itself makes sure that they are looked at only when a quarter has come since.
"""


class ListenError(HubError):
    """The address cannot be listened on."""

    code = "cannot_listen"


class HubServer(uvicorn.Server):
    """uvicorn, told about a hub: drains the agents before it closes its sockets."""

    def __init__(self, running: RunningHub, settings: HubSettings) -> None:
        super().__init__(
            uvicorn.Config(
                running.app,
                http=ClientProtocol,
                loop="uvloop",
                ws=AgentProtocol,
                ws_per_message_deflate=False,
                ws_max_size=settings.max_frame_bytes,
                ws_ping_interval=settings.ping_seconds,
                ws_ping_timeout=settings.ping_seconds,
                access_log=False,
                log_config=None,
                lifespan="off",
                backlog=_BACKLOG,
                timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
            )
        )
        self._running = running
        self.started_serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGTERM and SIGINT, and only that.

        uvicorn raises the signal again when it has stopped serving, which would end the process
        before agents were drained and the last writes finished.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        await super().startup(sockets)
        self.started_serving.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell the agents to come back later, end the streams, then close the sockets."""
        await drain(self._running.live)
        self._running.hub.events.close()
        await super().shutdown(sockets)


Ready = Callable[[str, SignInLink | None], None]


def run_hub(settings: HubSettings, *, ready: Ready | None = None, with_link: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; returns when everything is written and closed.

    Args:
        settings: of this process; a new data folder becomes a hub first.
        ready: called with the URL once requests are answered, and with a link to sign in by.
        with_link: make that link, while the first owner has no other way in.

    Raises:
        ListenError: the address is taken or not ours.
        HalfInitialisedError, KeyFileError, UnavailableError: see `open_hub`.
    """
    configure_logging(settings.log_level)
    _allow_many_sockets()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve_hub(settings, ready=ready, with_link=with_link))


async def serve_hub(
    settings: HubSettings, *, ready: Ready | None = None, with_link: bool = False
) -> None:
    """Serve inside a running loop until a signal ends it; see `run_hub`."""
    listening = bind(settings)
    try:
        async with open_hub(settings) as running:
            server = HubServer(running, settings)
            serving = asyncio.ensure_future(server.serve(sockets=[listening]))
            started = asyncio.ensure_future(server.started_serving.wait())
            await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
            started.cancel()
            settle_memory()
            if not serving.done() and ready is not None:
                database, link = running.hub.database, None
                if with_link and await first_owner_waits(database):
                    link = await write_sign_in_link(database)
                ready(url_of(listening), link)
            await serving
    finally:
        listening.close()


def _allow_many_sockets() -> None:
    """Use as many open files as this process may have: every agent is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(ValueError, OSError):  # some systems promise more than they hold
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settle_memory() -> None:
    """Have the collector of cycles leave alone what a started hub keeps for good.

    Else each of its full collections, which requests bring about, walks every class, route and
    statement there is: several hundred thousand objects, for tens of milliseconds. What requests
    make is freed by its reference counts; cycles are rare and may wait for a while longer.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)


def bind(settings: HubSettings) -> socket.socket:
    """Return a socket bound to the settings' address; port 0 lets the system choose."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as exc:
        listening.close()
        raise ListenError(
            f"cannot listen on {settings.host}:{settings.port}: {exc.strerror}"
        ) from exc
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the HTTP URL of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    import uvloop

    return uvloop.new_event_loop
