"""One `writ` process as users start it: its JSON lines, its log, and an end that cannot hang.

Knows nothing of hubs and agents; `system` gives these processes their meaning.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "controlplane.cli.main", "--json")

Line = dict[str, Any]


def environment(**more: str) -> dict[str, str]:
    """Return what a process of ours is started with: no setting of the caller's leaks in."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(CHECKOUT), "PYTHONUNBUFFERED": "1", **more}


def wait_until(
    probe: Callable[[], Any], what: str, *, seconds: float = 30.0, pause_seconds: float = 0.05
) -> Any:
    """Return the first true answer of `probe`; `AssertionError` naming `what` when there is none.

    For conditions that nobody announces; whatever can be long-polled or read as a line is not
    waited for like this.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        pause.wait(pause_seconds)


class WritProcess:
    """A long-running `writ` command. Everything it printed stays readable after its end."""

    def __init__(
        self,
        name: str,
        words: list[str],
        *,
        log: Path,
        env: Mapping[str, str],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self.name = name
        self.log = log
        self.lines: list[Line] = []
        self._changed = threading.Condition()
        self._log_file = log.open("ab")
        self._log_file.write(f"--- {name}: writ {' '.join(words)}\n".encode())
        self._log_file.flush()
        self._popen = subprocess.Popen(
            [*command, *words],
            env=dict(env),
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
        )
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._popen.poll() is None

    def wait_line(self, *, seconds: float = 30.0, after: int = 0, **fields: Any) -> Line:
        """Return the first JSON line with all `fields` (`...` stands for any value).

        Args:
            seconds: how long to wait.
            after: lines to pass over: `len(process.lines)` taken earlier waits for a new one.
            fields: what the line must hold.

        Raises:
            AssertionError: it ended, or the time was over; the message ends with its log.
        """

        def find() -> Line | None:
            for line in self.lines[after:]:
                if all(k in line and v in (..., line[k]) for k, v in fields.items()):
                    return line
            return None

        with self._changed:
            self._changed.wait_for(
                lambda: find() is not None or not self._reader.is_alive(), timeout=seconds
            )
            found = find()
        assert found is not None, f"{self.name} never said {fields}\n{self.tail(1_500)}"
        return found

    def ended(self, *, seconds: float = 30.0) -> int:
        """Wait for its end; return the exit code, negative for the signal that ended it."""
        try:
            code = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end\n{self.tail()}") from None
        self._reader.join(10)
        if not self._log_file.closed:
            self._log_file.close()
        return code

    def kill(self) -> int:
        """End it as a power cut would: SIGKILL, no farewell."""
        self._send(signal.SIGKILL)
        return self.ended()

    def stop(self, *, seconds: float = 20.0) -> int:
        """End it politely and return its exit code; the hard way when it takes longer."""
        self._send(signal.SIGTERM)
        try:
            return self.ended(seconds=seconds)
        except AssertionError:
            self.kill()
            raise

    def tail(self, characters: int = 3_000) -> str:
        """Return its state lines and the end of its log, for a failing test."""
        text = self.log.read_bytes().decode(errors="replace")[-characters:]
        said = "\n".join(json.dumps(line) for line in self.lines[-10:])
        return f"== {self.name} (pid {self.pid}) said\n{said}\n== log\n{text}"

    def _send(self, number: int) -> None:
        if self.running:
            self._popen.send_signal(number)

    def _read(self) -> None:
        assert self._popen.stdout is not None
        with self._popen.stdout as stdout:
            for raw in stdout:
                try:
                    line = json.loads(raw)
                except ValueError:
                    line = {"unreadable": raw.decode(errors="replace")}
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()


def run_writ(
    *words: str, env: Mapping[str, str], expect: int = 0, seconds: float = 60.0
) -> tuple[Any, str]:
    """Run a command to its end; return what it printed as JSON (None for nothing) and stderr.

    Raises:
        AssertionError: another exit code than `expect`.
    """
    done = subprocess.run(
        [*COMMAND, *words],
        check=False,
        env=dict(env),
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == expect, (
        f"writ {' '.join(words)} ended with {done.returncode}, not {expect}\n{out}\n{err}"
    )
    return (json.loads(out) if out.strip() else None), err
