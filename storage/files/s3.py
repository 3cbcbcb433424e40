"""Files in an S3 bucket: Amazon's, or any server that speaks the same (SigV4, path style).

Small files go in one request, larger ones and streams in parts that are taken back when anything
fails. Conditions are only used after a probe has shown that this server heeds them: many answer
such a write as if there had been none, and overwrite.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

from storage.errors import ConflictError, NotFoundError
from storage.files.base import (
    DEFAULT_MAX_FILE_BYTES,
    FileInfo,
    PresignedUrl,
    check_range,
    iterate_chunks,
    parse_content_type,
    parse_key,
    parse_prefix,
)
from storage.files.credentials import S3Credentials
from storage.files.errors import (
    BadFileKeyError,
    BadFileStoreUrlError,
    ConditionalWritesUnsupportedError,
    DamagedFileError,
    FileStoreError,
    FileTooBigError,
)
from storage.files.s3_client import THREADS, make_client, translated
from storage.files.s3_writer import SHA256_META, S3Writer, now_milliseconds
from storage.files.threads import StoreThreads
from storage.pages import Page, bound_limit, encode_cursor, parse_cursor

if TYPE_CHECKING:
    from botocore.response import StreamingBody

PART_BYTES: Final = 8 * 1024 * 1024
CHUNK_BYTES: Final = 256 * 1024
MAX_PARTS: Final = 10_000
MAX_PRESIGN_SECONDS: Final = 7 * 24 * 3600
ABANDON_SECONDS: Final = 5.0
PROBE_FOLDER: Final = "writ-check"

_SHA256 = re.compile(r"[0-9a-f]{64}")


class S3FileStore:
    """A `FileStore` in one bucket, below one prefix.

    Args:
        bucket: must exist.
        prefix: of every key in the bucket; without slashes at its ends.
        credentials: None takes those the machine offers.
        endpoint: URL of a server that is not Amazon's.
        region: `us-east-1` unless given.
        max_file_bytes: the largest file it takes.
        part_bytes: of an upload in parts; S3 demands 5 MiB at least.

    Raises:
        BadFileStoreUrlError: no such bucket, prefix or endpoint can be.
    """

    def __init__(
        self,
        *,
        bucket: str,
        prefix: str = "",
        credentials: S3Credentials | None = None,
        endpoint: str | None = None,
        region: str | None = None,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        part_bytes: int = PART_BYTES,
    ) -> None:
        try:
            self._prefix = f"{parse_key(prefix)}/" if prefix else ""
        except BadFileKeyError:
            raise BadFileStoreUrlError("s3://bucket/prefix: no such prefix") from None
        self._bucket = bucket
        self._client = make_client(
            bucket, credentials=credentials, endpoint=endpoint, region=region
        )
        self._max_file_bytes = min(max_file_bytes, part_bytes * MAX_PARTS)
        self._part_bytes = part_bytes
        self._threads = StoreThreads("files-s3", THREADS, abandon_seconds=ABANDON_SECONDS)
        self._writer = S3Writer(self._client, bucket, self._prefix, self._threads)
        self._heeds_conditions: bool | None = None
        self._probing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"S3FileStore({f's3://{self._bucket}/{self._prefix}'!r})"

    async def put(
        self,
        key: str,
        data: bytes | AsyncIterator[bytes],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> FileInfo:
        """See `FileStore.put`."""
        parse_key(key)
        kind = parse_content_type(content_type)
        condition = _condition(if_absent=if_absent, if_match=if_match)
        if condition:
            await self._demand_conditions()
        async with contextlib.aclosing(self._parts(data)) as parts:
            first = await anext(parts, b"")
            second = await anext(parts, None) if first else None
            if second is None:
                return await self._writer.put_whole(key, first, kind, condition)
            return await self._writer.put_parts(key, [first, second], parts, kind, condition)

    async def get(
        self, key: str, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """See `FileStore.get`."""
        first, last = check_range(start, end)
        parse_key(key)
        size = (await self.stat(key)).bytes if (first or last is not None) else None
        if size is not None and (first >= size or last == first):
            # S3 answers an empty range with an error.
            return iterate_chunks(b"")
        body = await self._threads.run(self._open, key, first, last)
        return self._chunks(body)

    async def _chunks(self, body: StreamingBody) -> AsyncIterator[bytes]:
        def read() -> bytes:
            with translated():
                return body.read(CHUNK_BYTES)

        try:
            while chunk := await self._threads.run(read):
                yield chunk
        finally:
            body.close()

    async def read(self, key: str, max_bytes: int) -> bytes:
        """See `FileStore.read`."""
        parse_key(key)
        content, sha256 = await self._threads.run(self._read, key, max_bytes)
        if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
            raise DamagedFileError(f"{key} is not what was put there")
        return content

    async def stat(self, key: str) -> FileInfo:
        """See `FileStore.stat`."""
        return await self._threads.run(self._stat, parse_key(key))

    async def list(self, prefix: str, *, limit: int, cursor: str | None = None) -> Page[FileInfo]:
        """See `FileStore.list`; content types and digests are not told."""
        parse_prefix(prefix)
        token = None if cursor is None else str(parse_cursor(cursor, (str,))[0])
        return await self._threads.run(self._list, prefix, bound_limit(limit), token)

    async def delete(self, key: str) -> None:
        """See `FileStore.delete`."""
        await self._threads.run(self._delete, parse_key(key))

    async def presign_get(self, key: str, expires_seconds: int) -> PresignedUrl | None:
        """See `FileStore.presign_get`."""
        return await self._presign("get_object", key, expires_seconds, {}, {})

    async def presign_put(
        self, key: str, expires_seconds: int, *, bytes: int, sha256: str
    ) -> PresignedUrl | None:
        """See `FileStore.presign_put`; size and digest are part of what is signed."""
        if _SHA256.fullmatch(sha256) is None or not 0 <= bytes <= self._max_file_bytes:
            raise FileTooBigError("a presigned upload needs a hex SHA-256 and a size in bounds")
        checksum = base64.b64encode(bytearray.fromhex(sha256)).decode()
        return await self._presign(
            "put_object",
            key,
            expires_seconds,
            {
                "ContentLength": bytes,
                "ChecksumSHA256": checksum,
                "Metadata": {SHA256_META: sha256},
            },
            {
                "Content-Length": str(bytes),
                "x-amz-checksum-sha256": checksum,
                f"x-amz-meta-{SHA256_META}": sha256,
            },
        )

    async def check(self) -> None:
        """See `FileStore.check`; also finds out whether this server heeds conditions."""
        key = f"{PROBE_FOLDER}/{secrets.token_hex(8)}"
        content = secrets.token_bytes(32)
        await self.put(key, content)
        try:
            if await self.read(key, len(content)) != content:
                raise DamagedFileError("what was written came back changed")
            self._heeds_conditions = await self._probe(key, content)
        finally:
            await self.delete(key)

    @property
    def heeds_conditions(self) -> bool | None:
        """Whether conditional writes work here; None before `check` or the first such write."""
        return self._heeds_conditions

    async def close(self) -> None:
        """See `FileStore.close`."""
        self._threads.close()
        self._client.close()

    # --- conditions -------------------------------------------------------------------------

    async def _demand_conditions(self) -> None:
        async with self._probing:
            if self._heeds_conditions is None:
                await self.check()
        if not self._heeds_conditions:
            raise ConditionalWritesUnsupportedError(
                "this S3 server ignores conditions on writes, so none can be promised"
            )

    async def _probe(self, key: str, content: bytes) -> bool:
        """Whether false conditions fail, in one request and in parts alike, and a true one not."""
        other = "0" * 32
        kind = parse_content_type(None)
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{other}"'}):
            for in_parts in (False, True):
                try:
                    if in_parts:
                        await self._writer.put_parts(key, [content], _nothing(), kind, condition)
                    else:
                        await self._writer.put_whole(key, content, kind, condition)
                except ConflictError:
                    continue
                except FileStoreError:  # it says that it does not know what is asked
                    return False
                return False
        true = _condition(if_absent=False, if_match=(await self.stat(key)).etag)
        try:
            await self._writer.put_whole(key, content, kind, true)
        except (ConflictError, FileStoreError):
            return False
        return True

    # --- writing ----------------------------------------------------------------------------

    async def _parts(self, data: bytes | AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the data in parts of one size, the last one smaller."""
        waiting, total = bytearray(), 0
        async for chunk in iterate_chunks(data):
            total += len(chunk)
            if total > self._max_file_bytes:
                raise FileTooBigError(f"a file has at most {self._max_file_bytes} bytes")
            for start in range(0, len(chunk), self._part_bytes):
                waiting += chunk[start : start + self._part_bytes]
                if len(waiting) >= self._part_bytes:
                    yield bytes(waiting[: self._part_bytes])
                    del waiting[: self._part_bytes]
        if waiting:
            yield bytes(waiting)

    # --- in threads -------------------------------------------------------------------------

    def _open(self, key: str, first: int, last: int | None) -> StreamingBody:
        wanted: dict[str, Any] = {}
        if first or last is not None:
            wanted["Range"] = f"bytes={first}-{'' if last is None else last - 1}"
        with translated(key):
            return self._client.get_object(Bucket=self._bucket, Key=self._prefix + key, **wanted)[
                "Body"
            ]

    def _read(self, key: str, max_bytes: int) -> tuple[bytes, str | None]:
        with translated(key):
            found = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
            with contextlib.closing(found["Body"]) as body:
                if found["ContentLength"] > max_bytes:
                    raise FileTooBigError(f"{key} has over {max_bytes} bytes")
                content = body.read(max_bytes + 1)
                if len(content) > max_bytes:
                    raise FileTooBigError(f"{key} has over {max_bytes} bytes")
                return content, found.get("Metadata", {}).get(SHA256_META)

    def _stat(self, key: str) -> FileInfo:
        with translated(key):
            found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        return FileInfo(
            key,
            found["ContentLength"],
            found["ETag"].strip('"'),
            found["LastModified"].astimezone(UTC),
            found.get("ContentType"),
            found.get("Metadata", {}).get(SHA256_META),
        )

    def _list(self, prefix: str, limit: int, token: str | None) -> Page[FileInfo]:
        wanted: dict[str, Any] = {} if token is None else {"ContinuationToken": token}
        with translated():
            answer = self._client.list_objects_v2(
                Bucket=self._bucket, Prefix=self._prefix + prefix, MaxKeys=limit, **wanted
            )
        infos = []
        for row in answer.get("Contents", []):
            with contextlib.suppress(BadFileKeyError):  # put there by somebody else
                infos.append(
                    FileInfo(
                        parse_key(row["Key"].removeprefix(self._prefix)),
                        row["Size"],
                        row["ETag"].strip('"'),
                        row["LastModified"].astimezone(UTC),
                    )
                )
        following = answer.get("NextContinuationToken") if answer.get("IsTruncated") else None
        return Page(tuple(infos), None if following is None else encode_cursor([following]))

    def _delete(self, key: str) -> None:
        with translated(key), contextlib.suppress(NotFoundError):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    async def _presign(
        self,
        operation: str,
        key: str,
        expires_seconds: int,
        more: dict[str, Any],
        headers: dict[str, str],
    ) -> PresignedUrl:
        seconds = max(1, min(expires_seconds, MAX_PRESIGN_SECONDS))
        expires_at = now_milliseconds() + timedelta(seconds=seconds)
        where = {"Bucket": self._bucket, "Key": self._prefix + parse_key(key)}

        def sign() -> str:
            with translated(key):
                return self._client.generate_presigned_url(
                    operation, Params={**where, **more}, ExpiresIn=seconds
                )

        return PresignedUrl(await self._threads.run(sign), headers, expires_at=expires_at)


def _condition(*, if_absent: bool, if_match: str | None) -> dict[str, Any]:
    if if_absent and if_match is not None:
        raise ValueError("a file cannot be absent and have an etag")
    if if_absent:
        return {"IfNoneMatch": "*"}
    return {} if if_match is None else {"IfMatch": f'"{if_match}"'}


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # makes it a generator
