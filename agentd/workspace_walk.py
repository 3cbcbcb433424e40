"""The walk through the workspace, one name at a time from a held folder descriptor.

No link is ever followed by the system: it is read, and its target is walked in the same way. So a
link, or a folder swapped for one in mid-operation, cannot lead out, and what a check saw is what
is used. Everything here blocks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentd.errors import ExecutorError
from agentd.workspace_path import outside, parse_path

Kind = Literal["file", "folder", "link", "other"]
Stop = Callable[[], bool]
Hidden = frozenset[tuple[int, int]]
"""Device and inode of folders that count as outside although they lie below."""

MAX_LINKS = 40
MAX_WALK_DEPTH = 64
CHUNK_BYTES = 1024 * 1024
TEMPORARY_PREFIX = ".writ-tmp-"

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Never block on a fifo and never become the terminal's owner, whatever the name turns out to be.
FILE_FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

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


@dataclass(slots=True)
class Place:
    """A name in an open folder, links resolved. `name` is empty for the workspace itself."""

    folder: int
    name: str


def identify_folders(paths: Iterable[Path]) -> Hidden:
    """Return what `is_hidden` knows the existing ones of these folders by."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):
            status = path.stat()
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def is_hidden(descriptor: int, hidden: Hidden) -> bool:
    """Whether an open folder is one of those that count as outside."""
    status = os.fstat(descriptor)
    return (status.st_dev, status.st_ino) in hidden


@contextlib.contextmanager
def hold_place(
    root: int, path: str, hidden: Hidden, *, make_folders: bool = False
) -> Iterator[Place]:
    """Hold the folder that `path` ends in, every link on the way resolved below `root`.

    Raises:
        ExecutorError: `outside_workspace`, `bad_path`.
        OSError: a folder on the way cannot be opened.
    """
    pending = list(reversed(parse_path(path)))
    with contextlib.ExitStack() as held:
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
                yield Place(folders[-1], name)
                return
            folders.append(_open_step(folders[-1], name, make=make_folders))
            held.callback(os.close, folders[-1])
            if is_hidden(folders[-1], hidden):
                raise outside(path)
            names.append(name)
        # The path is a folder that the walk already stands in: name it from its parent.
        if len(folders) == 1:
            yield Place(root, "")
        else:
            yield Place(folders[-2], names[-1])


@contextlib.contextmanager
def coded(path: str) -> Iterator[None]:
    """Turn an error of the system into one with a code, naming the order's own path only."""
    try:
        yield
    except OSError as exc:
        code = _CODES.get(exc.errno or 0, "io_error")
        raise ExecutorError(code, f"{path[:200]!r}: {os.strerror(exc.errno or 0)}") from exc


def stat_place(place: Place) -> os.stat_result:
    """Return what lies at `place`, a link as itself."""
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
        return os.open(name, FOLDER_FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if not make:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=folder)
        os.fsync(folder)
    return os.open(name, FOLDER_FLAGS, dir_fd=folder)


@contextlib.contextmanager
def open_regular(place: Place, flags: int) -> Iterator[int]:
    """Hold the regular file at `place` open; nothing else is ever opened, not even briefly."""
    try:
        before = stat_place(place).st_mode
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    else:
        if not stat.S_ISREG(before):
            raise ExecutorError("not_a_file", f"{place.name!r} is not a regular file")
    descriptor = os.open(place.name, flags | FILE_FLAGS, 0o600, dir_fd=place.folder)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ExecutorError("not_a_file", f"{place.name!r} is not a regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def read_at_most(descriptor: int, max_bytes: int) -> bytes:
    """Return the next bytes of an open file, fewer only at its end."""
    chunks, left = [], max_bytes
    while left and (chunk := os.read(descriptor, min(left, CHUNK_BYTES))):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`, however little the system takes at a time."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def walk_folder(
    folder: int, names: tuple[str, ...], hidden: Hidden, *, recursive: bool, stop: Stop
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
            deeper = os.open(name, FOLDER_FLAGS, dir_fd=folder)
        except OSError:
            continue
        try:
            if not is_hidden(deeper, hidden):
                yield from walk_folder(deeper, inner, hidden, recursive=True, stop=stop)
        finally:
            os.close(deeper)


def _kind(mode: int) -> Kind:
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "link" if stat.S_ISLNK(mode) else "other"
