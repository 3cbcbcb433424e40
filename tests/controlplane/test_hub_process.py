"""The hub as a process: it says when it serves, and ends cleanly when told to."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.controlplane.hubs import Client

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_told_hub_ends_in_bounded_time_with_everything_closed(
    tmp_path: Path, number: signal.Signals
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "controlplane.cli.main", "--json", "hub", "run", "--port", "0"),
        *("--data-dir", str(tmp_path / "hub")),
        cwd=ROOT,
        env={**os.environ, "HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            said = json.loads(await process.stdout.readline())
        assert said["ready"] is True
        address = urlsplit(said["url"])
        client = Client(str(address.hostname), int(address.port or 0))
        assert (await client.get("/readyz")).json["checks"] == dict.fromkeys(
            ("database", "files", "bus"), "ok"
        )
        process.send_signal(number)
        async with asyncio.timeout(15):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    assert b"Traceback" not in errors
    assert not (tmp_path / "hub" / "hub.db-wal").exists()
