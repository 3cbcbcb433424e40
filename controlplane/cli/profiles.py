"""Hubs a person has logged in to: address, root and key, in one file that only they can read."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from controlplane.cli.failures import USAGE, CliError

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Profile:
    """One remembered hub."""

    name: str
    url: str
    api_key: str | None = None
    root: str | None = None


def profiles_path() -> Path:
    """Return the file; `WRIT_CONFIG_DIR` moves it (for tests and for shared machines)."""
    folder = os.environ.get("WRIT_CONFIG_DIR") or platformdirs.user_config_dir("writ")
    return Path(folder) / "profiles.json"


def load_profiles() -> dict[str, Profile]:
    """Return the remembered hubs by name; empty when there is no file.

    Raises:
        CliError: the file is unreadable, or readable for others.
    """
    path = profiles_path()
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise CliError(f"cannot read {path}: {exc.strerror}") from exc
    if mode & 0o077:
        raise CliError(f"{path} holds keys and is readable for others: chmod 600 it")
    try:
        rows = json.loads(data)["profiles"]
        found = {row["name"]: Profile(**row) for row in rows}
        if not all(isinstance(one.url, str) for one in found.values()):
            raise TypeError
        return found
    except (ValueError, KeyError, TypeError) as exc:
        raise CliError(f"{path} is damaged; delete it and log in again") from exc


def save_profiles(profiles: dict[str, Profile]) -> Path:
    """Write all profiles at once (0600, replaced atomically) and return the file."""
    path = profiles_path()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"profiles": [asdict(one) for one in profiles.values()]}, indent=2)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return path


def choose_profile(name: str | None) -> Profile | None:
    """Return the named profile, or `default`; None when nothing was asked and none exists."""
    profiles = load_profiles()
    if name is not None and name not in profiles:
        raise CliError(f"no profile {name!r}: see `writ profiles`", exit_code=USAGE)
    return profiles.get(name or DEFAULT)
