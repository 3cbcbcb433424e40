"""Replaces several files of `keys/` as one step that a crash cannot break in two.

The new files are written into `keys/next/`; renaming that folder to `keys/commit/` is the moment
of the change. Whoever loads the keys afterwards first moves what lies there into place, as often
as it takes. Knows files only, not what they mean.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from controlplane.key_files import sync_folder

_NEXT: Final = "next"
_COMMIT: Final = "commit"


def change_files(folder: Path, write: Callable[[Path], None]) -> None:
    """Replace files of `folder` by those that `write` puts into the folder it is given.

    Whatever happens, afterwards or at the next `finish_change` either all of them are new or none.

    Raises:
        KeyFileError, OSError: nothing was changed.
    """
    finish_change(folder)
    upcoming = folder / _NEXT
    shutil.rmtree(upcoming, ignore_errors=True)
    upcoming.mkdir(mode=0o700)
    write(upcoming)
    sync_folder(upcoming)
    upcoming.rename(folder / _COMMIT)
    sync_folder(folder)
    finish_change(folder)


def finish_change(folder: Path) -> None:
    """Move the files of a committed change into place; nothing when there is none."""
    committed = folder / _COMMIT
    if not committed.is_dir():
        return
    for path in sorted(committed.iterdir()):
        os.replace(path, folder / path.name)
    sync_folder(folder)
    committed.rmdir()
    sync_folder(folder)
