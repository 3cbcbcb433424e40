"""One archive with everything a hub is: keys, database, files. Knows SQLite and folders only.

A Postgres database and an S3 store have backups of their own kind; for those the archive holds
the keys and says what it does not hold.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from controlplane.errors import HubError
from controlplane.key_files import make_private_folder
from controlplane.settings import SECRETS_KEY_FILE, HubSettings

MANIFEST = "manifest.json"
FORMAT = 1


class BackupError(HubError):
    """An archive that cannot be written, or must not be read."""

    code = "backup"


def write_backup(settings: HubSettings, file: Path) -> dict[str, Any]:
    """Write the archive (mode 0600, whole or not at all) and return what is in it.

    The database is copied through SQLite's own backup, so that a running hub does not disturb it
    and is not disturbed.

    Raises:
        BackupError: no hub in the data folder, or `file` exists or cannot be written.
    """
    if not settings.keys_dir.is_dir():
        raise BackupError(f"no hub in {settings.data_dir}")
    if file.exists():
        raise BackupError(f"{file} exists")
    part = file.with_name(file.name + ".part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive:
            members = _add_members(archive, settings)
            manifest = json.dumps({"format": FORMAT, "members": members}).encode()
            info = tarfile.TarInfo(MANIFEST)
            info.size, info.mode = len(manifest), 0o600
            archive.addfile(info, io.BytesIO(manifest))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(file)
    except BackupError:
        part.unlink(missing_ok=True)
        raise
    except (OSError, sqlite3.Error) as exc:
        part.unlink(missing_ok=True)
        raise BackupError(f"{file} cannot be written: {exc}") from exc
    made: dict[str, Any] = {"file": str(file), "members": members, "bytes": file.stat().st_size}
    if settings.secrets_key_file is not None:
        made["notInIt"] = str(settings.secrets_key_file)
    return made


def read_backup(settings: HubSettings, file: Path) -> dict[str, Any]:
    """Make the data folder from an archive and return what was restored.

    Raises:
        BackupError: the folder is not empty, or the archive is not one of ours or is damaged.
    """
    folder = settings.data_dir
    if folder.exists() and any(folder.iterdir()):
        raise BackupError(f"{folder} is not empty; a restore never overwrites")
    make_private_folder(folder)
    try:
        with tarfile.open(file, mode="r:gz") as archive:
            names = archive.getnames()
            if MANIFEST not in names:
                raise BackupError(f"{file} is not a backup of a hub")
            # the data filter refuses absolute names, `..`, links out of the folder and devices
            archive.extractall(folder, filter="data")
    except (OSError, tarfile.TarError, EOFError) as exc:
        raise BackupError(f"{file} cannot be read: {exc}") from exc
    manifest = json.loads((folder / MANIFEST).read_text())
    if manifest.get("format") != FORMAT:
        raise BackupError(f"{file} was written by another version")
    (folder / MANIFEST).unlink()
    (folder / "keys").chmod(0o700)
    for path in (folder / "keys").iterdir():
        path.chmod(0o600)
    return {"dataDir": str(folder), "members": manifest["members"]}


def _add_members(archive: tarfile.TarFile, settings: HubSettings) -> list[str]:
    members = ["keys"]
    secrets_key = settings.keys_dir / SECRETS_KEY_FILE
    kept = secrets_key.read_bytes() if secrets_key.exists() else None
    archive.add(settings.keys_dir, "keys")
    url = settings.effective_database_url
    if url.startswith("sqlite"):
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(scratch) / "hub.db"
            source = f"file:{url.partition(':///')[2]}?mode=ro"
            with (
                closing(sqlite3.connect(source, uri=True)) as live,
                closing(sqlite3.connect(copy)) as saved,
            ):
                live.backup(saved)
            archive.add(copy, "hub.db")
        members.append("hub.db")
    if kept is not None and secrets_key.read_bytes() != kept:
        raise BackupError("the key of the secrets was changed meanwhile: run it again")
    files = Path(settings.effective_files_url)
    if "://" not in settings.effective_files_url and files.is_dir():
        archive.add(files, "files")
        members.append("files")
    return members
