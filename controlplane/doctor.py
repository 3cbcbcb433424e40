"""What `writ hub doctor` looks at: settings with their origins, and what is unsafe or broken."""

from __future__ import annotations

import importlib.util
import ipaddress
import shutil
from typing import Any, Literal

from pydantic import SecretStr

from controlplane.bus.open_bus import check_bus_server
from controlplane.identity import HubIdentity
from controlplane.settings import HubSettings
from controlplane.wrapping_keys import load_wrapping_keys
from protocol.errors import Error
from storage.database import Database

Verdict = Literal["ok", "unsafe", "broken"]
LOW_DISK_BYTES = 1024**3


async def examine(settings: HubSettings) -> dict[str, Any]:
    """Return `{"settings": [{name, value, origin}], "checks": [{name, verdict, says}]}`.

    Reads only; starts nothing, migrates nothing, and shows no secret.
    """
    rows = [
        {"name": name, "value": _shown(name, getattr(settings, name)), "origin": origin}
        for name, origin in settings.origins.items()
    ]
    checks = [
        _check_identity(settings),
        _check_root_key(settings),
        _check_listening(settings),
        _check_disk(settings),
        _check_conditions(),
        await _check_database(settings),
        await _check_bus(settings),
        _check_shared_files(settings),
        await _check_secrets(settings),
    ]
    return {"settings": rows, "checks": checks}


def _row(name: str, verdict: Verdict, says: str) -> dict[str, str]:
    return {"name": name, "verdict": verdict, "says": says}


def _shown(name: str, value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)"
    text = "" if value is None else str(value)
    if name.endswith("_url") and "@" in text:
        scheme, _, rest = text.partition("://")
        return f"{scheme}://***@{rest.rpartition('@')[2]}"
    return text


def _check_identity(settings: HubSettings) -> dict[str, str]:
    try:
        identity = HubIdentity.load(settings)
    except Error as exc:
        return _row("identity", "broken", f"{exc.message} [{exc.code}]")
    return _row("identity", "ok", f"hub {identity.hub_did} under root {identity.root_did}")


def _check_root_key(settings: HubSettings) -> dict[str, str]:
    path = settings.keys_dir / "root.pem"
    if path.exists():
        return _row("root_key", "unsafe", f"the root key lies beside the hub: {path}; take it away")
    return _row("root_key", "ok", "the root key is not in the hub's folder")


def _check_listening(settings: HubSettings) -> dict[str, str]:
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if loopback:
        return _row("listening", "ok", f"listens on {settings.host} only")
    if settings.public_url.startswith("https://"):
        return _row("listening", "ok", f"listens on {settings.host}, reached as https")
    says = f"listens on {settings.host} without TLS: put a TLS proxy in front, set public_url"
    return _row("listening", "unsafe", says)


def _check_disk(settings: HubSettings) -> dict[str, str]:
    folder = settings.data_dir
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    verdict: Verdict = "ok" if free > LOW_DISK_BYTES else "unsafe"
    return _row("disk", verdict, f"{free // 1024**2} MiB free in {folder}")


def _check_conditions() -> dict[str, str]:
    if importlib.util.find_spec("cel") is None:
        return _row("conditions", "unsafe", "no CEL engine: conditions cannot be tested here")
    return _row("conditions", "ok", "the CEL engine is installed")


async def _check_secrets(settings: HubSettings) -> dict[str, str]:
    path = settings.effective_secrets_key_file
    try:
        keys = load_wrapping_keys(path)
        database = await Database.open(settings.effective_database_url, create=False)
        try:
            in_force = await database.read(lambda uow: uow.wrapping_keys.list())
        finally:
            await database.close()
    except Error as exc:
        return _row("secrets", "broken", f"{exc.message} [{exc.code}]")
    if in_force and not any(one.id in keys.boxes for one in in_force):
        return _row("secrets", "broken", f"{path} does not hold the key of this database's secrets")
    if len(in_force) > 1:
        says = "a rotation of secrets was broken off: run `writ hub rotate-secrets` again"
        return _row("secrets", "unsafe", says)
    return _row("secrets", "ok", f"secrets are sealed under key {keys.present} of {path}")


async def _check_database(settings: HubSettings) -> dict[str, str]:
    try:
        database = await Database.open(settings.effective_database_url, create=False)
    except Error as exc:
        return _row("database", "broken", f"{exc.message} [{exc.code}]")
    try:
        await database.ping()
    except Error as exc:
        return _row("database", "broken", f"{exc.message} [{exc.code}]")
    finally:
        await database.close()
    return _row("database", "ok", "answers, and its schema is this version's")


async def _check_bus(settings: HubSettings) -> dict[str, str]:
    if not settings.bus_url:
        return _row("bus", "ok", "in process: this process is the whole hub")
    try:
        await check_bus_server(settings)
    except Error as exc:
        return _row("bus", "broken", f"{exc.message} [{exc.code}]")
    return _row("bus", "ok", "answers")


def _check_shared_files(settings: HubSettings) -> dict[str, str]:
    if settings.bus_url and not settings.files_url:
        says = "files go to this machine's folder: other processes of the hub do not find them"
        return _row("files", "unsafe", says)
    return _row(
        "files", "ok", settings.files_url.partition("?")[0] or "a folder in the data folder"
    )
