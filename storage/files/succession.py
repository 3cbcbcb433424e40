"""File stores that followed each other: new files go to the present one, old ones are still found.

A key is written once and names one file for good, so it lies in one store only and looking for it
in the order of age cannot find another file. Knows nothing of settings; who replaces a store says
which of the earlier ones are still worth asking.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from storage.errors import NotFoundError
from storage.files.base import FileInfo, FileStore, PresignedUrl
from storage.pages import Page

R = TypeVar("R")


class FileStoreSuccession:
    """A `FileStore` whose store can be replaced while it is used.

    Args:
        present: takes new files.
        earlier: are asked, in this order, for files that the present one does not have.
    """

    def __init__(self, present: FileStore, earlier: Sequence[FileStore] = ()) -> None:
        self._present = present
        self._earlier = tuple(earlier)
        self._opened = [present, *earlier]

    def __repr__(self) -> str:
        return f"FileStoreSuccession({self._present!r}, earlier={len(self._earlier)})"

    @property
    def present(self) -> FileStore:
        """The store that takes new files."""
        return self._present

    def replace(self, present: FileStore, earlier: Sequence[FileStore]) -> None:
        """Use other stores from now on; what is under way ends in the store it began in.

        Stores stay open until `close`, for nobody knows when their last reader is done.
        """
        self._present, self._earlier = present, tuple(earlier)
        self._opened += [one for one in (present, *earlier) if one not in self._opened]

    async def put(
        self,
        key: str,
        data: bytes | AsyncIterator[bytes],
        *,
        if_absent: bool = False,
        if_match: str | None = None,
        content_type: str | None = None,
    ) -> FileInfo:
        """See `FileStore.put`; into the present store."""
        return await self._present.put(
            key, data, if_absent=if_absent, if_match=if_match, content_type=content_type
        )

    async def get(
        self, key: str, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """See `FileStore.get`."""
        return await self._first(lambda store: store.get(key, start=start, end=end))

    async def read(self, key: str, max_bytes: int) -> bytes:
        """See `FileStore.read`."""
        return await self._first(lambda store: store.read(key, max_bytes))

    async def stat(self, key: str) -> FileInfo:
        """See `FileStore.stat`."""
        return await self._first(lambda store: store.stat(key))

    async def list(self, prefix: str, *, limit: int, cursor: str | None = None) -> Page[FileInfo]:
        """See `FileStore.list`; of the present store."""
        return await self._present.list(prefix, limit=limit, cursor=cursor)

    async def delete(self, key: str) -> None:
        """See `FileStore.delete`; from every store."""
        for store in (self._present, *self._earlier):
            await store.delete(key)

    async def presign_get(self, key: str, expires_seconds: int) -> PresignedUrl | None:
        """See `FileStore.presign_get`."""
        return await self._present.presign_get(key, expires_seconds)

    async def presign_put(
        self, key: str, expires_seconds: int, *, bytes: int, sha256: str
    ) -> PresignedUrl | None:
        """See `FileStore.presign_put`; into the present store."""
        return await self._present.presign_put(key, expires_seconds, bytes=bytes, sha256=sha256)

    async def check(self) -> None:
        """See `FileStore.check`; of the present store."""
        await self._present.check()

    @property
    def heeds_conditions(self) -> bool | None:
        """See `FileStore.heeds_conditions`; of the present store."""
        return self._present.heeds_conditions

    async def close(self) -> None:
        """Close every store that was ever used; the first failure is raised at the end."""
        async with contextlib.AsyncExitStack() as stack:
            for store in self._opened:
                stack.push_async_callback(store.close)

    async def _first(self, ask: Callable[[FileStore], Awaitable[R]]) -> R:
        for store in (self._present, *self._earlier):
            with contextlib.suppress(NotFoundError):
                return await ask(store)
        raise NotFoundError("no such file")
