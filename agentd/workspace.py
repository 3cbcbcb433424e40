"""The folder an agent works in: what orders can do with its files.

Every path goes through `workspace_walk`, which cannot be led out. Knows nothing of orders. All
methods block: call them from a worker thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import ExecutorError
from agentd.workspace_path import outside, parse_path
from agentd.workspace_walk import (
    CHUNK_BYTES,
    FILE_FLAGS,
    FOLDER_FLAGS,
    TEMPORARY_PREFIX,
    Entry,
    Place,
    Stop,
    coded,
    hold_place,
    identify_folders,
    is_hidden,
    open_regular,
    read_at_most,
    stat_place,
    walk_folder,
    write_all,
)

DEFAULT_MAX_FILE_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Written:
    """A file as it stands after a write: its size and the hex SHA-256 of all of it."""

    bytes: int
    sha256: str


class Workspace:
    """A folder tree that orders may read and write.

    Args:
        root: made with mode 0700 where it is missing.
        max_file_bytes: the largest file that a write may leave behind.
        hidden: folders that count as outside even where they lie below, such as the one with the
            agent's key.
    """

    def __init__(
        self,
        root: Path,
        *,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        hidden: Iterable[Path] = (),
    ) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root = root.resolve(strict=True)
        self.max_file_bytes = max_file_bytes
        self._hidden = identify_folders(hidden)

    @contextlib.contextmanager
    def open_root(self) -> Iterator[int]:
        """Hold a descriptor of the workspace itself; closed at the end of the block."""
        with coded("."):
            descriptor = os.open(self.root, FOLDER_FLAGS)
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
        with coded(path), self._open_file(path, os.O_RDONLY) as descriptor:
            size = os.fstat(descriptor).st_size
            if size > max_bytes:
                raise ExecutorError(
                    "output_too_big", f"{path!r} has {size} bytes, {max_bytes} can be read"
                )
            # It may grow while it is read: the bound holds for what is read, not for `size`.
            content = read_at_most(descriptor, max_bytes + 1)
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
        with coded(path), self._place(path, make_folders=True) as place:
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
        with coded(path), self._open_folder(path) as (descriptor, names):
            for entry, _ in walk_folder(
                descriptor, names, self._hidden, recursive=recursive, stop=stop
            ):
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
        with coded(path):
            with self._place(path) as place:
                found = stat_place(place)
            if stat.S_ISREG(found.st_mode):
                yield "/".join(parse_path(path)), self.read(path, max_bytes=max_file_bytes)
                return
            with self._open_folder(path) as (descriptor, names):
                for entry, folder in walk_folder(
                    descriptor, names, self._hidden, recursive=True, stop=stop
                ):
                    if entry.kind != "file" or entry.bytes > max_file_bytes:
                        continue
                    name = entry.path.rpartition("/")[2]
                    with contextlib.suppress(OSError, ExecutorError):
                        with open_regular(Place(folder, name), os.O_RDONLY) as opened:
                            content = read_at_most(opened, max_file_bytes)
                        yield entry.path, content

    @contextlib.contextmanager
    def _place(self, path: str, *, make_folders: bool = False) -> Iterator[Place]:
        with (
            self.open_root() as root,
            hold_place(root, path, self._hidden, make_folders=make_folders) as place,
        ):
            yield place

    @contextlib.contextmanager
    def _open_file(self, path: str, flags: int) -> Iterator[int]:
        with self._place(path) as place:
            if not place.name:
                raise ExecutorError("not_a_file", f"{path!r} is a folder")
            with open_regular(place, flags) as descriptor:
                yield descriptor

    @contextlib.contextmanager
    def _open_folder(self, path: str) -> Iterator[tuple[int, tuple[str, ...]]]:
        with self._place(path) as place:
            descriptor = os.open(place.name or ".", FOLDER_FLAGS, dir_fd=place.folder)
            try:
                if place.name and is_hidden(descriptor, self._hidden):
                    raise outside(path)
                yield descriptor, parse_path(path)
            finally:
                os.close(descriptor)

    # --- writing ----------------------------------------------------------------------------

    def _replace(self, path: str, place: Place, content: bytes) -> Written:
        self._check_size(path, len(content))
        mode = 0o600
        with contextlib.suppress(FileNotFoundError):
            found = stat_place(place)
            if not stat.S_ISREG(found.st_mode):
                raise ExecutorError("not_a_file", f"{path!r} is not a regular file")
            mode = stat.S_IMODE(found.st_mode) & 0o777
        temporary = TEMPORARY_PREFIX + secrets.token_hex(8)
        flags = FILE_FLAGS | os.O_WRONLY | os.O_CREAT | os.O_EXCL
        descriptor = os.open(temporary, flags, 0o600, dir_fd=place.folder)
        try:
            try:
                write_all(descriptor, content)
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

    def _append(self, path: str, place: Place, content: bytes) -> Written:
        with open_regular(place, os.O_RDWR | os.O_APPEND | os.O_CREAT) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            found = os.fstat(descriptor)
            if found.st_nlink > 1:
                # Another of its names may lie outside, and appending would write there.
                raise outside(path)
            self._check_size(path, found.st_size + len(content))
            try:
                write_all(descriptor, content)
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
