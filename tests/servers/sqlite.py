"""A migrated, empty SQLite file to begin with: migrating anew for every test would be most of it.

What migrating does is tested in tests/storage, on files without any schema.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from functools import cache
from pathlib import Path

from storage.database import Database


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory(prefix="writ-template-") as folder:
        path = Path(folder) / "hub.db"

        async def migrate() -> None:
            await (await Database.open(f"sqlite+aiosqlite:///{path}")).close()

        # Whoever asks may be in a loop already.
        thread = threading.Thread(target=lambda: asyncio.run(migrate()))
        thread.start()
        thread.join()
        return path.read_bytes()


def lay_schema(path: Path) -> None:
    """Put a migrated database at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_migrated())


def lay_schema_of_new(data_dir: Path) -> None:
    """Put one where a hub that begins in `data_dir` looks for it; one that exists keeps its own."""
    if not any((data_dir / name).exists() for name in ("hub.db", "keys")):
        lay_schema(data_dir / "hub.db")
