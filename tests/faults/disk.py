"""A disk that is full when a test says so, for one process's folder.

Where we may mount one it is a small file system of its own, and full is full. Elsewhere the process
is allowed no file that grows (RLIMIT_FSIZE), which a database meets as an error of the disk too.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from pathlib import Path
from typing import Final

_SIZE: Final = "48m"
_BLOCK: Final = 64 * 1024


class SmallDisk:
    """The disk below `folder`, which is made; `remove` it at the end."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        self._folder = folder
        options = f"size={_SIZE},mode=0700"
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        self.is_own = (
            os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
        )

    def fill(self, pid: int) -> None:
        """Leave no room to the process."""
        if not self.is_own:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, hard))
            return
        with contextlib.suppress(OSError), (self._folder / "filler").open("wb", 0) as filler:
            for size in (_BLOCK, 1_024, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)

    def free(self, pid: int) -> None:
        """Give it room again."""
        if not self.is_own:
            hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            return
        (self._folder / "filler").unlink()

    def remove(self) -> None:
        """Unmount it, with everything on it."""
        if self.is_own:
            subprocess.run(["umount", "-l", str(self._folder)], check=False, capture_output=True)
