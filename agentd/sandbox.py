"""What a child process may do, and the only way an executor starts one.

Owns levels, limits and the pipes to `sandbox_launcher`, which does the work inside. Every child
gets a clean environment, the workspace as its folder, no inherited descriptors, no new
privileges, bounded time, memory, files and output, and an end together with all it started.

Levels, each with all before it: `process` (the above), `confined` (sees only the workspace and
the system's programs; Landlock), `isolated` (no network; namespaces). A level that this machine
cannot give refuses the work: never less than the policy asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from agentd.errors import ExecutorError
from agentd.workspace import Workspace

LEVELS: Final = ("process", "confined", "isolated")
LAUNCHER: Final = Path(__file__).with_name("sandbox_launcher.py")
CLEAN_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CHUNK_BYTES: Final = 65536
END_SECONDS: Final = 10.0
MAX_REPORT_BYTES: Final = 65536


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """Bounds of one child and all it starts; the time is bounded by whoever runs it.

    Attributes:
        cpu_seconds: of processor time, for each process.
        memory_bytes: of address space, for each process.
        file_bytes: the largest file it may write.
        open_files: descriptors of each process.
        processes: at one time; the kernel counts those of the agent's user, for root the
            launcher counts those of this child.
        output_bytes: kept of each of stdout and stderr; the rest is read and thrown away.
    """

    cpu_seconds: int = 600
    memory_bytes: int = 4 * 1024**3
    file_bytes: int = 1024**3
    open_files: int = 1024
    processes: int = 256
    output_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """A child that has ended, with all it started.

    Attributes:
        exit_code: below 0 it is the signal that ended it.
        stdout: the first bytes of it.
        stderr: the first bytes of it.
        truncated: whether either stream had more.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    truncated: bool


@dataclass(frozen=True, slots=True)
class Sandbox:
    """The rules for children of one order.

    Attributes:
        level: one of `LEVELS`.
        limits: the bounds.
        environment: variables given to the child besides PATH, HOME, TMPDIR, LANG.
        readable: files and folders that a confined child may read besides the system's.
        hidden: folders that no child reaches, such as the one with the agent's key. A kernel
            without Landlock cannot hide them from a child of level `process`.
    """

    level: str = "process"
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    readable: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a level that does not exist: a policy asked for what nobody can promise."""
        if self.level not in LEVELS:
            raise ExecutorError("sandbox_unavailable", f"no sandbox level {self.level[:50]!r}")

    def describe(self) -> dict[str, JsonValue]:
        """Return what a result says of it (`sandbox` in SPEC section 6)."""
        return {"level": self.level}

    async def run(
        self,
        argv: Sequence[str],
        *,
        workspace: Workspace,
        stdin: bytes | AsyncGenerator[bytes, None] | None = None,
        timeout_seconds: float,
        output_bytes: int | None = None,
    ) -> Completed:
        """Run a program, never through a shell, and return how it ended.

        Whatever happens, cancellation and the end of this process included, nothing it started
        stays behind.

        Raises:
            ExecutorError: `command_not_found`, `command_not_executable`, `command_timed_out`,
                `too_many_processes`, `sandbox_unavailable`, `sandbox_failed`.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs, workspace.open_root() as root:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", "-B", str(LAUNCHER)),
                    *(str(theirs.fileno()), str(root)),
                    stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    pass_fds=(theirs.fileno(), root),
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        keep = self.limits.output_bytes if output_bytes is None else output_bytes
        try:
            async with asyncio.timeout(timeout_seconds), asyncio.TaskGroup() as tasks:
                out = tasks.create_task(_drain(process.stdout, keep))
                err = tasks.create_task(_drain(process.stderr, keep))
                feeding = tasks.create_task(_feed(process.stdin, stdin))
                report = await self._order(ours, argv, workspace)
                feeding.cancel()
        except TimeoutError:
            raise ExecutorError(
                "command_timed_out", f"ended after {timeout_seconds:g} seconds"
            ) from None
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            ours.close()  # the launcher's sign to end everything
            await _see_out(process)
        if "exit" not in report:
            raise ExecutorError(str(report["error"]), str(report["message"])[:500])
        exit_code = report["exit"]
        if not isinstance(exit_code, int):
            raise ExecutorError("sandbox_failed", "the launcher gave no exit code")
        (stdout, more_out), (stderr, more_err) = out.result(), err.result()
        return Completed(exit_code, stdout, stderr, more_out or more_err)

    async def _order(
        self, control: socket.socket, argv: Sequence[str], workspace: Workspace
    ) -> dict[str, JsonValue]:
        """Tell the launcher what to start and return its report."""
        home = str(workspace.root)
        clean = {"PATH": CLEAN_PATH, "HOME": home, "TMPDIR": home, "LANG": "C.UTF-8"}
        order = {
            "argv": list(argv),
            "env": clean | dict(self.environment),
            "level": self.level,
            "readable": list(self.readable),
            "hidden": list(self.hidden),
            "limits": {
                "cpuSeconds": self.limits.cpu_seconds,
                "memoryBytes": self.limits.memory_bytes,
                "fileBytes": self.limits.file_bytes,
                "openFiles": self.limits.open_files,
                "processes": self.limits.processes,
            },
        }
        loop = asyncio.get_running_loop()
        received = b""
        try:
            await loop.sock_sendall(control, json.dumps(order).encode() + b"\n")
            while not received.endswith(b"\n"):
                chunk = await loop.sock_recv(control, CHUNK_BYTES)
                received += chunk
                if not chunk or len(received) > MAX_REPORT_BYTES:
                    raise ExecutorError("sandbox_failed", "the launcher ended without a report")
        except OSError as exc:
            raise ExecutorError("sandbox_failed", "the launcher went away") from exc
        report: dict[str, JsonValue] = json.loads(received)
        return report


async def _drain(stream: asyncio.StreamReader | None, keep: int) -> tuple[bytes, bool]:
    """Read a stream to its end; return its first `keep` bytes and whether there was more."""
    kept, more = bytearray(), False
    while stream is not None and (chunk := await stream.read(CHUNK_BYTES)):
        room = keep - len(kept)
        kept += chunk[:room]
        more = more or len(chunk) > room
    return bytes(kept), more


async def _feed(
    stream: asyncio.StreamWriter | None, content: bytes | AsyncGenerator[bytes, None] | None
) -> None:
    """Write all of `content` and close; a child that stops listening is its own affair."""
    if stream is None or content is None:
        return
    try:
        with contextlib.suppress(ConnectionError):
            if isinstance(content, bytes):
                stream.write(content)
                await stream.drain()
            else:
                async with contextlib.aclosing(content) as chunks:
                    async for chunk in chunks:
                        stream.write(chunk)
                        await stream.drain()
    finally:
        stream.close()


async def _see_out(process: asyncio.subprocess.Process) -> None:
    """Wait for the launcher, which has been told to end; kill it when it does not."""
    # Read on to the end: a full pipe that nobody reads would keep the end from being seen.
    ending = asyncio.gather(process.wait(), _drain(process.stdout, 0), _drain(process.stderr, 0))
    cancelled = False
    while not ending.done():
        try:
            async with asyncio.timeout(END_SECONDS):
                await asyncio.shield(ending)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
