"""The interface of a file store, and what every one of them agrees on.

Owns keys, infos and presigned URLs. Knows nothing of folders or buckets; `open_store` picks one.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol, runtime_checkable

from storage.files.errors import BadFileKeyError
from storage.pages import Page

MAX_KEY_CHARS: Final = 500
MAX_SEGMENT_CHARS: Final = 200
DEFAULT_MAX_FILE_BYTES: Final = 5 * 1024**3
DEFAULT_CONTENT_TYPE: Final = "application/octet-stream"
MAX_CONTENT_TYPE_CHARS: Final = 200

_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@=+~-]*", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9_.@=+~/-]*", re.ASCII)
_CONTENT_TYPE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One file as it stands.

    Attributes:
        key: its name in the store.
        bytes: its size.
        etag: changes whenever the content does; opaque, for `if_match`.
        modified_at: aware, UTC.
        content_type: None where a listing does not tell.
        sha256: hex, of the content; None where the store does not know it.
    """

    key: str
    bytes: int
    etag: str
    modified_at: datetime
    content_type: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class PresignedUrl:
    """Leave to move one file, for whoever holds it: treat the URL as a secret.

    Attributes:
        url: where to.
        headers: to be sent exactly so.
        expires_at: aware, UTC.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    expires_at: datetime = field(kw_only=True)


@runtime_checkable
class FileStore(Protocol):
    """Files by key. Every method may raise `UnavailableError` and `FileStoreRefusedError`."""

    async def put(
        self,
        key: str,
        data: bytes | AsyncIterator[bytes],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> FileInfo:
        """Make `data` the file under `key`, at once or not at all.

        Args:
            key: see `parse_key`.
            data: all of it, or its parts in order.
            if_absent: only when there is no such file.
            if_match: only when the file has this etag.
            content_type: `application/octet-stream` unless given.

        Raises:
            BadFileKeyError: no such key can be.
            ConflictError: the condition does not hold; nothing has changed.
            ConditionalWritesUnsupportedError: this store cannot promise the condition.
            FileTooBigError: more than the store takes; nothing has changed.
        """

    async def get(
        self, key: str, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """Return the bytes from `start` up to, not including, `end`; of one version throughout.

        Raises:
            NotFoundError: no such file.
        """

    async def read(self, key: str, max_bytes: int) -> bytes:
        """Return the whole file.

        Raises:
            NotFoundError: no such file.
            FileTooBigError: it has more than `max_bytes`.
        """

    async def stat(self, key: str) -> FileInfo:
        """Return what is known of the file.

        Raises:
            NotFoundError: no such file.
        """

    async def list(self, prefix: str, *, limit: int, cursor: str | None = None) -> Page[FileInfo]:
        """Return files whose keys begin with `prefix`, each once, in the store's own order.

        The order is that of the keys in a folder and at Amazon's; some servers sort folder by
        folder. A page may hold fewer than `limit` files and still not be the last.

        Raises:
            BadCursorError: not a cursor of this listing.
        """

    async def delete(self, key: str) -> None:
        """See to it that there is no such file; there need not have been one."""

    async def presign_get(self, key: str, expires_seconds: int) -> PresignedUrl | None:
        """Return a URL to fetch the file from; None where the hub must serve it."""

    async def presign_put(
        self, key: str, expires_seconds: int, *, bytes: int, sha256: str
    ) -> PresignedUrl | None:
        """Return a URL to put exactly this content to; None where the hub must take it.

        Args:
            key: see `parse_key`.
            expires_seconds: from now.
            bytes: the size.
            sha256: hex, of the content.
        """

    async def check(self) -> None:
        """Return when a file can be written, read and removed; else raise why not."""

    @property
    def heeds_conditions(self) -> bool | None:
        """Whether `if_absent` and `if_match` can be promised here; None before it was tried."""

    async def close(self) -> None:
        """Let go of threads and connections."""


def parse_key(key: str) -> str:
    """Return `key` when files may have it: segments of `[A-Za-z0-9_.@=+~-]`, none hidden.

    Raises:
        BadFileKeyError: anything else; also `..`, absolute, empty and over-long ones.
    """
    segments = key.split("/")
    if len(key) > MAX_KEY_CHARS or not all(
        len(segment) <= MAX_SEGMENT_CHARS and _SEGMENT.fullmatch(segment) for segment in segments
    ):
        raise BadFileKeyError(f"{key[:100]!r} is no key of a file")
    return key


def parse_prefix(prefix: str) -> str:
    """Return `prefix` when keys may begin with it.

    Raises:
        BadFileKeyError: no key begins so.
    """
    hidden = any(segment.startswith(".") for segment in prefix.split("/"))
    if len(prefix) > MAX_KEY_CHARS or hidden or _PREFIX.fullmatch(prefix) is None:
        raise BadFileKeyError(f"no key begins with {prefix[:100]!r}")
    return prefix


def parse_content_type(content_type: str | None) -> str:
    """Return a content type that can stand in a header, the default for None.

    Raises:
        BadFileKeyError: it cannot.
    """
    if content_type is None:
        return DEFAULT_CONTENT_TYPE
    if len(content_type) > MAX_CONTENT_TYPE_CHARS or _CONTENT_TYPE.fullmatch(content_type) is None:
        raise BadFileKeyError("no such content type")
    return content_type


def check_range(start: int | None, end: int | None) -> tuple[int, int | None]:
    """Return the range with its start filled in.

    Raises:
        ValueError: it runs backwards or begins before the file.
    """
    first = 0 if start is None else start
    if first < 0 or (end is not None and end < first):
        raise ValueError("a range runs forward from 0")
    return first, end


async def iterate_chunks(data: bytes | AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield data given whole or in parts, without empty parts."""
    if isinstance(data, bytes):
        if data:
            yield data
        return
    async for chunk in data:
        if chunk:
            yield chunk
