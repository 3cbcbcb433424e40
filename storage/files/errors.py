"""What a file store raises besides `NotFoundError`, `ConflictError` and `UnavailableError`."""

from __future__ import annotations

from storage.errors import StorageError


class FileStoreError(StorageError):
    """Base of the file store's own errors."""

    code = "file_store_error"


class BadFileKeyError(FileStoreError):
    """A key that no file may have."""

    code = "bad_file_key"


class BadFileStoreUrlError(FileStoreError):
    """Settings of a file store that cannot be understood."""

    code = "bad_file_store_url"


class FileTooBigError(FileStoreError):
    """More bytes than the store, or the reader, takes."""

    code = "file_too_big"


class FileStoreRefusedError(FileStoreError):
    """The store does not let us: credentials, permissions, or no such bucket or folder."""

    code = "file_store_refused"


class ConditionalWritesUnsupportedError(FileStoreError):
    """The server ignores conditions on writes, so a write under one must not be tried at all."""

    code = "conditional_writes_unsupported"


class DamagedFileError(FileStoreError):
    """What lies under a key is not what was put there."""

    code = "file_damaged"
