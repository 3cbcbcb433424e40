"""Every setting of the agent: read once, frozen, and each value knows where it came from.

Order of weight: flag > `WRIT_AGENT_X` > `WRIT_X` > TOML file > default; `WRIT_AGENT_X_FILE` reads
a value from a file, so that a secret never stands in the environment. The TOML file is
`config.toml` in the data folder unless another is named.
"""

from __future__ import annotations

import os
import re
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

from agentd.errors import HubAddressError, SettingsError
from protocol import limits
from protocol.messages.fields import Labels

CONFIG_FILE: Final = "config.toml"
SOCKET_PATH: Final = "/ws/agent"
MAX_HUB_ADDRESSES: Final = 16
_MAX_SETTING_FILE_BYTES: Final = 64 * 1024
_DID: Final = "did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}"
_LOOPBACK: Final = re.compile(r"localhost|127(\.\d{1,3}){3}|::1")
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def default_data_dir() -> Path:
    """Return where an agent keeps its data unless told otherwise."""
    import platformdirs

    return Path(platformdirs.user_data_dir("writ", appauthor=False)) / "agent"


def default_name() -> str:
    """Return the machine's name in the form agents are named (only a wish)."""
    name = re.sub(r"[^a-z0-9._-]+", "-", socket.gethostname().split(".")[0].lower())
    return name.strip("-._")[:63] or "agent"


class AgentSettings(BaseModel):
    """One agent's configuration. Times in seconds, sizes in bytes, rates per second."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path
    hub: str = ""
    """WebSocket URL of the hub; several, with commas, where it has several processes."""
    root: Annotated[str, Field(pattern=f"^({_DID})?$")] = ""
    join: SecretStr | None = None
    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,62}$")] = Field(
        default_factory=default_name
    )
    workspace: Path | None = None
    labels: Labels = {}
    require_operator_signature: bool = False
    trust_first_hub: bool = False
    insecure: bool = False
    accept_empty_state: bool = False
    key_passphrase: SecretStr | None = None

    health_port: Annotated[int, Field(ge=-1, le=65535)] = 0
    """Port of `/healthz` on 127.0.0.1; 0 takes a free one, -1 serves none."""
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"
    log_format: Annotated[str, Field(pattern="^(json|text)$")] = "text"

    ping_seconds: Seconds = limits.PING_SECONDS
    open_timeout_seconds: Seconds = 15
    reconnect_min_seconds: Seconds = limits.RECONNECT_MIN_SECONDS
    reconnect_max_seconds: Seconds = limits.RECONNECT_MAX_SECONDS
    rejected_retry_seconds: Seconds = limits.REJECTED_RETRY_SECONDS
    frames_per_second: Count = limits.FRAMES_PER_SECOND
    frames_burst: Count = limits.FRAMES_BURST
    result_resend_seconds: Seconds = 30
    checkpoint_proof_seconds: Seconds = limits.CHECKPOINT_PROOF_SECONDS
    upload_seconds: Seconds = 120
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 5
    max_running: Count = 64
    max_open_orders: Count = 10_000
    max_documents_per_signer: Count = 200_000

    peers: Mapping[str, Annotated[str, Field(pattern=f"^{_DID}$")]] = {}
    """The `[peers]` table: names of this agent's own for other agents' DIDs."""
    executors: Mapping[str, Any] = {}
    """The `[executors]` table; its form is `agentd.executors.settings`' concern."""

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    def origin(self, name: str) -> str:
        """Return where a value came from: flag, environment, file or default."""
        return self._origins.get(name, "default")

    @property
    def workspace_dir(self) -> Path:
        """The folder that orders may touch; `workspace` in the data folder unless set."""
        return self.workspace or self.data_dir / "workspace"


def load_settings(
    flags: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> AgentSettings:
    """Return the settings from flags (None is unset), environment, file and defaults.

    Raises:
        SettingsError: a value is wrong or unknown; the message names it and where it came from.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in flags.items() if value is not None}
    values, origins = _from_environment(environment)
    data_dir = Path(given.get("data_dir") or values.get("data_dir") or default_data_dir())
    path = config_file or data_dir / CONFIG_FILE
    merged: dict[str, Any] = {}
    if config_file is not None or path.exists():
        merged = _from_file(path)
        origins = {name: str(path) for name in merged} | origins
    merged.update(values)
    merged.update(given)
    merged.setdefault("data_dir", data_dir)
    origins.update(dict.fromkeys(given, "flag"))
    try:
        settings = AgentSettings.model_validate(merged)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(fault["loc"][0]) if fault["loc"] else "settings"
        raise SettingsError(f"{name} ({origins.get(name, 'default')}): {fault['msg']}") from None
    settings._origins.update(origins)
    return settings


def parse_hub_address(text: str, *, insecure: bool) -> str:
    """Return the WebSocket URL of a hub, `/ws/agent` included.

    Args:
        text: `ws://` or `wss://` URL, with or without the path; `http(s)://` is taken alike.
        insecure: allow plain `ws://` to other machines.

    Raises:
        HubAddressError: no such URL, or a plain one beyond this machine.
    """
    scheme, host, path, query, _ = parts = urlsplit(text.strip())
    scheme = {"http": "ws", "https": "wss"}.get(scheme, scheme)
    try:
        name = parts.hostname
        _ = parts.port
    except ValueError as exc:
        raise HubAddressError("the hub's address has no such port") from exc
    if scheme not in {"ws", "wss"} or not name or parts.username or query:
        raise HubAddressError("the hub's address is ws:// or wss://, a host and perhaps a port")
    if scheme == "ws" and not insecure and not is_loopback(name):
        raise HubAddressError("plain ws:// only to this machine; use wss:// (or --insecure)")
    trimmed = path.rstrip("/")
    if not trimmed.endswith(SOCKET_PATH):
        trimmed += SOCKET_PATH
    return urlunsplit((scheme, host, trimmed, "", ""))


def parse_hub_addresses(text: str, *, insecure: bool) -> tuple[str, ...]:
    """Return the WebSocket URLs of the processes of one hub, written with commas between.

    Raises:
        HubAddressError: one of them is none, or there are none or too many.
    """
    parts = [part for part in text.split(",") if part.strip()]
    if not 1 <= len(parts) <= MAX_HUB_ADDRESSES:
        raise HubAddressError(f"a hub has 1 to {MAX_HUB_ADDRESSES} addresses")
    return tuple(dict.fromkeys(parse_hub_address(part, insecure=insecure) for part in parts))


def is_loopback(host: str) -> bool:
    """Whether a host name can only mean this machine."""
    return _LOOPBACK.fullmatch(host) is not None


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name in AgentSettings.model_fields:
        for prefix in ("WRIT_AGENT_", "WRIT_"):
            variable = prefix + name.upper()
            text = environment.get(variable)
            if text is None and (source := environment.get(variable + "_FILE")) is not None:
                text = _read_text(Path(source), variable + "_FILE")
                variable += "_FILE"
            if text is not None:
                values[name] = _from_text(name, text)
                origins[name] = variable
                break
    return values, origins


def _from_text(name: str, text: str) -> Any:
    if name == "labels":
        return dict(parse_label(item) for item in text.split(",") if item)
    if name in ("executors", "peers"):
        raise SettingsError(f"{name} are set in the file only")
    return text


def parse_label(text: str) -> tuple[str, str]:
    """Return key and value of `key=value`.

    Raises:
        SettingsError: no `=`.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise SettingsError(f"a label is key=value, not {text[:80]!r}")
    return key.strip(), value.strip()


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_read_text(path, "--config"))
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(f"{path} is not TOML: {exc}") from exc


def _read_text(path: Path, origin: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SETTING_FILE_BYTES + 1)
    except OSError as exc:
        raise SettingsError(f"{origin}: cannot read {path}: {exc.strerror}") from exc
    if len(data) > _MAX_SETTING_FILE_BYTES:
        raise SettingsError(f"{origin}: {path} is too large")
    try:
        return data.decode().strip()
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{origin}: {path} is not UTF-8") from exc
