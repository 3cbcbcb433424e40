"""Fixtures of the hub's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.hubs import ServedHub, serve


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A new hub on SQLite, served on a free port."""
    async with serve(tmp_path / "hub") as one:
        yield one
