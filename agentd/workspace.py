"""The folder an agent works in, and a way through it that cannot lead out.

Owns the walk: every path is opened one name at a time from a held folder descriptor, never
following a link; a link is read and its target walked in the same way. So a link, or a folder
swapped for one in mid-operation, cannot lead out, and what a check saw is what is used.
Knows nothing of orders. All methods block: call them from a worker thread.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentd.errors import ExecutorError
from agentd.workspace_path import outside, parse_path

Kind = Literal["file", "folder", "link", "other"]
Stop = Callable[[], bool]

MAX_LINKS = 40
MAX_WALK_DEPTH = 64
CHUNK_BYTES = 1024 * 1024
TEMPORARY_PREFIX = ".writ-tmp-"
DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never block on a fifo and never become the terminal's owner, whatever the name turns out to be.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_CODES = {
    errno.ENOENT: "not_found",
    errno.ENOTDIR: "not_a_folder",
    errno.EISDIR: "not_a_file",
    errno.EEXIST: "already_exists",
    errno.EACCES: "permission_denied",
    errno.EPERM: "permission_denied",
    errno.EROFS: "permission_denied",
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "file_too_big",
    errno.ENAMETOOLONG: "bad_path",
    errno.ELOOP: "outside_workspace",
    errno.ENXIO: "not_a_file",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder; `path` is relative to the workspace, `bytes` is 0 for all but files."""

    path: str
    kind: Kind
    bytes: int


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it stands after a write: its size and the hex SHA-256 of all of it."""

    bytes: int
    sha256: str


@dataclass(slots=True)
class _Place:
    """A name in an open folder, links resolved. `name` is empty for the workspace itself."""

    folder: int
    name: str


class Workspace:
    """A folder tree that orders may read and write.

    Args:
        root: made with mode 0700 where it is missing.
        max_file_bytes: the largest file that a write may leave behind.
    """

    def __init__(self, root: Path, *, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root.resolve(strict=True)
        self.max_file_bytes = max_file_bytes

    @contextlib.contextmanager
    def open_root(self) -> Iterator[int]:
        """Hold a descriptor of the workspace itself; closed at the end of the block."""
        with _coded("."):
            descriptor = os.open(self.root, _FOLDER)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def read(self, path: str, *, max_bytes: int) -> bytes:
        """Return the content of the file at `path`.

        Raises:
            ExecutorError: `outside_workspace`, `not_found`, `not_a_file`, `output_too_big` (more
                than `max_bytes`), `permission_denied`, `io_error`.
        """
        with _coded(path), self._open_file(path, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > max_bytes:
                raise ExecutorError(
                    "output_too_big", f"{path!r} has {size} bytes, {max_bytes} can be read"
                )
            # It may grow while it is read: the bound holds for what is read, not for `size`.
            content = _read_at_most(descriptor, max_bytes + 1)
            if len(content) > max_bytes:
                raise ExecutorError("output_too_big", f"{path!r} has over {max_bytes} bytes")
            return content

    def write(self, path: str, content: bytes, *, append: bool = False) -> Written:
        """Make `content` the file at `path`, or its new end; missing folders are made.

        Without `append` the file changes at once or not at all, and is on the disk afterwards; a
        name with several hard links gets a file of its own. With `append` a failure cuts the file
        back to what it was.

        Raises:
            ExecutorError: as `read`, and `file_too_big`, `disk_full`.
        """
        with _coded(path), self._place(path, make_folders=True) as place:
            if not place.name:
                raise ExecutorError("not_a_file", f"{path!r} is a folder")
            if append:
                return self._append(path, place, content)
            return self._replace(path, place, content)

    def list(
        self, path: str, *, recursive: bool, max_entries: int, stop: Stop = lambda: False
    ) -> tuple[list[Entry], bool]:
        """Return what the folder at `path` holds, sorted, and whether there was more.

        Links are shown and never followed.

        Raises:
            ExecutorError: as `read`, and `not_a_folder`.
        """
        entries: list[Entry] = []
        with _coded(path), self._open_folder(path) as (descriptor, names):
            for entry, _ in _walk(descriptor, names, recursive=recursive, stop=stop):
                if len(entries) == max_entries:
                    return entries, True
                entries.append(entry)
        return entries, False

    def iterate_files(
        self, path: str, *, max_file_bytes: int, stop: Stop = lambda: False
    ) -> Iterator[tuple[str, bytes]]:
        """Yield path and content of every file at or under `path`; bigger ones are passed over.

        A file that vanishes or cannot be read meanwhile is passed over too.

        Raises:
            ExecutorError: as `list`.
        """
        with _coded(path):
            with self._place(path) as place:
                found = _stat(place)
            if stat.S_ISREG(found.st_mode):
                yield "/".join(parse_path(path)), self.read(path, max_bytes=max_file_bytes)
                return
            with self._open_folder(path) as (descriptor, names):
                for entry, folder in _walk(descriptor, names, recursive=True, stop=stop):
                    if entry.kind != "file" or entry.bytes > max_file_bytes:
                        continue
                    name = entry.path.rpartition("/")[2]
                    with contextlib.suppress(OSError, ExecutorError):
                        with _open_regular(_Place(folder, name), os.O_RDONLY) as opened:
                            content = _read_at_most(opened, max_file_bytes)
                        yield entry.path, content

    # --- the walk ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _place(self, path: str, *, make_folders: bool = False) -> Iterator[_Place]:
        """Hold the folder that `path` ends in, every link on the way resolved inside."""
        pending = list(reversed(parse_path(path)))
        with self.open_root() as root, contextlib.ExitStack() as held:
            folders, names = [root], [""]
            links = 0
            while pending:
                name = pending.pop()
                if name == "..":
                    if len(folders) == 1:
                        raise outside(path)
                    folders.pop()
                    names.pop()
                    continue
                target = _read_link(folders[-1], name)
                if target is not None:
                    links += 1
                    if links > MAX_LINKS or target.startswith("/"):
                        raise outside(path)
                    parts = [part for part in target.split("/") if part not in ("", ".")]
                    pending.extend(reversed(parts))
                    continue
                if not pending:
                    yield _Place(folders[-1], name)
                    return
                folders.append(_open_step(folders[-1], name, make=make_folders))
                held.callback(os.close, folders[-1])
                names.append(name)
            # The path is a folder that the walk already stands in: name it from its parent.
            if len(folders) == 1:
                yield _Place(root, "")
            else:
                yield _Place(folders[-2], names[-1])

    @contextlib.contextmanager
    def _open_file(self, path: str, flags: int) -> Iterator[int]:
        with self._place(path) as place:
            if not place.name:
                raise ExecutorError("not_a_file", f"{path!r} is a folder")
            with _open_regular(place, flags) as descriptor:
                yield descriptor

    @contextlib.contextmanager
    def _open_folder(self, path: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        with self._place(path) as place:
            descriptor = os.open(place.name or ".", _FOLDER, dir_fd=place.folder)
            try:
                yield descriptor, parse_path(path)
            finally:
                os.close(descriptor)

    # --- writing ----------------------------------------------------------------------------

    def _replace(self, path: str, place: _Place, content: bytes) -> Written:
        self._check_size(path, len(content))
        mode = 0o600
        with contextlib.suppress(FileNotFoundError):
            found = _stat(place)
            if not stat.S_ISREG(found.st_mode):
                raise ExecutorError("not_a_file", f"{path!r} is not a regular file")
            mode = stat.S_IMODE(found.st_mode) & 0o777
        temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
        flags = _FILE | os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(temporary, flags, 0o600, dir_fd=place.folder)
        try:
            try:
                _write_all(descriptor, content)
                os.fchmod(descriptor, mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, place.name, src_dir_fd=place.folder, dst_dir_fd=place.folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=place.folder)
            raise
        os.fsync(place.folder)
        return Written(len(content), hashlib.sha256(content).hexdigest())

    def _append(self, path: str, place: _Place, content: bytes) -> Written:
        with _open_regular(place, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if found.st_nlink > 1:
                # Another of its names may lie outside, and appending would write there.
                raise outside(path)
            self._check_size(path, found.st_size + len(content))
            try:
                _write_all(descriptor, content)
                os.fsync(descriptor)
            except BaseException:
                os.ftruncate(descriptor, found.st_size)
                raise
            os.fsync(place.folder)
            digest, size = hashlib.sha256(), 0
            os.lseek(descriptor, 0, os.SEEK_SET)
            while chunk := os.read(descriptor, CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
            return Written(size, digest.hexdigest())

    def _check_size(self, path: str, size: int) -> None:
        if size > self.max_file_bytes:
            raise ExecutorError(
                "file_too_big", f"{path!r} would have {size} bytes, {self.max_file_bytes} may be"
            )


@contextlib.contextmanager
def _coded(path: str) -> Iterator[None]:
    """Turn an error of the system into one with a code, naming the order's own path only."""
    try:
        yield
    except OSError as exc:
        code = _CODES.get(exc.errno or 0, "io_error")
        raise ExecutorError(code, f"{path[:200]!r}: {os.strerror(exc.errno or 0)}") from exc


def _stat(place: _Place) -> os.stat_result:
    return os.stat(place.name or ".", dir_fd=place.folder, follow_symlinks=False)


def _read_link(folder: int, name: str) -> str | None:
    """Return where the link `name` points, or None when it is no link or does not exist."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as exc:
        if exc.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _open_step(folder: int, name: str, *, make: bool) -> int:
    """Open the folder `name`; a link that took its place since it was looked at is refused."""
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
        os.fsync(folder)
    return os.open(name, _FOLDER, dir_fd=folder)


@contextlib.contextmanager
def _open_regular(place: _Place, flags: int) -> Iterator[int]:
    """Hold the regular file at `place` open; nothing else is ever opened, not even briefly."""
    try:
        before = _stat(place).st_mode
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    else:
        if not stat.S_ISREG(before):
            raise ExecutorError("not_a_file", f"{place.name!r} is not a regular file")
    descriptor = os.open(place.name, flags | _FILE, 0o600, dir_fd=place.folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ExecutorError("not_a_file", f"{place.name!r} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def _read_at_most(descriptor: int, max_bytes: int) -> bytes:
    chunks, left = [], max_bytes
    while left and (chunk := os.read(descriptor, min(left, CHUNK_BYTES))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def _write_all(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _walk(
    folder: int, names: tuple[str, ...], *, recursive: bool, stop: Stop
) -> Iterator[tuple[Entry, int]]:
    """Yield the entries of an open folder in order, each with the descriptor it lies in."""
    for name in sorted(os.listdir(folder)):
        if stop():
            return
        if name.startswith(TEMPORARY_PREFIX):
            continue
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        inner = (*names, name)
        # A name that is no UTF-8 has no JSON form; shown with marks, it cannot be asked for.
        shown = os.fsencode("/".join(inner)).decode(errors="replace")
        kind = _kind(found.st_mode)
        yield Entry(shown, kind, found.st_size if kind == "file" else 0), folder
        if kind != "folder" or not recursive or len(inner) >= MAX_WALK_DEPTH:
            continue
        try:
            deeper = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:
            continue
        try:
            yield from _walk(deeper, inner, recursive=True, stop=stop)
        finally:
            os.close(deeper)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
