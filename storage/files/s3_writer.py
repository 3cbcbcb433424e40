"""How a file gets into a bucket: in one request, or in parts that are taken back on failure."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from storage.files.base import FileInfo
from storage.files.s3_client import translated
from storage.files.threads import StoreThreads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SHA256_META: Final = "sha256"
"""Metadata of a file put in one request; of one in parts the digest is known too late."""


class S3Writer:
    """Writes below one prefix of one bucket.

    Args:
        client: of botocore.
        bucket: must exist.
        prefix: ends in a slash, or is empty.
        threads: where the calls are made.
    """

    def __init__(self, client: S3Client, bucket: str, prefix: str, threads: StoreThreads) -> None:
        self._client, self._bucket, self._prefix = client, bucket, prefix
        self._threads = threads

    async def put_whole(
        self, key: str, content: bytes, kind: str, condition: dict[str, Any]
    ) -> FileInfo:
        """Put a file in one request."""
        sha256 = hashlib.sha256(content).hexdigest()

        def send() -> str:
            with translated(key):
                return self._client.put_object(
                    Bucket=self._bucket,
                    Key=self._prefix + key,
                    Body=content,
                    ContentType=kind,
                    Metadata={SHA256_META: sha256},
                    **condition,
                )["ETag"]

        etag = await self._threads.run(send)
        return FileInfo(key, len(content), etag.strip('"'), now_milliseconds(), kind, sha256)

    async def put_parts(
        self,
        key: str,
        first: Sequence[bytes],
        rest: AsyncIterator[bytes],
        kind: str,
        condition: dict[str, Any],
    ) -> FileInfo:
        """Put a file in parts; on any failure, cancellation too, those sent are taken back."""
        where: dict[str, Any] = {"Bucket": self._bucket, "Key": self._prefix + key}

        def begin() -> str:
            with translated(key):
                return self._client.create_multipart_upload(ContentType=kind, **where)["UploadId"]

        def send(number: int, content: bytes) -> str:
            with translated(key):
                return self._client.upload_part(
                    PartNumber=number, Body=content, UploadId=upload, **where
                )["ETag"]

        def finish() -> str:
            with translated(key):
                return self._client.complete_multipart_upload(
                    UploadId=upload, MultipartUpload={"Parts": sent}, **where, **condition
                )["ETag"]

        def abort() -> None:
            # The server's own rules for unfinished uploads are the second line of defence.
            with contextlib.suppress(Exception):
                self._client.abort_multipart_upload(UploadId=upload, **where)

        upload = await self._threads.run(begin)
        sent: list[Any] = []
        digest, size = hashlib.sha256(), 0
        try:
            async for part in _chain(first, rest):
                digest.update(part)
                size += len(part)
                etag = await self._threads.run(send, len(sent) + 1, part)
                sent.append({"PartNumber": len(sent) + 1, "ETag": etag})
            etag = await self._threads.run(finish)
        except BaseException:
            await asyncio.shield(self._threads.run(abort))
            raise
        return FileInfo(key, size, etag.strip('"'), now_milliseconds(), kind, digest.hexdigest())


async def _chain(first: Sequence[bytes], rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    for part in first:
        yield part
    async for part in rest:
        yield part


def now_milliseconds() -> datetime:
    """Return the time, cut to what timestamps hold."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
