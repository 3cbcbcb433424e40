"""The stage of the demo: real processes, real commands, and an end that leaves nothing running."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, TextIO


class DemoError(Exception):
    """Something the demo promises did not happen."""


class Process:
    """One `writ` process that prints JSON lines on stdout."""

    def __init__(self, argv: list[str], *, env: dict[str, str], log: Path) -> None:
        self._log: TextIO = log.open("a")
        self.popen = subprocess.Popen(
            argv, env=env, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            try:
                self._lines.put(json.loads(line))
            except ValueError:
                continue

    def wait_for(self, *, seconds: float = 30, **fields: Any) -> dict[str, Any]:
        """Return the next JSON line that carries all of `fields` (a value of ... is any value)."""
        while True:
            try:
                line = self._lines.get(timeout=seconds)
            except queue.Empty:
                raise DemoError(f"{self.popen.args} never said {fields}") from None
            if all(k in line and v in (..., line[k]) for k, v in fields.items()):
                return line

    def kill(self) -> None:
        """End it the hard way: SIGKILL, no farewell."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> None:
        """End it the polite way, and the hard way after 15 s."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()


class Stage:
    """A folder, an environment, and the `writ` command as a user has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[Process] = []
        self.env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("WRIT_")},
            "WRIT_CONFIG_DIR": str(folder / "config"),
            "PYTHONUNBUFFERED": "1",
        }

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "controlplane.cli.main", "--json", *words]

    def start(self, name: str, *words: str) -> Process:
        """Start a long-running command; its log lies in the folder under `name`."""
        process = Process(self._argv(*words), env=self.env, log=self.folder / f"{name}.log")
        self.processes.append(process)
        return process

    def writ(self, *words: str, expect: int = 0) -> Any:
        """Run a command to its end and return the JSON it printed; the exit code must be right."""
        done = subprocess.run(
            self._argv(*words),
            check=False,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.returncode != expect:
            raise DemoError(
                f"writ {' '.join(words)} ended {done.returncode}, not {expect}:\n"
                f"{done.stderr.strip() or done.stdout.strip()}"
            )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def stop(self) -> None:
        """End every process that was started, newest first."""
        for process in reversed(self.processes):
            process.stop()
