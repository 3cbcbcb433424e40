"""Files in a folder: the default.

A file is put under a temporary name, brought to the disk, and renamed: at any moment there is all
of the old one or all of the new one. Conditions are looked at under a lock that other processes
on this folder take too.

On disk a key `a/b` is the file `a/b#`: `#` is in no key, so `a` may be a file beside `a/b`. It
begins with a header of 1,024 bytes (JSON, padded with spaces, a newline at the end), for content
type and digest change together with the content; the content follows.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from storage.errors import ConflictError, NotFoundError, UnavailableError
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
from storage.files.errors import (
    DamagedFileError,
    FileStoreRefusedError,
    FileTooBigError,
)
from storage.files.threads import StoreThreads
from storage.pages import Page, bound_limit, encode_cursor, parse_cursor

HEADER_BYTES: Final = 1024
CHUNK_BYTES: Final = 256 * 1024
LOCK_STRIPES: Final = 16
STALE_SECONDS: Final = 24 * 3600
FILE_MARK: Final = "#"
TEMPORARY: Final = ".tmp"
LOCKS: Final = ".locks"

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}


@dataclass(slots=True)
class _Draft:
    """A file being written under a temporary name."""

    path: Path
    file: BinaryIO
    digest: hashlib._Hash
    size: int = 0

    def write(self, chunk: bytes) -> None:
        with _coded():
            self.file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)

    def discard(self) -> None:
        """Let go of it; once renamed, only of its descriptor."""
        with contextlib.suppress(OSError):
            self.file.close()
        with contextlib.suppress(OSError):
            self.path.unlink()


class FolderFileStore:
    """A `FileStore` in a folder, which is made (mode 0700) with the first file.

    Args:
        root: the folder.
        max_file_bytes: the largest file it takes.
    """

    def __init__(self, root: Path, *, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        self._root = root
        self._max_file_bytes = max_file_bytes
        # Without end: a thread that still writes must be done before its file is closed.
        self._threads = StoreThreads("files", 4, abandon_seconds=3600)
        self._ready = False

    def __repr__(self) -> str:
        return f"FolderFileStore({str(self._root)!r})"

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
        path = self._path(key)
        kind = parse_content_type(content_type)
        draft = await self._threads.run(self._begin)
        try:
            async for chunk in iterate_chunks(data):
                if draft.size + len(chunk) > self._max_file_bytes:
                    raise FileTooBigError(f"a file has at most {self._max_file_bytes} bytes")
                await self._threads.run(draft.write, chunk)
            return await self._threads.run(
                self._commit, draft, key, path, kind, if_absent=if_absent, if_match=if_match
            )
        finally:
            await self._threads.run(draft.discard)

    async def get(
        self, key: str, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[bytes]:
        """See `FileStore.get`."""
        first, last = check_range(start, end)
        file, info = await self._threads.run(self._open, key)
        last = info.bytes if last is None else min(last, info.bytes)
        return self._chunks(file, first, last)

    async def _chunks(self, file: BinaryIO, first: int, last: int) -> AsyncIterator[bytes]:
        with file:
            await self._threads.run(file.seek, HEADER_BYTES + first)
            left = last - first
            while left > 0:
                chunk = await self._threads.run(file.read, min(left, CHUNK_BYTES))
                if not chunk:
                    raise DamagedFileError("the file is shorter than its header says")
                left -= len(chunk)
                yield chunk

    async def read(self, key: str, max_bytes: int) -> bytes:
        """See `FileStore.read`."""
        return await self._threads.run(self._read, key, max_bytes)

    async def stat(self, key: str) -> FileInfo:
        """See `FileStore.stat`."""
        return await self._threads.run(self._stat, key)

    async def list(self, prefix: str, *, limit: int, cursor: str | None = None) -> Page[FileInfo]:
        """See `FileStore.list`."""
        parse_prefix(prefix)
        after = "" if cursor is None else str(parse_cursor(cursor, (str,))[0])
        return await self._threads.run(self._list, prefix, bound_limit(limit), after)

    async def delete(self, key: str) -> None:
        """See `FileStore.delete`."""
        await self._threads.run(self._delete, self._path(key))

    async def presign_get(self, key: str, expires_seconds: int) -> PresignedUrl | None:
        """Return None: the hub serves a folder itself."""
        return None

    async def presign_put(
        self, key: str, expires_seconds: int, *, bytes: int, sha256: str
    ) -> PresignedUrl | None:
        """Return None: the hub takes files for a folder itself."""
        return None

    async def check(self) -> None:
        """See `FileStore.check`."""
        key = f"writ-check/{secrets.token_hex(8)}"
        await self.put(key, b"check", if_absent=True)
        try:
            if await self.read(key, 16) != b"check":
                raise DamagedFileError("what was written came back changed")
        finally:
            await self.delete(key)

    @property
    def heeds_conditions(self) -> bool:
        """Always: conditions are looked at under a lock."""
        return True

    async def close(self) -> None:
        """See `FileStore.close`."""
        self._threads.close()

    # --- in threads -------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._root / f"{parse_key(key)}{FILE_MARK}"

    def _begin(self) -> _Draft:
        with _coded():
            if not self._ready:
                for folder in (self._root, self._root / TEMPORARY, self._root / LOCKS):
                    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _remove_stale(self._root / TEMPORARY)
                self._ready = True
            path = self._root / TEMPORARY / secrets.token_hex(16)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            file = os.fdopen(descriptor, "wb")
            file.seek(HEADER_BYTES)
            return _Draft(path, file, hashlib.sha256())

    def _commit(
        self,
        draft: _Draft,
        key: str,
        path: Path,
        content_type: str,
        *,
        if_absent: bool,
        if_match: str | None,
    ) -> FileInfo:
        sha256 = draft.digest.hexdigest()
        header = {"contentType": content_type, "sha256": sha256, "bytes": draft.size}
        with _coded():
            draft.file.seek(0)
            draft.file.write(json.dumps(header).encode().ljust(HEADER_BYTES - 1) + b"\n")
            draft.file.flush()
            os.fsync(draft.file.fileno())
            with self._locked(key):
                if if_absent or if_match is not None:
                    self._check_condition(key, if_absent=if_absent, if_match=if_match)
                self._make_folders(path.parent)
                draft.path.rename(path)
                _sync_folder(path.parent)
                return self._stat(key)

    def _check_condition(self, key: str, *, if_absent: bool, if_match: str | None) -> None:
        try:
            found: str | None = self._stat(key).etag
        except NotFoundError:
            found = None
        if (if_absent and found is not None) or (if_match is not None and found != if_match):
            raise ConflictError(f"the file {key} is not as the write demands")

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        stripe = zlib.crc32(key.encode()) % LOCK_STRIPES
        with open(self._root / LOCKS / str(stripe), "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _make_folders(self, folder: Path) -> None:
        missing = []
        while not folder.exists():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(each.parent)

    def _open(self, key: str) -> tuple[BinaryIO, FileInfo]:
        path = self._path(key)
        with _coded(missing=key):
            file = path.open("rb")
        try:
            return file, _parse_header(key, file)
        except BaseException:
            file.close()
            raise

    def _stat(self, key: str) -> FileInfo:
        file, info = self._open(key)
        file.close()
        return info

    def _read(self, key: str, max_bytes: int) -> bytes:
        file, info = self._open(key)
        with file, _coded():
            if info.bytes > max_bytes:
                raise FileTooBigError(f"{key} has {info.bytes} bytes, {max_bytes} can be read")
            content = file.read(info.bytes)
        if hashlib.sha256(content).hexdigest() != info.sha256:
            raise DamagedFileError(f"{key} is not what was put there")
        return content

    def _list(self, prefix: str, limit: int, after: str) -> Page[FileInfo]:
        infos: list[FileInfo] = []
        with _coded():
            for key in _iterate_keys(self._root, "", prefix, after):
                if len(infos) == limit:
                    return Page(tuple(infos), encode_cursor([infos[-1].key]))
                with contextlib.suppress(NotFoundError):  # removed since it was seen
                    infos.append(self._stat(key))
        return Page(tuple(infos))

    def _delete(self, path: Path) -> None:
        with _coded(), contextlib.suppress(FileNotFoundError):
            path.unlink()
            _sync_folder(path.parent)
            # Folders stay: removing an empty one would race with a write that has just made it.


@contextlib.contextmanager
def _coded(*, missing: str | None = None) -> Iterator[None]:
    """Turn an error of the system into one of the store's."""
    try:
        yield
    except OSError as exc:
        text = os.strerror(exc.errno or 0)
        if missing is not None and exc.errno in (errno.ENOENT, errno.ENOTDIR):
            raise NotFoundError(f"no file {missing}") from None
        if exc.errno in _REFUSED:
            raise FileStoreRefusedError(f"the folder of files: {text}") from exc
        raise UnavailableError(f"the folder of files: {text}") from exc


def _parse_header(key: str, file: BinaryIO) -> FileInfo:
    status = os.fstat(file.fileno())
    try:
        header = json.loads(file.read(HEADER_BYTES))
        size, sha256, kind = header["bytes"], header["sha256"], header["contentType"]
    except (ValueError, KeyError, TypeError):
        raise DamagedFileError(f"{key} has no header") from None
    if size != status.st_size - HEADER_BYTES:
        raise DamagedFileError(f"{key} is not as long as its header says")
    modified = datetime.fromtimestamp(status.st_mtime_ns // 1_000_000 / 1000, UTC)
    return FileInfo(key, size, sha256[:32], modified, kind, sha256)


def _iterate_keys(folder: Path, base: str, prefix: str, after: str) -> Iterator[str]:
    """Yield keys below `folder` in the order of their bytes, those up to `after` left out."""
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    names.append(f"{base}{entry.name}/")
                elif entry.name.endswith(FILE_MARK):
                    names.append(base + entry.name.removesuffix(FILE_MARK))
    except FileNotFoundError:
        return
    # A folder sorts by its slash, so that keys come out as one sort over all of them would.
    for name in sorted(names):
        if not name.endswith("/"):
            if name.startswith(prefix) and name > after:
                yield name
        elif (name.startswith(prefix) or prefix.startswith(name)) and (
            name > after or after.startswith(name)
        ):
            yield from _iterate_keys(folder / name[len(base) : -1], name, prefix, after)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_stale(folder: Path) -> None:
    """Remove drafts that a crash has left; younger ones may belong to another process."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                path.unlink()
