"""Everything that storage raises on purpose; driver errors never leave this room."""

from __future__ import annotations

from protocol.errors import Error


class StorageError(Error):
    """Base of the room: the database or the file store could not do what was asked."""

    code = "storage_error"


class NotFoundError(StorageError):
    """No such row or file."""

    code = "not_found"


class ConflictError(StorageError):
    """The state on disk does not allow the change: taken, decided before, or another version."""

    code = "conflict"


class BadCursorError(StorageError):
    """A page cursor that this listing did not hand out."""

    code = "bad_cursor"


class BadValueError(StorageError):
    """A value that no database here can hold: a NUL in text, half a character, a huge number."""

    code = "bad_value"


class UnavailableError(StorageError):
    """Locked, full, gone or overloaded: nothing is known to be written, a retry may pass."""

    code = "unavailable"
    retryable = True


class MigrationError(StorageError):
    """The schema in the database is not the one this version works with."""

    code = "bad_schema"


class LeaseLostError(StorageError):
    """What was to be done belongs to another process by now; nothing of it was written."""

    code = "lease_lost"


class FencedError(StorageError):
    """The connection this was done for is no longer the agent's; nothing of it was written.

    `replaced` when the agent has a newer connection.
    """

    code = "fenced"

    def __init__(self, message: str, *, replaced: bool) -> None:
        super().__init__(message)
        self.replaced = replaced
