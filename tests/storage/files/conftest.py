from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.files.base import FileStore
from storage.files.credentials import S3Credentials
from storage.files.local import FolderFileStore
from storage.files.s3 import S3FileStore
from tests.servers.s3 import ACCESS_KEY, BUCKET, SECRET_KEY

PART_BYTES = 5 * 1024 * 1024
MAX_FILE_BYTES = 12 * 1024 * 1024
CREDENTIALS = S3Credentials(ACCESS_KEY, SECRET_KEY)


@pytest.fixture(params=["folder", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FileStore]:
    """Every kind of store, empty."""
    opened: FileStore
    if request.param == "folder":
        opened = FolderFileStore(tmp_path / "files", max_file_bytes=MAX_FILE_BYTES)
    else:
        opened = make_s3(request.getfixturevalue("s3_server"))
    yield opened
    await opened.close()


def make_s3(server, **more) -> S3FileStore:
    options = {
        "bucket": BUCKET,
        "prefix": f"{server.make_prefix()}/files",
        "credentials": CREDENTIALS,
        "endpoint": server.endpoint,
        "max_file_bytes": MAX_FILE_BYTES,
        "part_bytes": PART_BYTES,
    } | more
    return S3FileStore(**options)
