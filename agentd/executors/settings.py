"""The `[executors]` table of the agent's settings: what the machine's owner allows and bounds.

A policy can only narrow what stands here, never widen it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from agentd.errors import SettingsError
from agentd.sandbox import LEVELS, Sandbox, SandboxLimits
from protocol.addresses import parse_networks

DEFAULT_HTTP_BODY_BYTES: Final = 8 * 1024 * 1024


def _check_networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    parse_networks(texts)
    return texts


def _check_level(level: str) -> str:
    if level not in LEVELS:
        raise ValueError(f"a sandbox level is one of {', '.join(LEVELS)}")
    return level


class ExecutorSettings(BaseModel):
    """Settings of all executors, with their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    plugins: bool = True
    """Whether installed plug-ins are loaded."""
    disabled: tuple[str, ...] = ()
    """Actions that this agent does not offer, whatever a policy says."""
    http_allow_private: Annotated[tuple[str, ...], AfterValidator(_check_networks)] = ()
    """Networks that `http.get` may reach although they are not public."""
    http_max_body_bytes: Annotated[int, Field(ge=0)] = DEFAULT_HTTP_BODY_BYTES
    sandbox_level: Annotated[str, AfterValidator(_check_level)] = LEVELS[0]
    """The least level of every child process."""
    sandbox_limits: SandboxLimits = Field(default_factory=SandboxLimits)
    sandbox_readable: tuple[str, ...] = ()
    """Files and folders that confined children may read besides the system's."""
    sandbox_hidden: tuple[str, ...] = ()
    """Folders that no child reaches; the agent adds its data folder."""
    sandbox_environment: Annotated[dict[str, str], Field(repr=False)] = {}

    def make_sandbox(self, level: str | None = None) -> Sandbox:
        """Return the sandbox for an order: the stronger of the rule's level and the agent's own.

        Raises:
            ExecutorError: `sandbox_unavailable` for a level nobody here knows.
        """
        sandbox = Sandbox(
            level=level or self.sandbox_level,
            limits=self.sandbox_limits,
            environment=tuple(self.sandbox_environment.items()),
            readable=self.sandbox_readable,
            hidden=self.sandbox_hidden,
        )
        if LEVELS.index(sandbox.level) < LEVELS.index(self.sandbox_level):
            return self.make_sandbox(self.sandbox_level)
        return sandbox


def parse_executor_settings(
    table: Mapping[str, Any], *, data_dir: Path | None = None
) -> ExecutorSettings:
    """Return the settings that the table spells.

    Args:
        table: `[executors]` of the settings file.
        data_dir: the agent's own folder, with its key and its state; hidden from children.

    Raises:
        SettingsError: a value is wrong or unknown; the message names it.
    """
    try:
        settings = ExecutorSettings.model_validate(dict(table))
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in ("executors", *fault["loc"]))
        raise SettingsError(f"{name}: {fault['msg']}") from None
    if data_dir is None:
        return settings
    hidden = (*settings.sandbox_hidden, str(data_dir.absolute()))
    return settings.model_copy(update={"sandbox_hidden": hidden})
