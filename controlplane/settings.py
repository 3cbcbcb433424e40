"""Every setting of the hub: read once, frozen, and each value knows where it came from.

Order of weight: flag > `WRIT_*` environment > TOML file > default. `WRIT_X_FILE` reads the value
of `x` from a file, so that a secret never stands in the environment.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
)

from controlplane.errors import SettingsError
from protocol import limits
from protocol.addresses import parse_networks

_MAX_SETTING_FILE_BYTES = 64 * 1024
_PUBLIC_URL = re.compile(
    r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+){0,8}/?"
)
"""Pages, links and redirects begin with it: an origin and a plain path, nothing that leads away."""
SECRETS_KEY_FILE = "secrets.key"
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


def default_data_dir() -> Path:
    """Return where a hub keeps its data unless told otherwise."""
    return Path(platformdirs.user_data_dir("writ", appauthor=False)) / "hub"


class OidcIssuer(BaseModel):
    """An OpenID provider, and what its groups mean here.

    `roles` maps a group to a role held everywhere (`operator`) or in a realm (`lab:operator`).
    With `sign_up` people in none of these groups come in too, without a role.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9-]{0,30}$")]
    title: str = ""
    issuer: Annotated[str, Field(pattern="^https?://[^ ?#]+$")]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: SecretStr | None = None
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    roles: dict[str, str] = Field(default_factory=dict)
    sign_up: bool = False


class HubSettings(BaseModel):
    """One hub process's configuration. Times in seconds, sizes in bytes, rates per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(default_factory=default_data_dir)
    database_url: str = ""
    bus_url: str = ""
    bus_credentials_file: Path | None = None
    files_url: str = ""
    root_key_file: Path | None = None
    key_passphrase: SecretStr | None = None
    secrets_key_file: Path | None = None

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str = ""
    trusted_proxies: tuple[str, ...] = ()
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"

    max_body_bytes: Count = 8 * 1024 * 1024
    max_file_bytes: Count = 5 * 1024**3
    max_uploads: Count = 64
    upload_seconds: Seconds = 3_600
    max_wait_seconds: Annotated[float, Field(ge=0)] = 60
    max_targets: Count = 20_000
    max_batch_intents: Count = 256
    max_event_subscribers: Count = 200
    default_timeout_seconds: Count = 3_600
    default_expires_seconds: Count = 24 * 3_600
    max_expires_seconds: Count = 30 * 24 * 3_600
    policy_lifetime_seconds: Count = 365 * 24 * 3_600
    idempotency_seconds: Count = 24 * 3_600
    audit_personal_seconds: Count = 365 * 24 * 3_600
    shutdown_seconds: Seconds = 10

    token_audiences: tuple[Annotated[str, Field(pattern="^[!-~]{1,255}$")], ...] = ()
    token_key_days: Count = 30
    tokens_per_caller: Count = 300

    oidc: tuple[OidcIssuer, ...] = ()
    smtp_url: SecretStr | None = None
    smtp_from: str = "writ@localhost"

    max_webhooks: Count = 100
    webhook_allowed_networks: tuple[str, ...] = ()
    webhook_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 15
    webhook_concurrency: Annotated[int, Field(ge=1, le=64)] = 4
    webhook_attempts: Annotated[int, Field(ge=1, le=32)] = 10
    webhook_first_retry_seconds: Seconds = 5
    webhook_max_retry_seconds: Seconds = 24 * 3_600
    webhook_disable_after_seconds: Seconds = 5 * 24 * 3_600
    webhook_secret_grace_seconds: Annotated[float, Field(ge=0)] = 24 * 3_600
    webhook_max_pending: Count = 10_000
    webhook_keep_seconds: Seconds = 30 * 24 * 3_600
    webhook_keep_deliveries: Count = 1_000
    notification_digest_seconds: Seconds = 24 * 3_600
    notification_keep_seconds: Seconds = 90 * 24 * 3_600
    max_notifications: Count = 1_000

    session_seconds: Count = 7 * 24 * 3_600
    session_idle_seconds: Count = 24 * 3_600
    step_up_seconds: Count = 10 * 60
    sign_in_attempts_per_name: Count = 10
    sign_in_attempts_per_address: Count = 100
    invitation_seconds: Count = 7 * 24 * 3_600
    device_login_seconds: Count = 10 * 60

    clock_skew_seconds: Annotated[
        int, Field(ge=limits.MIN_CLOCK_SKEW_SECONDS, le=limits.MAX_CLOCK_SKEW_SECONDS)
    ] = limits.DEFAULT_CLOCK_SKEW_SECONDS
    register_deadline_seconds: Seconds = limits.REGISTER_DEADLINE_SECONDS
    heartbeat_seconds: Count = limits.HEARTBEAT_SECONDS
    ping_seconds: Seconds = limits.PING_SECONDS
    key_conflict_answer_seconds: Seconds = limits.KEY_CONFLICT_ANSWER_SECONDS
    max_frame_bytes: Annotated[int, Field(ge=64 * 1024, le=16 * 1024 * 1024)] = (
        limits.MAX_FRAME_BYTES
    )
    max_frame_bytes_before_registration: Annotated[int, Field(ge=4096)] = (
        limits.MAX_FRAME_BYTES_BEFORE_REGISTRATION
    )
    max_unregistered_per_address: Count = limits.MAX_UNREGISTERED_PER_ADDRESS
    max_unregistered: Count = 1_000
    arrivals_per_second: Count = 300
    join_failures_per_address: Count = limits.JOIN_FAILURES_PER_ADDRESS
    max_pending_per_address: Count = limits.MAX_PENDING_PER_ADDRESS
    max_pending: Count = limits.MAX_PENDING
    pending_lifetime_seconds: Count = int(limits.PENDING_LIFETIME.total_seconds())
    frames_per_second: Count = limits.FRAMES_PER_SECOND
    frames_burst: Count = limits.FRAMES_BURST
    max_send_queue_frames: Count = 1_024
    max_send_queue_bytes: Count = 8 * 1024 * 1024
    intent_resend_seconds: Seconds = limits.INTENT_RESEND_SECONDS
    result_ack_gather_seconds: Seconds = limits.RESULT_ACK_GATHER_SECONDS
    drain_retry_after_seconds: Count = 5

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("public_url")
    @classmethod
    def _plain_address(cls, url: str) -> str:
        if url and _PUBLIC_URL.fullmatch(url) is None:
            raise ValueError("an origin and at most a plain path, like https://example.org/writ")
        return url

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        parse_networks(texts)
        return texts

    @property
    def origins(self) -> Mapping[str, str]:
        """Where each value came from: `flag`, `environment NAME`, `file PATH`, or `default`."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}

    @property
    def keys_dir(self) -> Path:
        """The folder of the hub's own keys."""
        return self.data_dir / "keys"

    @property
    def effective_secrets_key_file(self) -> Path:
        """The file of the keys that wrap data keys: the one named, else that of the data folder."""
        return self.secrets_key_file or self.keys_dir / SECRETS_KEY_FILE

    @property
    def effective_database_url(self) -> str:
        """The database in use: the one named, else SQLite in the data folder."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'hub.db'}"

    @property
    def effective_files_url(self) -> str:
        """The file store in use: the one named, else a folder in the data folder."""
        return self.files_url or str(self.data_dir / "files")

    @property
    def passphrase(self) -> bytes | None:
        """The passphrase of the key files, if they have one."""
        return self.key_passphrase.get_secret_value().encode() if self.key_passphrase else None

    def agent_url(self, *, port: int | None = None) -> str:
        """Return the WebSocket URL that agents are told to dial."""
        base = self.public_url.rstrip("/")
        if not base:
            host = f"[{self.host}]" if ":" in self.host else self.host
            base = f"http://{host}:{port or self.port}"
        return "ws" + base.removeprefix("http") + "/ws/agent"


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    config_file: Path | None = None,
) -> HubSettings:
    """Return the settings of this process.

    Args:
        flags: values given on the command line, by field name; None means not given.
        environ: the environment, the process's own by default.
        config_file: a TOML file, else `WRIT_CONFIG`, else `hub.toml` in the data folder if there.

    Raises:
        SettingsError: a value that does not fit, an unknown key in the file, or an unreadable file.
    """
    environ = os.environ if environ is None else environ
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    from_environment = _environment_values(environ)

    named = config_file or (Path(environ["WRIT_CONFIG"]) if environ.get("WRIT_CONFIG") else None)
    folder = given.get("data_dir") or from_environment.get("data_dir", ("", ""))[0]
    path = named or Path(folder or default_data_dir()) / "hub.toml"
    if named is not None or path.is_file():
        for name, value in _file_values(path).items():
            values[name], origins[name] = value, f"file {path}"
    for name, (value, origin) in from_environment.items():
        values[name], origins[name] = value, origin
    for name, value in given.items():
        values[name], origins[name] = value, "flag"
    try:
        settings = HubSettings.model_validate(values)
    except ValidationError as exc:
        problem = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"{name} ({origins.get(name, 'default')}): {problem['msg']}") from None
    settings._origins.update(origins)
    return settings


def _environment_values(environ: Mapping[str, str]) -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for name in HubSettings.model_fields:
        variable = f"WRIT_{name.upper()}"
        if variable in environ:
            value: Any = environ[variable]
            origin = f"environment {variable}"
        elif f"{variable}_FILE" in environ:
            value = _read_secret(Path(environ[f"{variable}_FILE"]), variable)
            origin = f"environment {variable}_FILE"
        else:
            continue
        if name == "oidc":
            value = _parse_json(value, variable)
        if name in ("trusted_proxies", "webhook_allowed_networks", "token_audiences"):
            value = [part.strip() for part in value.split(",") if part.strip()]
        found[name] = (value, origin)
    return found


def _parse_json(text: str, variable: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as exc:
        raise SettingsError(f"{variable} is not JSON") from exc


def _read_secret(path: Path, variable: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_SETTING_FILE_BYTES)
        return data.decode("utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{variable}_FILE cannot be read") from exc


def _file_values(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            table = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as exc:
        raise SettingsError(f"{path} cannot be read: {exc}") from exc
    unknown = sorted(set(table) - set(HubSettings.model_fields))
    if unknown:
        raise SettingsError(f"{path}: unknown setting {unknown[0]}")
    return table
