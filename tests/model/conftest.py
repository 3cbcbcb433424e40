from __future__ import annotations

from tests.storage.conftest import sqlite_path  # noqa: F401
