from __future__ import annotations

import asyncio
import hashlib
import logging
import socket

import pytest
import urllib3

from storage.errors import NotFoundError, UnavailableError
from storage.files.credentials import S3Credentials
from storage.files.errors import (
    ConditionalWritesUnsupportedError,
    FileStoreRefusedError,
    FileTooBigError,
)
from storage.files.open_store import open_file_store
from storage.files.s3 import S3FileStore
from tests.servers.s3 import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.storage.files.conftest import CREDENTIALS, PART_BYTES, make_s3


@pytest.fixture
async def s3(s3_server):
    opened = make_s3(s3_server)
    yield opened
    await opened.close()


def send(method: str, presigned, body: bytes | None = None, **headers: str):
    pool = urllib3.PoolManager()
    sent = {**presigned.headers, **headers}
    with pool:
        return pool.request(method, presigned.url, body=body, headers=sent, retries=False)


async def test_a_presigned_get_needs_no_key_and_ends(s3):
    await s3.put("file", b"content", content_type="text/plain")
    presigned = await s3.presign_get("file", 60)
    answer = await asyncio.to_thread(send, "GET", presigned)
    assert (answer.status, answer.data) == (200, b"content")
    assert presigned.url not in repr(presigned)
    changed = type(presigned)(presigned.url[:-1] + "0", {}, expires_at=presigned.expires_at)
    if changed.url != presigned.url:
        assert (await asyncio.to_thread(send, "GET", changed)).status == 403


async def test_a_presigned_put_takes_exactly_the_promised_content(s3):
    content = b"c" * 300_000
    digest = hashlib.sha256(content).hexdigest()
    presigned = await s3.presign_put("file", 60, bytes=len(content), sha256=digest)
    other = b"d" * 300_000
    refused = await asyncio.to_thread(send, "PUT", presigned, other)
    assert refused.status >= 400
    with pytest.raises(NotFoundError):
        await s3.stat("file")
    longer = {**presigned.headers, "Content-Length": str(len(content) + 1)}
    refused = await asyncio.to_thread(send, "PUT", presigned, content + b"x", **longer)
    assert refused.status >= 400
    taken = await asyncio.to_thread(send, "PUT", presigned, content)
    assert taken.status == 200
    info = await s3.stat("file")
    assert (info.bytes, info.sha256) == (len(content), digest)
    assert await s3.read("file", len(content)) == content


async def test_a_presigned_put_without_a_real_digest_is_refused(s3):
    for size, digest in ((1, "nonsense"), (1, "AB" * 32), (-1, "0" * 64), (1 << 40, "0" * 64)):
        with pytest.raises(FileTooBigError):
            await s3.presign_put("file", 60, bytes=size, sha256=digest)


async def test_an_upload_that_fails_is_taken_back(s3, s3_server):
    prefix = s3._prefix

    async def parts(fail: bool):
        yield b"x" * PART_BYTES
        yield b"x" * PART_BYTES
        if fail:
            assert s3_server.unfinished_uploads(prefix) == 1
            raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        await s3.put("file", parts(fail=True))
    assert s3_server.unfinished_uploads(prefix) == 0
    await s3.put("file", parts(fail=False))
    assert s3_server.unfinished_uploads(prefix) == 0


async def test_check_finds_that_this_server_heeds_conditions(s3):
    assert s3.heeds_conditions is None
    await s3.check()
    assert s3.heeds_conditions is True


@pytest.mark.parametrize(
    ("credentials", "bucket"),
    [
        (S3Credentials(ACCESS_KEY, "wrong-secret-hunter2"), BUCKET),
        (S3Credentials("no-such-account", "wrong-secret-hunter2"), BUCKET),
        (CREDENTIALS, "no-such-bucket"),
    ],
)
async def test_what_the_server_refuses_is_said_without_secrets(
    s3_server, caplog, credentials, bucket
):
    caplog.set_level(logging.INFO)
    store = make_s3(s3_server, credentials=credentials, bucket=bucket)
    with pytest.raises(FileStoreRefusedError) as caught:
        await store.check()
    said = "".join(
        (repr(caught.value), repr(store), repr(credentials), caplog.text, repr(vars(store)))
    )
    assert "hunter2" not in said
    assert SECRET_KEY not in said
    assert caught.value.__cause__ is None
    await store.close()


async def test_a_server_that_is_away_is_unavailable():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: every connection is refused
        store = S3FileStore(
            bucket=BUCKET,
            credentials=CREDENTIALS,
            endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}",
        )
        with pytest.raises(UnavailableError) as caught:
            await store.put("file", b"x")
        assert caught.value.retryable
        await store.close()


async def test_a_url_opens_a_bucket(s3_server):
    store = open_file_store(
        f"s3://{BUCKET}/{s3_server.make_prefix()}",
        credentials=CREDENTIALS,
        endpoint=s3_server.endpoint,
    )
    await store.check()
    await store.close()


async def test_a_server_that_ignores_conditions_is_found_out(s3, monkeypatch):
    for name in ("IfNoneMatch", "IfMatch"):
        ignore_condition(s3, name, monkeypatch)
        s3._heeds_conditions = None
        await s3.check()
        assert s3.heeds_conditions is False
        await s3.put("file", b"old")
        with pytest.raises(ConditionalWritesUnsupportedError):
            await s3.put("file", b"new", if_absent=True)
        with pytest.raises(ConditionalWritesUnsupportedError):
            await s3.put("file", b"new", if_match="0" * 32)
        assert await s3.read("file", 9) == b"old"
        monkeypatch.undo()


def ignore_condition(store: S3FileStore, name: str, monkeypatch) -> None:
    for operation in ("put_object", "complete_multipart_upload"):
        real = getattr(store._client, operation)

        def deaf(*, real=real, **arguments):
            arguments.pop(name, None)
            return real(**arguments)

        monkeypatch.setattr(store._client, operation, deaf)
