"""What a driver's error means: come back later, somebody else was first, or a mistake of ours."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from protocol.errors import Error
from storage.errors import BadValueError, ConflictError, StorageError, UnavailableError

_SQLITE_LATER = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
}
_SQLITE_GONE = {
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
}
# SQLSTATE classes: 08 connection, 53 resources (disk, memory, connections), 57 operator
# intervention, 58 system; single states: lock timeout, read-only standby, terminated transaction.
_POSTGRES_LATER = ("08", "53", "57", "58", "55P03", "25006", "25P03", "25P04")


class ConnectionLostError(UnavailableError):
    """The connection must be made anew; `committing` when nobody can say what was kept."""

    def __init__(self, message: str, *, committing: bool = False) -> None:
        super().__init__(message)
        self.committing = committing


class TryAgainError(UnavailableError):
    """Two writers stood in each other's way and this one was rolled back; again at once."""


def translate(error: BaseException) -> BaseException:
    """Return the storage error that a driver's error stands for; anything else unchanged.

    The driver's error becomes its cause, for the log.
    """
    if isinstance(error, Error):
        return error
    found = _translate(error)
    if found is None:
        return error
    found.__cause__ = error
    return found


def _translate(error: BaseException) -> StorageError | None:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(cause, UnicodeEncodeError | OverflowError):
        return BadValueError("a value that the database cannot hold")
    if isinstance(cause, sqlite3.Error):
        return _translate_sqlite(cause)
    sqlstate = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    if isinstance(sqlstate, str):
        return _translate_sqlstate(sqlstate)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return ConnectionLostError("the connection to the database is gone")
    if isinstance(error, PoolTimeoutError):
        return UnavailableError("every connection to the database is busy")
    if isinstance(cause, OSError | TimeoutError | EOFError):
        return ConnectionLostError("the database does not answer")
    if type(cause).__name__ in {"InterfaceError", "ConnectionDoesNotExistError"} and (
        "clos" in str(cause)
    ):
        return ConnectionLostError("the connection to the database is gone")
    if isinstance(error, DBAPIError):
        # What asyncpg cannot encode fails before it is sent, and has no SQLSTATE.
        if "invalid input for query argument" in str(cause):
            return BadValueError("a value that the database cannot hold")
        return StorageError("the database refused a statement")
    return None


def _translate_sqlstate(sqlstate: str) -> StorageError:
    if sqlstate.startswith("23"):
        return ConflictError("the database holds something that does not allow this")
    if sqlstate.startswith("22"):
        return BadValueError("a value that the database cannot hold")
    if sqlstate in {"40001", "40P01"}:
        return TryAgainError("two writers stood in each other's way")
    if sqlstate.startswith(("08", "57P0")):
        return ConnectionLostError("the database closed the connection")
    if sqlstate.startswith(_POSTGRES_LATER):
        return UnavailableError("the database cannot do this now")
    return StorageError(f"the database refused a statement ({sqlstate})")


def _translate_sqlite(cause: sqlite3.Error) -> StorageError:
    if isinstance(cause, sqlite3.IntegrityError):
        return ConflictError("the database holds something that does not allow this")
    primary = (getattr(cause, "sqlite_errorcode", None) or 0) & 0xFF
    if primary in _SQLITE_LATER:
        return UnavailableError("the database is locked or full")
    if primary in _SQLITE_GONE:
        return ConnectionLostError("the database file cannot be used")
    if isinstance(cause, sqlite3.ProgrammingError) and "closed database" in str(cause):
        return ConnectionLostError("the database file is closed")
    return StorageError("the database refused a statement")
