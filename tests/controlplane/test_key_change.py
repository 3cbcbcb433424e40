"""Files of `keys/` change together or not at all, wherever the machine stops."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.key_change import change_files, finish_change
from controlplane.key_files import save_private_bytes

OLD = {"a": b"old a", "b": b"old b", "kept": b"kept"}
NEW = {"a": b"new a", "b": b"new b", "kept": b"kept"}


class PowerCut(BaseException):
    """The machine stops here."""


def contents(folder: Path) -> dict[str, bytes]:
    return {one.name: one.read_bytes() for one in folder.iterdir() if one.is_file()}


def write(folder: Path) -> None:
    for name in ("a", "b"):
        save_private_bytes(folder / name, NEW[name])


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    for name, data in OLD.items():
        save_private_bytes(folder / name, data)
    return folder


def cut_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Stop before the `step`-th change of the file system."""
    count = 0

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                raise PowerCut
            return real(*args, **kwargs)

        return call

    for name in ("replace", "rename", "mkdir", "rmdir", "open", "fsync"):
        monkeypatch.setattr(os, name, counting(getattr(os, name)))


def test_a_cut_at_any_step_leaves_all_of_the_old_or_all_of_the_new(
    keys: Path, tmp_path: Path
) -> None:
    seen = set()
    for step in range(1, 200):
        folder = tmp_path / str(step) / "keys"
        shutil.copytree(keys, folder)
        folder.chmod(0o700)
        with pytest.MonkeyPatch.context() as patch:
            cut_at(patch, step)
            try:
                change_files(folder, write)
                done = True
            except PowerCut:
                done = False
        finish_change(folder)
        found = contents(folder)
        assert found in (OLD, NEW), step
        seen.add(found == NEW)
        # A second try is not disturbed by what the first has left.
        change_files(folder, write)
        assert contents(folder) == NEW
        if done:
            break
    assert done
    assert seen == {True, False}


def test_finishing_nothing_changes_nothing(keys: Path) -> None:
    finish_change(keys)
    assert contents(keys) == OLD
