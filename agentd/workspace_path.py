"""The names by which orders speak of files: relative, and never leading out of the workspace.

Owns the lexical half of the workspace's boundary, pure. `workspace` owns the other half (links and
races), and would hold without this one: this half exists to name an attempt as what it is.
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote

from agentd.errors import ExecutorError

MAX_PATH_BYTES = 4096
MAX_NAME_BYTES = 255
MAX_DECODINGS = 4
"""Percent signs inside percent signs are undone this often when looking for a way out."""

_OVERLONG = {
    re.compile(r"%c0%ae|%e0%80%ae", re.IGNORECASE): ".",
    re.compile(r"%c0%af|%e0%80%af|%c1%9c", re.IGNORECASE): "/",
}


def outside(path: str) -> ExecutorError:
    """Return the error for a path that leads out of the workspace."""
    return ExecutorError("outside_workspace", f"{path[:200]!r} leads out of the workspace")


def parse_path(path: str) -> tuple[str, ...]:
    """Return the names that `path` walks through, with `.` and `..` already resolved.

    An empty tuple is the workspace itself. A percent sign or a backslash is a character like any
    other, unless reading it as an encoding would lead out of the workspace.

    Raises:
        ExecutorError: `outside_workspace` when it is absolute, climbs out, or would once decoded;
            `bad_path` when no file can have this name.
    """
    if "\0" in path:
        raise outside(path)
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise outside(ascii(path)) from None
    if len(encoded) > MAX_PATH_BYTES:
        raise ExecutorError("bad_path", f"a path has at most {MAX_PATH_BYTES} bytes")
    names = _resolve(path)
    if names is None or any(_resolve(reading) is None for reading in _decoded_readings(path)):
        raise outside(path)
    if any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        raise ExecutorError("bad_path", f"a name has at most {MAX_NAME_BYTES} bytes")
    return names


def _resolve(path: str) -> tuple[str, ...] | None:
    """Return the names of `path`, or None when it is absolute or climbs above its start."""
    if path.startswith("/"):
        return None
    names: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            names.append(part)
        elif names:
            names.pop()
        else:
            return None
    return tuple(names)


def _decoded_readings(path: str) -> list[str]:
    """Return what careless software between here and the disk might take `path` for."""
    readings = []
    for _ in range(MAX_DECODINGS):
        for pattern, plain in _OVERLONG.items():
            path = pattern.sub(plain, path)
        folded = unicodedata.normalize("NFKC", path).replace("\\", "/")
        readings.append(folded)
        decoded = unquote(path, errors="replace")
        if decoded == path:
            break
        path = decoded
    return readings
