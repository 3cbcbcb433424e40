from __future__ import annotations

from tests.storage.conftest import sqlite_path, sqlite_template  # noqa: F401
