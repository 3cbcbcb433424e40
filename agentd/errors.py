"""The agent's own failures: what a person at its console must mend. Wire codes live in protocol."""

from __future__ import annotations

from protocol.errors import Error


class AgentError(Error):
    """Base of everything that is the agent's own and not the protocol's."""

    code = "agent_error"


class ExecutorError(AgentError):
    """An action was allowed and tried, and did not work: the order ends as `failed`.

    Args:
        code: stable, `snake_case`; goes into the result's `error.code`.
        message: for a person; names paths relative to the workspace only, and no secrets.
    """

    code = "executor_failed"

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message or code)
        # One class carries many codes: plug-ins bring their own, which no class here can list.
        self.code = code  # type: ignore[misc]


class SettingsError(AgentError):
    """A setting that cannot be used; the message names it and where it came from."""

    code = "bad_settings"


class IdentityError(AgentError):
    """The data folder, the key file or the pinned root cannot be trusted as they lie."""

    code = "identity"


class AlreadyRunningError(AgentError):
    """Another process holds this data folder."""

    code = "already_running"


class StateError(AgentError):
    """The state on disk is damaged, missing or of another version; nothing is acted on."""

    code = "state_damaged"


class StateUnavailableError(AgentError):
    """The state could not be written now (disk full, read-only, locked): no ack, no start."""

    code = "state_unavailable"
    retryable = True


class HubAddressError(AgentError):
    """The hub's address is no WebSocket URL, or a plain one that is not loopback."""

    code = "bad_hub_address"


class OrderNotHereError(AgentError):
    """An order that is not here is cancelled; it may be on its way, so nobody has heard of it."""

    code = "order_not_here"
    retryable = True


class UploadError(AgentError):
    """An output that is too big for a result could not be handed to the hub's store."""

    code = "output_too_big"
