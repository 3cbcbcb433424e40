"""What the hub refuses, by name. `controlplane/api/errors.py` maps each code to an HTTP status.

The messages here may reach the caller of the REST API, so they never carry secrets, nor facts
about things the caller may not see.
"""

from __future__ import annotations

from protocol.errors import Error


class HubError(Error):
    """Base of what the control plane itself refuses."""

    code = "hub_error"


class SettingsError(HubError):
    """A setting that cannot be read, is unknown, or out of its range."""

    code = "bad_settings"


class NotInitialisedError(HubError):
    """The data folder holds no finished hub; `writ hub init` makes one."""

    code = "not_initialised"


class HalfInitialisedError(HubError):
    """Keys and database do not belong together; nothing is changed until a person has looked."""

    code = "half_initialised"


class UnauthenticatedError(HubError):
    """No credential, or none that is valid."""

    code = "unauthenticated"


class AccessDeniedError(HubError):
    """The caller is known and may see the thing, but not do this to it."""

    code = "forbidden"


class HiddenError(HubError):
    """No such thing, or nothing the caller may know of: the same answer for both."""

    code = "not_found"


class BadRequestError(HubError):
    """The request as a whole cannot be read: not JSON, or a cursor nobody handed out."""

    code = "bad_request"


class InvalidFieldError(HubError):
    """One field of the request is wrong; `pointer` is its JSON pointer in the body."""

    code = "invalid_field"

    def __init__(self, message: str, *, pointer: str) -> None:
        super().__init__(message)
        self.pointer = pointer


class StateConflictError(HubError):
    """The state of the thing does not allow this, or no longer."""

    code = "conflict"


class PreconditionError(HubError):
    """`If-Match` names another version than the present one."""

    code = "precondition_failed"


class PersonNotCoveredError(HubError):
    """No grant of the person on whose behalf this is ordered covers it."""

    code = "person_not_granted"


class RecordDamagedError(HubError):
    """Leaves of the record were changed behind the hub's back: nothing more is signed over them."""

    code = "record_damaged"


class SecretError(HubError):
    """An encrypted value that no key of this hub opens."""

    code = "secret_unreadable"


class CrossSiteError(HubError):
    """A change under a cookie that no page of this hub has made."""

    code = "cross_site"


class StepUpError(HubError):
    """It needs somebody who has proved who they are a moment ago: sign in again."""

    code = "step_up_required"


class SignInError(HubError):
    """Not signed in: the same words for an unknown name and a wrong proof."""

    code = "sign_in_failed"

    def __init__(self) -> None:
        super().__init__("name or proof are not right")


class TooManyAttemptsError(HubError):
    """Tried too often; `retry_after_seconds` says when to try again."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class DeviceLoginError(HubError):
    """A machine that is not let in, or not yet (RFC 8628, section 3.5)."""


class DevicePendingError(DeviceLoginError):
    """Its person has not decided yet."""

    code = "authorization_pending"


class DeviceSlowDownError(DeviceLoginError):
    """It asks more often than it was told to."""

    code = "slow_down"


class DeviceDeniedError(DeviceLoginError):
    """Its person has said no."""

    code = "access_denied"


class DeviceExpiredError(DeviceLoginError):
    """No device code, or none any more."""

    code = "expired_token"


class ProviderUnreachableError(HubError):
    """An OpenID provider that does not answer, or not as one does."""

    code = "provider_unreachable"
